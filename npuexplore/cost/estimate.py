"""estimate(): profile, network and plans in; cycles, bytes, energy and what fits out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import CompressionPlan, PlanBatch, batch_plans
from npuexplore.compression.shapes import PlanShapes, plan_shapes
from npuexplore.cost.assumptions import assumption_sentences
from npuexplore.cost.compute import TERMS
from npuexplore.cost.footprint import arena_over_time, edge_bytes
from npuexplore.cost.layers import LayerFigures, figures_of_runs
from npuexplore.cost.part import Part, part_of
from npuexplore.cost.result import Estimate, LayerEstimates
from npuexplore.cost.states import joined
from npuexplore.cost.supported import refuse_unsupported
from npuexplore.cost.totals import LayerSums, totals_of
from npuexplore.errors import BadInput
from npuexplore.hardware.engines import block_granules
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.counts import Counts, network_tables
from npuexplore.workload.network import Network

CHUNK_PLANS = 131_072
"""Plans looked at together for layers in the same state; bounds the memory of intermediate arrays."""


def estimate(
    profile: HardwareProfile,
    network: Network,
    plans: PlanBatch | CompressionPlan | Sequence[CompressionPlan],
    *,
    memory_mode: str | None = None,
) -> Estimate:
    """Costs of P plans for one network on one part, layer by layer and in total.

    Raises UsageError for an unknown memory mode, BadInput for plans of another network and for those that
    the part cannot store or run.

    >>> from npuexplore import load_network, load_profile
    >>> result = estimate(load_profile("ethos-u55-128"), load_network("tinylstm"), CompressionPlan())
    >>> int(result.macs[0])
    966656
    """
    batch = _as_batch(plans, network)
    refuse_unsupported(profile, network, batch)
    part = part_of(profile, network, memory_mode=memory_mode)
    layers, sums, formats = _layers_and_sums(part, batch)
    totals = totals_of(part, sums, skip_rate_frac=batch.skip_rate_frac)
    route, memories = part.route, profile.memories
    engine_weights, capacity = layers.weight_bytes[:, 1:] @ part.on_engine, part.weight_capacity_bytes
    return Estimate(
        **vars(totals),
        profile=profile,
        network=network,
        memory_mode=part.memory_mode,
        plans=batch,
        layer_names=("front_end", *(layer.name for layer in network.layers)),
        layer_kinds=("front_end", *part.tables.kinds),
        bound_names=part.bound_names,
        formats=formats,
        layers=layers,
        fits_flash=totals.flash_bytes <= memories[route.storage].capacity_bytes,
        fits_sram=totals.sram_bytes <= memories[route.activations].capacity_bytes,
        fits_weights=engine_weights <= (np.inf if capacity is None else capacity),
        fits_deadline=totals.latency_ms <= network.frame_clock.frame_deadline_ms,
        flash_capacity_bytes=memories[route.storage].capacity_bytes,
        sram_capacity_bytes=memories[route.activations].capacity_bytes,
        weight_capacity_bytes=capacity,
        engine_weight_bytes=engine_weights,
        deadline_ms=network.frame_clock.frame_deadline_ms,
        assumptions=assumption_sentences(profile, network, batch, memory_mode=part.memory_mode, route=route),
    )


def block_shapes(profile: HardwareProfile) -> list[tuple[int, int]]:
    """Blocks [outputs, inputs] worth offering to a search on this part, in the profile's order."""
    return block_granules(profile.engine)


def _as_batch(plans: PlanBatch | CompressionPlan | Sequence[CompressionPlan], network: Network) -> PlanBatch:
    if isinstance(plans, CompressionPlan):
        return batch_plans([plans], network)
    batch = plans if isinstance(plans, PlanBatch) else batch_plans(plans, network)
    if batch.structure.ndim != 2 or batch.structure.shape[1] != len(network.layers):
        raise BadInput(
            f"plans: got arrays of shape {batch.structure.shape}; network {network.name} needs "
            f"(plans, {len(network.layers)}), a choice for each layer"
        )
    tables, own = network_tables(network), batch.matrices
    if own is not None and own.structure.shape[1:] != tables.matrix_layer.shape:
        raise BadInput(
            f"plans: matrices: got arrays of shape {own.structure.shape}; network {network.name} needs "
            f"(plans, {tables.matrix_layer.size}), a choice for each matrix"
        )
    return batch


def _layers_and_sums(part: Part, plans: PlanBatch) -> tuple[LayerEstimates, LayerSums, tuple[str, ...]]:
    edges: list[Counts] = []

    def shapes_of_runs() -> Iterator[PlanShapes]:
        for start in range(0, max(len(plans), 1), CHUNK_PLANS):
            shapes = plan_shapes(part.tables, plans.take(slice(start, start + CHUNK_PLANS)))
            edges.append(edge_bytes(part.route, shapes))
            yield shapes

    runs = [_run(part, figures, edges.pop(0)) for figures in figures_of_runs(part, shapes_of_runs())]
    layers, sums, formats = zip(*runs, strict=True)
    return joined(layers), joined(sums), formats[0]


def _run(
    part: Part, figures: LayerFigures, edges: Counts
) -> tuple[LayerEstimates, LayerSums, tuple[str, ...]]:
    front_end_cycles = part.front_end.engine_cycles
    live = arena(part, figures, edges)
    layers = LayerEstimates(
        macs=_with_front_end(np.broadcast_to(part.tables.dense_macs, figures.cycles.shape), 0),
        kept_macs=_with_front_end(figures.kept_macs, 0),
        compute_cycles=_with_front_end(figures.compute_cycles, front_end_cycles),
        cycles=_with_front_end(figures.cycles, front_end_cycles),
        weight_bytes=_with_front_end(figures.weight_bytes, 0),
        bound_by=_with_front_end(figures.bound_by, TERMS.index("cpu")),
        weight_format=_with_front_end(figures.weight_format, 0),
        memory_cycles={name: _with_front_end(value, 0) for name, value in figures.memory_cycles.items()},
        live_bytes=live.T,
    )
    sums = LayerSums(
        kept_macs=figures.kept_macs.sum(axis=1),
        cycles=figures.cycles.sum(axis=1),
        weight_bytes=figures.weight_bytes.sum(axis=1),
        flash_bytes=figures.flash_bytes.sum(axis=1),
        sram_bytes=live.max(axis=0),
        energy_uj=None if figures.energy_uj is None else figures.energy_uj.sum(axis=1),
    )
    return layers, sums, figures.formats


def arena(part: Part, figures: LayerFigures, edges: Counts) -> Counts:
    """(S, P) bytes alive in the activations' memory at every step of a frame; see `edge_bytes`."""
    return arena_over_time(
        own=figures.own_bytes,
        edges=edges,
        always=figures.always_bytes,
        edges_in_own=figures.edges_in_own,
        front_end=part.front_end,
        runtime=part.profile.runtime,
    )


def _with_front_end(values: NDArray[Any], front_end: int) -> NDArray[Any]:
    """(P, L) values behind a column for the front end."""
    plans, layers = values.shape
    joined = np.empty((plans, layers + 1), values.dtype, order="F")
    joined[:, 0] = front_end
    joined[:, 1:] = values
    return joined
