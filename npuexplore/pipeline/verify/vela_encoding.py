"""`vela_encoding.csv`: encoded weights of single matrices, as Arm's compiler Vela stores them.

`weight_bytes` is the exact size of the recorded weights; `expected_weight_bytes`, compared with the same
column, is what a plan can expect of weights of which only structure, levels and shape are known. Formats
and depth slices are our schedule's own in both.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from npuexplore.compression.encoding import MAX_BLOCK
from npuexplore.cost.ethos_u.coder import PlannedWeights
from npuexplore.cost.ethos_u.expected import ExpectedWeights
from npuexplore.cost.ethos_u.pricing import Sizes
from npuexplore.cost.ethos_u.real_weights import RealWeights
from npuexplore.cost.ethos_u.schedule import Layer, Storage, schedule
from npuexplore.errors import BadInput
from npuexplore.pipeline.verify.replay import Ours, Replay
from npuexplore.pipeline.verify.tables import LINE, line_of
from npuexplore.pipeline.verify.vela_parts import PLACE_COLUMNS, Place, known_structures, places
from npuexplore.pipeline.verify.weights import block_shape, recorded_weights
from npuexplore.units import ceil_div

Counts = NDArray[np.int64]

CASE = ("in_features", "out_features", "structure", "sparsity", "bits", "seed")
LARGEST_SIDE = 16_384
"""Inputs or outputs of a matrix that is still replayed in memory."""
QUANTITIES = ("weight_bytes", "expected_weight_bytes")


def run(table: pd.DataFrame, path: Path) -> Ours:
    """Our figures for every row."""
    known_structures(table, path)
    _possible_cases(table, path)
    ours = {name: np.zeros(len(table), np.int64) for name in QUANTITIES}
    everywhere = list(places(table, path))
    for case, rows in table.groupby(list(CASE), sort=False).indices.items():
        _exact(table, rows, everywhere, ours["weight_bytes"], name=str(case))
    for place in everywhere:
        largest = table["structure"].iloc[place.rows].to_numpy() == "magnitude"
        for rows in (place.rows[largest], place.rows[~largest]):
            if rows.size:
                ours["expected_weight_bytes"][rows] = _expected(table.iloc[rows], place)
    return ours


def _possible_cases(table: pd.DataFrame, path: Path) -> None:
    """Raises BadInput, with its line, for a case that no recorded matrix can have."""
    sides = table[["in_features", "out_features"]].to_numpy()
    for name, good, allowed in (
        ("in_features", (sides[:, 0] >= 1) & (sides[:, 0] <= LARGEST_SIDE), f"1 to {LARGEST_SIDE}"),
        ("out_features", (sides[:, 1] >= 1) & (sides[:, 1] <= LARGEST_SIDE), f"1 to {LARGEST_SIDE}"),
        ("sparsity", table["sparsity"].to_numpy() <= 1.0, "0 to 1"),
    ):
        if not good.all():
            place = int(np.argmin(good))
            line = line_of(table, place)
            raise BadInput(f"{path}:{line}: {name}: got {table[name].iloc[place]}; give {allowed}")
    for structure, inputs, line in zip(table["structure"], table["in_features"], table[LINE], strict=True):
        try:
            block_shape(structure, rows=1, columns=int(inputs))
        except BadInput as error:
            raise BadInput(f"{path}:{line}: {error}") from None


def _exact(
    table: pd.DataFrame, rows: NDArray[np.intp], everywhere: list[Place], sizes: Counts, *, name: str
) -> None:
    """Fills in the sizes of one matrix on all parts."""
    row = table.iloc[rows[0]]
    weights = recorded_weights(
        int(row["out_features"]),
        int(row["in_features"]),
        structure=row["structure"],
        sparsity=float(row["sparsity"]),
        bits=int(row["bits"]),
        seed=int(row["seed"]),
    )
    known: dict[tuple[object, ...], int] = {}
    for place in everywhere:
        for index in np.intersect1d(rows, place.rows):
            layer = _layer(table.iloc[[index]])
            storage = RealWeights(place.engine, [layer], {(0, "", False): weights}, known, name)
            sizes[index] = _stored(place, layer, storage)[0]


def _expected(rows: pd.DataFrame, place: Place) -> Counts:
    """(n,) expected bytes of matrices in one place."""
    layer = _layer(rows)
    return _stored(place, layer, ExpectedWeights(place.engine, layer.sizes, planned_weights(rows)))


def planned_weights(rows: pd.DataFrame) -> PlannedWeights:
    """What a plan would say of the matrices of some rows; either all or none of structure `magnitude`."""
    high, wide = np.array(
        [
            block_shape(structure, rows=outputs, columns=inputs)
            for structure, outputs, inputs in zip(
                rows["structure"], rows["out_features"], rows["in_features"], strict=True
            )
        ]
    ).T
    groups = ceil_div(rows["out_features"].to_numpy(), high) * ceil_div(rows["in_features"].to_numpy(), wide)
    return PlannedWeights(
        zeros_frac=np.rint(rows["sparsity"].to_numpy() * groups) / groups,
        weight_bits=rows["bits"].to_numpy(),
        block_rows=np.minimum(high, MAX_BLOCK),
        block_columns=np.minimum(wide, MAX_BLOCK),
        two_four=(rows["structure"] == "nm24").to_numpy(),
        kept="magnitude" if rows["structure"].iloc[0] == "magnitude" else "random",
    )


def _layer(rows: pd.DataFrame) -> Layer:
    inputs = rows["in_features"].to_numpy()
    sizes = Sizes(
        inputs=inputs,
        units=rows["out_features"].to_numpy(),
        activation_bytes=np.ones_like(inputs),
        two_four=np.zeros(inputs.size, np.bool_),
    )
    return Layer("dense", sizes)


def _stored(place: Place, layer: Layer, storage: Storage) -> Counts:
    """(n,) encoded bytes of all slices of a network of one product."""
    costs = schedule(place.engine, place.route, [layer], storage).costs
    return np.asarray(sum(cost.staged.weight_bytes for cost in costs if cost.staged is not None))


REPLAY = Replay(
    texts=(*PLACE_COLUMNS, "structure"),
    wholes=("in_features", "out_features", "bits", "seed"),
    fractions=("sparsity",),
    quantities=QUANTITIES,
    groupings=(("structure",), ("bits",), ("accelerator",)),
    run=run,
    compared_with={"expected_weight_bytes": "weight_bytes"},
)
