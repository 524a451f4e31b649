"""Picks the Vela rows that the repository keeps from the reference data."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

SOURCE = "Vela 5.2.0 (ethos-u-vela, core C++)"
PLACE = ["accelerator", "system_config", "memory_mode"]
FC_SHAPES = ((1, 64), (13, 42), (40, 40), (64, 1), (16, 1024), (48, 96), (128, 256), (192, 320))
FC_LARGEST_STAGED = 4
FC_COLUMNS = [
    "in_features", "out_features", "structure", "sparsity", "bits", "seed", "op_cycles", "npu_cycles",
    "sram_access_cycles", "dram_access_cycles", "flash_access_cycles", "mac_count", "weight_format",
    "weight_bytes", "ofm_depth_slices", "weight_buffering", "mac_cycles", "ao_cycles", "cmd_cycles",
]  # fmt: skip
LSTM_COLUMNS = [
    "in_features", "hidden", "time_steps", "structure", "sparsity", "bits", "seed", "op_index", "operator",
    "op_cycles", "npu_cycles", "sram_access_cycles", "dram_access_cycles", "flash_access_cycles",
    "weight_format", "weight_bytes", "ofm_depth_slices", "weight_buffering", "mac_cycles", "ao_cycles",
    "cmd_cycles",
]  # fmt: skip
NET_COLUMNS = ["network", "structure", "sparsity", "bits", "tot_cycles", "enc_weight_bytes"]
NET_PLANS = (("dense", 0.0, 8), ("dense", 0.0, 4), ("unstructured", 0.9, 8), ("nm24", 0.5, 8))
ENCODING_COLUMNS = [
    "in_features", "out_features", "structure", "sparsity", "bits", "seed", "weight_format", "weight_bytes",
]  # fmt: skip
ENCODING_EVERY = 17
"""Of the rows for matrices of up to 256 x 256; a prime, so that all parts and structures have their turn."""


def fc_rows(folder: Path) -> pd.DataFrame:
    """A few shapes on every part, system and mode; 2:4 and fast formats; staged weights."""
    table = pd.read_csv(folder / "vela_fc.csv", low_memory=False, keep_default_na=False)
    dense = table[(table.structure == "dense") & (table.bits == 8)]
    shapes = pd.concat([dense[(dense.in_features == i) & (dense.out_features == o)] for i, o in FC_SHAPES])
    formats = table[table.weight_format != "Default"].groupby([*PLACE, "weight_format"]).head(2)
    sparse = table[table.structure == "unstructured"].groupby(PLACE).head(1)
    staged = table[table.weight_buffering != ""].groupby(PLACE).head(FC_LARGEST_STAGED)
    kept = pd.concat([shapes.groupby([*PLACE, "in_features"]).head(1), formats, sparse, staged])
    return _kept(kept, FC_COLUMNS)


def lstm_rows(folder: Path) -> pd.DataFrame:
    """The smallest layer on every part, system and mode, and one of two steps."""
    table = pd.read_csv(folder / "vela_lstm.csv", low_memory=False, keep_default_na=False)
    dense = table[(table.structure == "dense") & (table.bits == 8) & (table.in_features == 64)]
    small = dense[(dense.hidden == 64) & (dense.time_steps == 1)]
    steps = table[(table.time_steps == 2) & table.accelerator.isin(["ethos-u55-128", "ethos-u85-256"])]
    steps = steps[steps.memory_mode == "Shared_Sram"]
    first = steps[steps.structure == steps.structure.iloc[0]].groupby([*PLACE, "op_index"]).head(1)
    return _kept(pd.concat([small, first]), LSTM_COLUMNS)


def net_rows(folder: Path) -> pd.DataFrame:
    """The papers' network on every part, in every mode, under a few plans."""
    table = pd.read_csv(folder / "vela_net.csv", keep_default_na=False)
    table = table[table.network == "speech2xlstm256"]
    chosen = [
        table[(table.structure == structure) & (table.sparsity == sparsity) & (table.bits == bits)]
        for structure, sparsity, bits in NET_PLANS
    ]
    return _kept(pd.concat(chosen), NET_COLUMNS)


def encoding_rows(folder: Path) -> pd.DataFrame:
    """Matrices of up to 256 x 256, on parts and with structures in turn."""
    table = pd.read_csv(folder / "vela_encoding.csv", keep_default_na=False)
    small = table[(table.in_features <= 256) & (table.out_features <= 256)]
    return _kept(small.iloc[::ENCODING_EVERY], ENCODING_COLUMNS)


def _kept(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return table[[*PLACE, *columns]].drop_duplicates().sort_index().assign(source=SOURCE)


def write_vela_tables(reference: Path, target: Path) -> None:
    """Writes vela_fc.csv, vela_lstm.csv, vela_net.csv and vela_encoding.csv into `target`."""
    picked = {"fc": fc_rows, "lstm": lstm_rows, "net": net_rows, "encoding": encoding_rows}
    for name, rows in picked.items():
        rows(reference).to_csv(target / f"vela_{name}.csv", index=False, lineterminator="\n")
