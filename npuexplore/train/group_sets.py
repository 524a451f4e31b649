"""The sets of groups that a plan prunes, as they stand at one step: sizes, and what the loss says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from npuexplore.compression.matrix_plan import MatrixChoice
from npuexplore.compression.plan import CompressionPlan
from npuexplore.compression.sparsity import (
    UNITS,
    BoolArray,
    Masks,
    block_sums,
    group_elems,
    group_scores,
    input_matrix,
    kept_columns,
    kept_outputs_of,
    unit_elems,
    unit_scores,
    unit_sums,
)
from npuexplore.train.params import unflatten
from npuexplore.units import FloatArray
from npuexplore.workload.network import Layer, Network, gate_count, positions_of

Arrays = Mapping[str, Mapping[str, FloatArray]]


@dataclass(frozen=True)
class GroupSet:
    """The weights or blocks of one matrix, or the units of one layer."""

    sizes: FloatArray
    """Norms of the groups, in any shape."""
    elems: Any
    """Weights in each group, or one number for all."""
    pull: FloatArray
    """Sums of weight times gradient: how the loss changes with each group. Empty without gradients."""


@dataclass(frozen=True)
class SetName:
    """Where a set lies, and what it shares its target with."""

    layer: str
    matrix: str
    """Or `units`."""
    zeros: tuple[str, float, tuple[int, int] | None]
    """Structure, sparsity and block: sets of a layer that have them in common are pruned together."""


def set_names(plan: CompressionPlan, network: Network, params: Arrays) -> list[SetName]:
    """Every set that a plan prunes by size, in the order of `group_sets`."""
    names = []
    for layer in network.layers:
        choice = plan.of(layer.name)
        if choice.structure == "unit" and choice.sparsity_frac > 0.0:
            names.append(SetName(layer.name, UNITS, ("unit", choice.sparsity_frac, None)))
        names += [
            SetName(layer.name, name, choice.of_matrix(name).zeros)
            for name in _matrices(params, layer)
            if _by_size(choice.of_matrix(name))
        ]
    return names


def group_sets(
    params: Arrays,
    plan: CompressionPlan,
    network: Network,
    *,
    masks: Masks | None = None,
    gradients: Mapping[str, FloatArray] | None = None,
) -> Iterator[GroupSet]:
    """Every set that a plan prunes by size; weights and blocks over what `masks` leave of the layer before.

    gradients : by flat name ("lstm_1/w_ih"), of the weights as if none were pruned.
    """
    kept_inputs = np.ones(network.bands, bool)
    for index, layer in enumerate(network.layers):
        choice = plan.of(layer.name)
        if choice.structure == "unit" and choice.sparsity_frac > 0.0:
            yield _units(params, network, index, gradients)
        for name in _matrices(params, layer):
            own = choice.of_matrix(name)
            if _by_size(own):
                columns = np.ones(1, bool) if name == "w_hh" else kept_columns(layer, kept_inputs)
                yield _groups(params, layer, name, own, columns, gradients)
        kept_inputs = np.tile(kept_outputs_of(masks or {}, layer), positions_of(layer))


def _matrices(params: Arrays, layer: Layer) -> list[str]:
    return [name for name in params[layer.name] if name.startswith("w")]


def _by_size(own: MatrixChoice) -> bool:
    return own.structure in ("weight", "block") and own.sparsity_frac > 0.0


def _groups(
    params: Arrays,
    layer: Layer,
    name: str,
    own: MatrixChoice,
    columns: BoolArray,
    gradients: Mapping[str, FloatArray] | None,
) -> GroupSet:
    gates, block = gate_count(layer.kind), own.block or (1, 1)
    kept: Any = slice(None) if columns.all() else columns
    left = params[layer.name][name][:, kept]
    pull = left[:0] if gradients is None else left * gradients[f"{layer.name}/{name}"][:, kept]
    elems: Any = 1
    if own.structure == "block":
        elems = group_elems(left.shape, block, gates)
        elems = int(elems.flat[0]) if elems.min() == elems.max() else np.ascontiguousarray(elems)
        pull = pull if gradients is None else block_sums(pull, block, gates)
    return GroupSet(group_scores(left, own.structure, block=block, gates=gates), elems, pull)


def _units(
    params: Arrays, network: Network, index: int, gradients: Mapping[str, FloatArray] | None
) -> GroupSet:
    layer = network.layers[index]
    entry, following = params[layer.name], input_matrix(params, network, index + 1)
    sizes = unit_scores(entry, layer, following).astype(np.float32)
    elems = unit_elems(entry, layer, following)
    if gradients is None:
        return GroupSet(sizes, elems, sizes[:0])
    pulls = {name: entry[name] * gradients[f"{layer.name}/{name}"] for name in _matrices(params, layer)}
    slopes = input_matrix(unflatten(gradients), network, index + 1)
    after = None if following is None or slopes is None else following * slopes
    sums = unit_sums(pulls, layer, after)
    for name in [name for name in entry if name.startswith("bias")]:
        sums += (entry[name] * gradients[f"{layer.name}/{name}"]).reshape(-1, sizes.size).sum(axis=0)
    return GroupSet(sizes, elems, sums.astype(np.float32))
