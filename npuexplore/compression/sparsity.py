"""Which weights a structure removes: the same groups score in training and count afterwards.

A group is one weight, one block (r outputs of one gate by c inputs, smaller at ragged edges) or one
hidden unit (its rows in every gate, its bias, its column of w_hh and of the next layer's input matrix).
Under two_four a group is four inputs of one output, of which the two smallest go. Weight, block and
two_four groups are laid over what unit pruning of the layer before leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.matrix_plan import MatrixChoice
from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.units import FloatArray
from npuexplore.workload.network import Layer, Network, gate_count, positions_of, unit_count

BoolArray = NDArray[np.bool_]
Params = dict[str, dict[str, FloatArray]]
"""params["lstm_1"]["w_ih"]; float32."""
Masks = dict[str, dict[str, BoolArray]]
"""masks["lstm_1"]["w_ih"]: True = kept. Biases appear only where units were removed."""

UNITS = "units"
"""Name among the matrices of a layer for its units, where they are chosen."""

Choose = Callable[[str, Mapping[str, FloatArray], NDArray[np.int64] | None, float], dict[str, BoolArray]]
"""(layer, scores by matrix, weights in each group or None for equal ones, sparsity_frac) -> what stays."""

INPUT_MATRIX = {"lstm": "w_ih", "gru": "w_ih", "dense": "w", "conv1x1": "w"}


def group_scores(
    weights: FloatArray, structure: str, *, block: tuple[int, int] = (1, 1), gates: int = 1
) -> FloatArray:
    """How much each group of a matrix (R, C) matters: |w|, or the root mean square of a block.

    Returns (R, C) for `weight`, (gates, ceil(R / gates / r), ceil(C / c)) for `block`.

    >>> group_scores(np.array([[3.0, -3.0, 4.0]]), "block", block=(1, 2)).tolist()
    [[[3.0, 4.0]]]
    """
    if structure == "weight":
        return np.abs(weights)
    return np.sqrt(block_sums(weights * weights, block, gates) / group_elems(weights.shape, block, gates))


def group_elems(shape: tuple[int, ...], block: tuple[int, int], gates: int) -> NDArray[np.int64]:
    """Weights in each block of a matrix of `shape`; fewer at ragged edges.

    >>> group_elems((2, 3), (2, 2), 1).tolist()
    [[[4, 2]]]
    """
    rows = _edge_lengths(shape[0] // gates, block[0])
    columns = _edge_lengths(shape[1], block[1])
    return np.broadcast_to(rows[:, None] * columns, (gates, rows.size, columns.size))


def _edge_lengths(total: int, part: int) -> NDArray[np.int64]:
    return np.diff(np.append(np.arange(0, total, part), total)).astype(np.int64)


def block_sums(values: FloatArray, block: tuple[int, int], gates: int) -> FloatArray:
    """(gates, ceil(R / gates / r), ceil(C / c)) sums over the blocks of a matrix (R, C)."""
    gate_rows, columns = values.shape[0] // gates, values.shape[1]
    if gate_rows % block[0] == 0 and columns % block[1] == 0:
        within = values.reshape(-1, block[1]).sum(axis=1) if block[1] > 1 else values
        apart = within.reshape(gates, gate_rows // block[0], block[0], columns // block[1])
        return apart.sum(axis=2) if block[0] > 1 else apart[:, :, 0]
    cubes = values.reshape(gates, gate_rows, columns)
    rows = np.add.reduceat(cubes, np.arange(0, cubes.shape[1], block[0]), axis=1)
    sums: FloatArray = np.add.reduceat(rows, np.arange(0, cubes.shape[2], block[1]), axis=2)
    return sums


def expand_groups(kept: BoolArray, shape: tuple[int, ...], *, block: tuple[int, int] = (1, 1)) -> BoolArray:
    """Mask (R, C) of the kept groups, which come shaped as `group_scores` gives them.

    >>> expand_groups(np.array([[[True, False]]]), (1, 3), block=(1, 2)).tolist()
    [[True, True, False]]
    """
    if kept.ndim == 2:
        return kept
    gates, rows = kept.shape[0], shape[0] // kept.shape[0]
    full = kept.repeat(block[0], axis=1)[:, :rows].repeat(block[1], axis=2)[:, :, : shape[1]]
    return full.reshape(gates * rows, shape[1])


def keep_largest(scores: FloatArray, elems: NDArray[np.int64] | None, sparsity_frac: float) -> BoolArray:
    """Which of N groups stay so that zeros / total comes nearest to `sparsity_frac`.

    scores : (N,) ; elems : (N,) weights in each group, None where all are equal. The lowest scores go;
    among equals the earlier group goes first. At least one group stays.

    >>> keep_largest(np.array([0.5, 0.1, 0.9, 0.1]), None, 0.5).tolist()
    [True, False, True, False]
    """
    kept = np.ones(scores.size, bool)
    if elems is None or elems.min() == elems.max():
        kept[_lowest(scores, min(round(sparsity_frac * scores.size), scores.size - 1))] = False
        return kept
    order = np.argsort(scores, kind="stable")
    dropped = np.cumsum(elems[order])
    target = sparsity_frac * dropped[-1]
    count = int(np.abs(np.append(0, dropped[:-1]) - target).argmin())
    kept[order[:count]] = False
    return kept


def choose_largest(
    _: str, scores: Mapping[str, FloatArray], elems: NDArray[np.int64] | None, sparsity_frac: float
) -> dict[str, BoolArray]:
    """Which groups stay of matrices under one threshold: the largest, as `keep_largest` says.

    scores : by matrix, any shapes ; elems : (N,) weights in each group, one matrix after the other.

    >>> scores = {"w_ih": np.array([[3.0, 1.0]]), "w_hh": np.array([[2.0, 4.0]])}
    >>> {name: kept.tolist() for name, kept in choose_largest("lstm", scores, None, 0.5).items()}
    {'w_ih': [[True, False]], 'w_hh': [[False, True]]}
    """
    kept = keep_largest(
        np.concatenate([score.reshape(-1) for score in scores.values()]), elems, sparsity_frac
    )
    ends = np.cumsum([score.size for score in scores.values()])
    parts = np.split(kept, ends[:-1])
    return {name: part.reshape(scores[name].shape) for name, part in zip(scores, parts, strict=True)}


def _lowest(scores: FloatArray, count: int) -> NDArray[np.intp]:
    """Indices of the `count` lowest scores, the earlier one first among equals."""
    if count == 0:
        return np.empty(0, np.intp)
    threshold = np.partition(scores, count - 1)[count - 1]
    below = np.flatnonzero(scores < threshold)
    equal = np.flatnonzero(scores == threshold)
    return np.concatenate([below, equal[: count - below.size]])


def unit_scores(entry: Mapping[str, FloatArray], layer: Layer, next_columns: FloatArray | None) -> FloatArray:
    """(H,) root mean square of all weights that a unit's removal takes away."""
    squares = {name: np.square(w, dtype=np.float64) for name, w in entry.items() if name.startswith("w")}
    following = None if next_columns is None else np.square(next_columns, dtype=np.float64)
    return np.sqrt(unit_sums(squares, layer, following) / unit_elems(entry, layer, next_columns))


