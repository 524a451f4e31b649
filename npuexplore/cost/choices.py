"""The search path: totals of millions of plans from tables over each layer's choices.

A layer's figures depend on its own choice and on what the layer before hands on (units and width), so that
one table per layer, costed once by the full model, holds everything a search asks of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import CHOICE_FIELDS, CompressionPlan, LayerPlan, PlanBatch, batch_plans
from npuexplore.compression.shapes import plan_shapes
from npuexplore.cost.footprint import edge_bytes, fixed_bytes
from npuexplore.cost.layers import layer_figures
from npuexplore.cost.part import Part, part_of
from npuexplore.cost.result import Totals
from npuexplore.cost.states import joined
from npuexplore.cost.supported import refuse_unsupported
from npuexplore.cost.totals import LayerSums, totals_of
from npuexplore.errors import BadInput
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.counts import Counts
from npuexplore.workload.network import Network

CHUNK_PLANS = 8_192
"""Plans looked up at once; their sums stay in the cache."""

Index = NDArray[np.integer]


@dataclass(frozen=True)
class LayerTable:
    """One layer's figures; row = hand-over of the layer before * choices + own choice."""

    hand_over: NDArray[np.intp]
    """(choices of the layer before,) first row of what each of them hands on; (1,) for the first layer."""
    cycles: Counts
    kept_macs: Counts
    weight_bytes: Counts
    flash_bytes: Counts
    always_bytes: Counts
    own_bytes: Counts
    edge_bytes: Counts
    """Of the tensor into the layer."""
    energy_uj: NDArray[np.float64] | None


@dataclass(frozen=True)
class ChoiceTables:
    """A network on a part, with everything that its layers may choose from."""

    part: Part
    layers: tuple[LayerTable, ...]
    mask_bytes: Counts
    """(choices of the last layer,)"""
    edges_in_own: bool
    skip_rates_frac: NDArray[np.float64]

    @property
    def rows(self) -> int:
        """Layer states that were costed."""
        return sum(table.cycles.size for table in self.layers)


def choice_tables(
    profile: HardwareProfile,
    network: Network,
    choices: Sequence[Sequence[LayerPlan]],
    *,
    skip_rates_frac: Sequence[float] = (0.0,),
    memory_mode: str | None = None,
) -> ChoiceTables:
    """Tables of every choice of every layer, from the full model.

    choices : for each layer of the network, the plans that it may have.
    Raises UsageError for an unknown memory mode, BadInput for choices that the network or part cannot have.
    """
    if len(choices) != len(network.layers) or not all(choices):
        raise BadInput(
            f"choices: got {len(choices)} lists; network {network.name} needs {len(network.layers)}, one for "
            "each layer, none of them empty"
        )
    part = part_of(profile, network, memory_mode=memory_mode)
    tables = [_layer_table(part, choices, layer) for layer in range(len(choices))]
    return ChoiceTables(
        part=part,
        layers=tuple(table for table, _, _ in tables),
        mask_bytes=tables[-1][1],
        edges_in_own=tables[-1][2],
        skip_rates_frac=np.asarray(skip_rates_frac, np.float64),
    )


def totals_of_choices(tables: ChoiceTables, choices: Index, skip: Index | None = None) -> Totals:
    """Totals of P plans; what `estimate` says of the same plans, number by number.

    choices : (P, L) index of each layer's choice ; skip : (P,) index into `skip_rates_frac`, the first where
    it is not given. Memory beside the result does not grow with P.
    """
    plans = len(choices)
    rates = np.zeros(plans, np.intp) if skip is None else skip
    starts = range(0, max(plans, 1), CHUNK_PLANS)
    runs = [slice(start, start + CHUNK_PLANS) for start in starts]
    return joined([_run_totals(tables, choices[run], rates[run]) for run in runs])


