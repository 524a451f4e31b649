"""`vela_fc.csv`: single fully connected commands, as Arm's compiler Vela estimates them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.lowering import INPUT, OUTPUT, Command
from npuexplore.cost.ethos_u.pricing import Sizes
from npuexplore.pipeline.verify.replay import Ours, Replay
from npuexplore.pipeline.verify.vela_parts import (
    MEMORY_COLUMNS,
    PLACE_COLUMNS,
    Place,
    known_structures,
    placement_of,
    places,
    slice_bounds,
)
from npuexplore.pipeline.verify.vela_products import ProductRows, product_figures
from npuexplore.pipeline.verify.weights import recorded_weights

PARTS = ("mac_cycles", "ao_cycles", "cmd_cycles")
"""What NPU cycles are made of."""
QUANTITIES = ("npu_cycles", "op_cycles", "mac_count", *MEMORY_COLUMNS, *PARTS)
COMMAND = Command("product", (INPUT,), OUTPUT)


def run(table: pd.DataFrame, path: Path) -> Ours:
    """Our figures for every row."""
    known_structures(table, path)
    bounds = slice_bounds(table, path, outputs="out_features")
    ours = {name: np.zeros(len(table), np.int64) for name in QUANTITIES}
    ours["mac_count"][:] = mac_count(table["in_features"], table["out_features"], table["weight_format"])
    for place in places(table, path):
        for name, values in _figures(table, place, bounds).items():
            if name in ours:
                ours[name][place.rows] = values
    return ours


def mac_count(inputs: pd.Series, outputs: pd.Series, weight_format: pd.Series) -> NDArray[np.int64]:
    """(n,) MACs of a product; half of them in the 2:4 format."""
    return np.asarray(inputs * outputs // np.where(two_four(weight_format), 2, 1))


def two_four(weight_format: pd.Series) -> NDArray[np.bool_]:
    """(n,) whether weights are in the 2:4 format."""
    return np.asarray(weight_format.str.contains("Sparse2_4", regex=False), np.bool_)


def fast(weight_format: pd.Series) -> NDArray[np.bool_]:
    """(n,) whether weights are in the fast format."""
    return np.asarray(weight_format.str.contains("Fast", regex=False), np.bool_)


def _figures(
    table: pd.DataFrame, place: Place, bounds: list[tuple[int, ...]]
) -> dict[str, NDArray[np.int64]]:
    here = table.iloc[place.rows]
    inputs, slices = here["in_features"].to_numpy(), [bounds[row] for row in place.rows]
    rows = ProductRows(
        sizes=Sizes(
            inputs=inputs,
            units=here["out_features"].to_numpy(),
            activation_bytes=np.ones_like(inputs),
            two_four=two_four(here["weight_format"]),
        ),
        encoded=here["weight_bytes"].to_numpy(),
        fast=fast(here["weight_format"]),
        slices=slices,
        staged=np.array([len(one) > 2 for one in slices]),
        matrix=lambda index: _weights(here.iloc[index]),
        slack=np.zeros_like(inputs),
    )
    return product_figures(place.engine, COMMAND, rows, placement_of(place.route))


def _weights(row: pd.Series) -> NDArray[np.int8]:
    return recorded_weights(
        int(row["out_features"]),
        int(row["in_features"]),
        structure=row["structure"],
        sparsity=float(row["sparsity"]),
        bits=int(row["bits"]),
        seed=int(row["seed"]),
    )


REPLAY = Replay(
    texts=(*PLACE_COLUMNS, "structure", "weight_format", "ofm_depth_slices"),
    wholes=("in_features", "out_features", "bits", "seed", "weight_bytes"),
    fractions=("sparsity",),
    quantities=QUANTITIES,
    groupings=(PLACE_COLUMNS, ("weight_buffering",)),
    run=run,
)