def unit_sums(values: Mapping[str, FloatArray], layer: Layer, next_columns: FloatArray | None) -> FloatArray:
    """(H,) sums of `values`, shaped as the layer's matrices, over all that a unit's removal takes away."""
    units, gates = unit_count(layer), gate_count(layer.kind)
    sums: FloatArray = np.zeros(units, np.float64)
    for name, matrix in values.items():
        sums += matrix.sum(axis=1).reshape(gates, units).sum(axis=0)
        if name == "w_hh":
            sums += matrix.sum(axis=0)
    if next_columns is not None:
        sums += next_columns.sum(axis=0).reshape(-1, units).sum(axis=0)
    return sums


def unit_elems(entry: Mapping[str, FloatArray], layer: Layer, next_columns: FloatArray | None) -> int:
    """Weights that one unit's removal takes away; that of a state's own unit counts twice."""
    units, gates = unit_count(layer), gate_count(layer.kind)
    count = 0 if next_columns is None else next_columns.size // units
    for name, matrix in entry.items():
        if name.startswith("w"):
            count += gates * matrix.shape[1] + (matrix.shape[0] if name == "w_hh" else 0)
    return count


def layer_masks(
    params: Mapping[str, Mapping[str, FloatArray]],
    plan: CompressionPlan,
    network: Network,
    *,
    ramp_frac: float = 1.0,
    choose: Choose = choose_largest,
) -> Masks:
    """Magnitude masks at exactly the plan's sparsity, or at `ramp_frac` of it while pruning is under way.

    `choose` may say otherwise which groups stay, of weight, block and unit.

    Weight and block: one threshold per layer over its matrices together, or over each alone where they are
    not pruned alike, zeros / total within one group of the plan's sparsity_frac (total = weights left by
    unit pruning of the layer before). Unit:
    round(sparsity_frac * H) units removed. two_four: two of each four, at `ramp_frac` that share of the
    weights that go.
    """
    masks: Masks = {}
    kept_inputs = np.ones(network.bands, bool)
    for index, layer in enumerate(network.layers):
        choice, entry = plan.of(layer.name), params[layer.name]
        kept_outputs = np.ones(unit_count(layer), bool)
        if choice.structure == "unit":
            following = input_matrix(params, network, index + 1)
            scores = unit_scores(entry, layer, following)
            kept_outputs = choose(layer.name, {UNITS: scores}, None, ramp_frac * choice.sparsity_frac)[UNITS]
        columns = kept_columns(layer, kept_inputs)
        masks[layer.name] = _masks_of_layer(entry, layer, choice, columns, kept_outputs, ramp_frac, choose)
        kept_inputs = np.tile(kept_outputs, positions_of(layer))
    return masks