def _layer_table(
    part: Part, choices: Sequence[Sequence[LayerPlan]], layer: int
) -> tuple[LayerTable, Counts, bool]:
    """A layer's table, the bytes of its output under each choice, and where its edges are counted."""
    network, own = part.network, choices[layer]
    names = [each.name for each in network.layers]
    first_row, before = np.zeros(1, np.intp), [LayerPlan()]
    if layer:
        first_row, before = _hand_overs(part, choices[layer - 1], layer - 1, rows=len(own))
    singles = [CompressionPlan(layers={names[layer]: choice}) for choice in own]
    singles += [CompressionPlan(layers={names[layer - 1]: choice}) for choice in before if layer]
    batch = batch_plans(singles, network)
    if layer:
        batch = _pairs(batch, layer, choices=len(own))
    refuse_unsupported(part.profile, network, batch)
    shapes = plan_shapes(part.tables, batch)
    figures = layer_figures(part, shapes)
    edges = edge_bytes(part.route, shapes)
    energy = figures.energy_uj
    return (
        LayerTable(
            hand_over=first_row,
            cycles=figures.cycles[:, layer].copy(),
            kept_macs=figures.kept_macs[:, layer].copy(),
            weight_bytes=figures.weight_bytes[:, layer].copy(),
            flash_bytes=figures.flash_bytes[:, layer].copy(),
            always_bytes=figures.always_bytes[:, layer].copy(),
            own_bytes=figures.own_bytes[:, layer].copy(),
            edge_bytes=edges[:, layer].copy(),
            energy_uj=None if energy is None else energy[:, layer].copy(),
        ),
        edges[: len(own), layer + 1].copy(),
        figures.edges_in_own,
    )


def _pairs(singles: PlanBatch, layer: int, *, choices: int) -> PlanBatch:
    """Each choice of the layer before with each of the layer's own, which come first among `singles`."""
    before = len(singles) - choices
    pairs = singles.take(np.tile(np.arange(choices), before))
    first = singles.take(choices + np.repeat(np.arange(before), choices))
    for name, values in vars(pairs).items():
        if isinstance(values, np.ndarray) and values.ndim == 2:
            values[:, layer - 1] = getattr(first, name)[:, layer - 1]
    if pairs.matrices is not None and first.matrices is not None:
        of_before = np.array(pairs.matrices.owner) == layer - 1
        for name in CHOICE_FIELDS:
            getattr(pairs.matrices, name)[:, of_before] = getattr(first.matrices, name)[:, of_before]
    return pairs


def _hand_overs(
    part: Part, choices: Sequence[LayerPlan], layer: int, *, rows: int
) -> tuple[NDArray[np.intp], list[LayerPlan]]:
    """First row for each choice by what it hands on, and one choice for each that differs."""
    name = part.network.layers[layer].name
    plans = [CompressionPlan(layers={name: choice}) for choice in choices]
    shapes = plan_shapes(part.tables, batch_plans(plans, part.network))
    handed = np.stack([shapes.units[:, layer], shapes.activation_bits[:, layer]], axis=1)
    _, first, number = np.unique(handed, axis=0, return_index=True, return_inverse=True)
    return number.reshape(-1).astype(np.intp) * rows, [choices[index] for index in first]


def _run_totals(tables: ChoiceTables, choices: Index, skip: Index) -> Totals:
    rows = [
        table.hand_over[choices[:, layer - 1] if layer else 0] + choices[:, layer]
        for layer, table in enumerate(tables.layers)
    ]
    with_energy = tables.layers[0].energy_uj is not None
    sums = LayerSums(
        kept_macs=_summed(tables, "kept_macs", rows),
        cycles=_summed(tables, "cycles", rows),
        weight_bytes=_summed(tables, "weight_bytes", rows),
        flash_bytes=_summed(tables, "flash_bytes", rows),
        sram_bytes=_sram_bytes(tables, rows, choices[:, -1]),
        energy_uj=_summed(tables, "energy_uj", rows) if with_energy else None,
    )
    return totals_of(tables.part, sums, skip_rate_frac=tables.skip_rates_frac[skip])


def _summed(tables: ChoiceTables, name: str, rows: Sequence[NDArray[np.intp]]) -> NDArray[Any]:
    columns = [getattr(table, name) for table in tables.layers]
    total = columns[0].take(rows[0])
    for column, row in zip(columns[1:], rows[1:], strict=True):
        total += column.take(row)
    return np.asarray(total)


def _sram_bytes(tables: ChoiceTables, rows: Sequence[NDArray[np.intp]], last: Index) -> Counts:
    """(P,) what is always alive, and the fullest step: the front end's or a layer's."""
    part = tables.part
    edges = [table.edge_bytes.take(row) for table, row in zip(tables.layers, rows, strict=True)]
    edges.append(tables.mask_bytes.take(last))
    peak = np.maximum(edges[0], edges[-1]) + part.front_end.work_bytes
    for layer, (table, row) in enumerate(zip(tables.layers, rows, strict=True)):
        alive = table.own_bytes.take(row)
        if not tables.edges_in_own:
            alive += edges[layer]
            alive += edges[layer + 1]
        np.maximum(peak, alive, out=peak)
    always = _summed(tables, "always_bytes", rows)
    return np.asarray(peak + always + fixed_bytes(part.front_end, part.profile.runtime))