def kept_columns(layer: Layer, kept_inputs: BoolArray) -> BoolArray:
    """Inputs that stay; of conv1x1 the channels, of which every position keeps the same ones."""
    return kept_inputs[: kept_inputs.size // positions_of(layer)]


def input_matrix(
    params: Mapping[str, Mapping[str, FloatArray]], network: Network, index: int
) -> FloatArray | None:
    """The matrix of a layer's inputs; None beyond the last layer."""
    if index >= len(network.layers):
        return None
    layer = network.layers[index]
    return params[layer.name][INPUT_MATRIX[layer.kind]]


def _masks_of_layer(
    entry: Mapping[str, FloatArray],
    layer: Layer,
    choice: LayerPlan,
    kept_inputs: BoolArray,
    kept_outputs: BoolArray,
    ramp_frac: float,
    choose: Choose,
) -> dict[str, BoolArray]:
    gates = gate_count(layer.kind)
    kept_rows = np.tile(kept_outputs, gates)
    columns = {
        name: kept_outputs if name == "w_hh" else kept_inputs for name in entry if name.startswith("w")
    }
    masks = {name: kept_rows[:, None] & kept[None, :] for name, kept in columns.items()}
    choices = {name: choice.of_matrix(name) for name in columns}
    for zeros in dict.fromkeys(own.zeros for own in choices.values()):
        together = [name for name, own in choices.items() if own.zeros == zeros]
        left = {name: _of_columns(entry[name], columns[name]) for name in together}
        chosen = _masks_together(left, choices[together[0]], gates, ramp_frac, partial(choose, layer.name))
        for name, kept in chosen.items():
            if columns[name].all():
                masks[name] &= kept
            else:
                masks[name][:, columns[name]] &= kept
    if not kept_outputs.all():
        masks |= {name: kept_rows.copy() for name in entry if name.startswith("bias")}
    return masks


def _of_columns(matrix: FloatArray, kept: BoolArray) -> FloatArray:
    """The columns that are kept; the matrix itself where all are."""
    return matrix if kept.all() else np.ascontiguousarray(matrix[:, kept])


def _masks_together(
    left: Mapping[str, FloatArray],
    choice: MatrixChoice,
    gates: int,
    ramp_frac: float,
    choose: Callable[[Mapping[str, FloatArray], NDArray[np.int64] | None, float], dict[str, BoolArray]],
) -> dict[str, BoolArray]:
    """Masks of matrices that share a choice; none where it leaves no zeros in them."""
    if choice.structure in ("dense", "unit") or ramp_frac * choice.sparsity_frac == 0.0:
        return {}
    if choice.structure == "two_four":
        return _two_four_masks(left, ramp_frac)
    block = choice.block or (1, 1)
    scores = {
        name: group_scores(matrix, choice.structure, block=block, gates=gates)
        for name, matrix in left.items()
    }
    elems = None
    if choice.structure == "block":
        elems = np.concatenate(
            [group_elems(matrix.shape, block, gates).reshape(-1) for matrix in left.values()]
        )
    kept = choose(scores, elems, ramp_frac * choice.sparsity_frac)
    return {name: expand_groups(part, left[name].shape, block=block) for name, part in kept.items()}


def two_four_mask(weights: FloatArray) -> BoolArray:
    """(R, C) True = kept: of each aligned group of 4 inputs the two largest; the last may be cut short.

    Among equals the earlier one goes first.

    >>> two_four_mask(np.array([[4.0, 1.0, -3.0, 2.0, 9.0, 7.0, 8.0]])).tolist()
    [[True, False, True, False, True, False, True]]
    """
    rows, columns = weights.shape
    padded = np.full((rows, -(-columns // 4) * 4), -1.0, weights.dtype)
    padded[:, :columns] = np.abs(weights)
    groups = padded.reshape(rows, -1, 4)
    largest = np.argsort(groups, axis=2, kind="stable")[:, :, 2:]
    kept = np.zeros(groups.shape, bool)
    np.put_along_axis(kept, largest, True, axis=2)
    return kept.reshape(rows, -1)[:, :columns]


def _two_four_masks(left: Mapping[str, FloatArray], ramp_frac: float) -> dict[str, BoolArray]:
    """Masks of a layer's matrices; before the end of the ramp the smallest of the weights that go."""
    masks = {name: two_four_mask(matrix) for name, matrix in left.items()}
    if ramp_frac < 1.0:
        leaving = np.concatenate([np.abs(left[name][~mask]) for name, mask in masks.items()])
        stays = np.ones(leaving.size, bool)
        stays[_lowest(leaving, round(ramp_frac * leaving.size))] = False
        start = 0
        for mask in masks.values():
            count = int((~mask).sum())
            mask[~mask] = stays[start : start + count]
            start += count
    return masks


def apply_masks(params: Mapping[str, Mapping[str, FloatArray]], masks: Masks) -> dict[str, dict[str, Any]]:
    """Parameters with everything pruned set to zero."""
    return {
        layer: {
            name: array * masks[layer][name] if name in masks.get(layer, {}) else array
            for name, array in entry.items()
        }
        for layer, entry in params.items()
    }


def kept_outputs_of(masks: Masks, layer: Layer) -> BoolArray:
    """(H,) which units (outputs, output channels) of a layer its masks leave."""
    units = unit_count(layer)
    rows = masks.get(layer.name, {}).get("bias")
    return np.ones(units, bool) if rows is None else rows[:units]


def shrink(
    params: Mapping[str, Mapping[str, FloatArray]], masks: Masks, network: Network
) -> dict[str, dict[str, FloatArray]]:
    """Parameters without the rows and columns of removed units: what is really stored."""
    small: dict[str, dict[str, FloatArray]] = {}
    kept_inputs = np.ones(network.bands, bool)
    for layer in network.layers:
        kept = kept_outputs_of(masks, layer)
        rows = np.tile(kept, gate_count(layer.kind))
        small[layer.name] = {}
        for name, array in params[layer.name].items():
            if name.startswith("w"):
                columns = kept if name == "w_hh" else kept_columns(layer, kept_inputs)
                array = array[np.ix_(rows, columns)]
            elif name.startswith("bias"):
                array = array[rows]
            small[layer.name][name] = np.array(array, order="C")
        kept_inputs = np.tile(kept, positions_of(layer))
    return small
