"""estimate(): profile, network and plans in; cycles, bytes, energy and what fits out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import CompressionPlan, PlanBatch, batch_plans
from npuexplore.compression.shapes import PlanShapes, plan_shapes
from npuexplore.cost import cortex_m, ethos_u, footprint, micronpu
from npuexplore.cost.assumptions import assumption_sentences
from npuexplore.cost.compute import TERMS, EngineCosts
from npuexplore.cost.energy import frame_energy_uj, network_energy_uj, unknown_energy_keys
from npuexplore.cost.front_end import FrontEndCosts, front_end_costs
from npuexplore.cost.result import Estimate, LayerEstimates, Totals
from npuexplore.cost.states import distinct_states, joined_costs, spread
from npuexplore.cost.traffic import Route, route_of
from npuexplore.errors import BadInput, UsageError
from npuexplore.hardware.engines import block_granules
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.units import cycles_to_ms
from npuexplore.workload.counts import Counts, NetworkTables, network_tables
from npuexplore.workload.network import Network

CHUNK_PLANS = 65_536
"""Plans looked at together for layers in the same state; bounds the memory of intermediate arrays."""
COSTED_PLANS = 2_048
"""Plans costed at once; their arrays stay in the cache."""

ENGINES: Mapping[str, Callable[..., EngineCosts]] = {
    "ethos_u": ethos_u.layer_costs,
    "micronpu": micronpu.layer_costs,
    "cortex_m": cortex_m.layer_costs,
}


@dataclass(frozen=True)
class Part:
    """Everything that does not depend on the plans."""

    profile: HardwareProfile
    network: Network
    memory_mode: str
    tables: NetworkTables
    route: Route
    front_end: FrontEndCosts

    @property
    def bound_names(self) -> tuple[str, ...]:
        """What can bind a layer, in the order of `bound_by`."""
        return (*TERMS, *(f"memory:{name}" for name in self.route.regions))


@dataclass(frozen=True)
class _Resident:
    """(P,) what a chunk of plans occupies and burns."""

    flash_bytes: Counts
    sram_bytes: Counts
    network_energy_uj: NDArray[np.float64] | None


def estimate(
    profile: HardwareProfile,
    network: Network,
    plans: PlanBatch | CompressionPlan | Sequence[CompressionPlan],
    *,
    memory_mode: str | None = None,
) -> Estimate:
    """Costs of P plans for one network on one part, layer by layer and in total.

    Raises UsageError for an unknown memory mode, BadInput for plans of another network.

    >>> from npuexplore import load_network, load_profile
    >>> result = estimate(load_profile("ethos-u55-128"), load_network("tinylstm"), CompressionPlan())
    >>> int(result.macs[0])
    966656
    """
    batch = _as_batch(plans, network)
    mode = _known_mode(profile, memory_mode)
    part = part_of(profile, network, memory_mode=mode)
    layers, resident, formats = _all_chunks(part, batch)
    totals = _totals(part, batch, layers, resident)
    route, memories = part.route, profile.memories
    return Estimate(
        **vars(totals),
        profile=profile,
        network=network,
        memory_mode=mode,
        plans=batch,
        layer_names=("front_end", *(layer.name for layer in network.layers)),
        layer_kinds=("front_end", *part.tables.kinds),
        bound_names=part.bound_names,
        formats=formats,
        layers=layers,
        fits_flash=totals.flash_bytes <= memories[route.storage].capacity_bytes,
        fits_sram=totals.sram_bytes <= memories[route.activations].capacity_bytes,
        fits_deadline=totals.latency_ms <= network.frame_clock.frame_deadline_ms,
        flash_capacity_bytes=memories[route.storage].capacity_bytes,
        sram_capacity_bytes=memories[route.activations].capacity_bytes,
        deadline_ms=network.frame_clock.frame_deadline_ms,
        assumptions=assumption_sentences(profile, network, batch, memory_mode=mode, route=route),
    )


def part_of(profile: HardwareProfile, network: Network, *, memory_mode: str) -> Part:
    """A network on a part in one of its memory modes."""
    return Part(
        profile=profile,
        network=network,
        memory_mode=memory_mode,
        tables=network_tables(network),
        route=route_of(profile, memory_mode),
        front_end=front_end_costs(network, profile.front_end),
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
    return batch


def _known_mode(profile: HardwareProfile, memory_mode: str | None) -> str:
    mode = profile.default_memory_mode if memory_mode is None else memory_mode
    if mode not in profile.memory_modes:
        raise UsageError(
            f"memory mode: got {mode!r}; profile {profile.name} has {', '.join(profile.memory_modes)}; "
            "name one of those"
        )
    return mode


def _all_chunks(part: Part, plans: PlanBatch) -> tuple[LayerEstimates, _Resident, tuple[str, ...]]:
    count = len(plans)
    chunks = [
        _chunk(part, plans.take(slice(start, start + CHUNK_PLANS)))
        for start in range(0, max(count, 1), CHUNK_PLANS)
    ]
    layers = _joined([layers for layers, _, _ in chunks])
    residents = [resident for _, resident, _ in chunks]
    energies = [r.network_energy_uj for r in residents if r.network_energy_uj is not None]
    resident = _Resident(
        flash_bytes=np.concatenate([r.flash_bytes for r in residents]),
        sram_bytes=np.concatenate([r.sram_bytes for r in residents]),
        network_energy_uj=np.concatenate(energies) if energies else None,
    )
    return layers, resident, chunks[0][2]


def _chunk(part: Part, plans: PlanBatch) -> tuple[LayerEstimates, _Resident, tuple[str, ...]]:
    profile, tables = part.profile, part.tables
    shapes = plan_shapes(tables, plans)
    costs = layer_costs(part, shapes)
    layers = LayerEstimates(
        macs=_with_front_end(np.broadcast_to(tables.dense_macs, costs.cycles.shape), 0),
        kept_macs=_with_front_end(shapes.kept_macs, 0),
        compute_cycles=_with_front_end(costs.compute_cycles, part.front_end.engine_cycles),
        cycles=_with_front_end(costs.cycles, part.front_end.engine_cycles),
        weight_bytes=_with_front_end(costs.weight_bytes, 0),
        bound_by=_with_front_end(_bound_by(part, costs), TERMS.index("cpu")),
        weight_format=_with_front_end(costs.weight_format, 0),
        memory_cycles={name: _with_front_end(value, 0) for name, value in costs.memory_cycles.items()},
    )
    bias = footprint.bias_bytes(tables, shapes, bytes_per_output=profile.runtime.bias_bytes_per_output)
    flash = footprint.flash_bytes(
        weight_bytes=costs.weight_bytes,
        bias_bytes=bias,
        matrices=int(tables.matrix_gates.size),
        runtime=profile.runtime,
        front_end=part.front_end,
    )
    arena = footprint.arena_over_time(
        profile, part.route, tables, shapes, costs=costs, front_end=part.front_end
    )
    sram = arena.max(axis=0)
    return layers, _Resident(flash, sram, _network_energy(part, costs)), costs.formats


def layer_costs(part: Part, shapes: PlanShapes) -> EngineCosts:
    """Costs of every layer of every plan; layers in the same state are costed once."""
    states = distinct_states(shapes, part.tables)
    if states is None:
        return _engine_costs(part, shapes)
    return spread(_engine_costs(part, states.shapes), states.index)


def _engine_costs(part: Part, shapes: PlanShapes) -> EngineCosts:
    engine, rows = part.profile.engine, shapes.units.shape[0]
    costs = ENGINES[engine.family]
    runs = [slice(start, start + COSTED_PLANS) for start in range(0, max(rows, 1), COSTED_PLANS)]
    parts = [costs(engine, part.route, part.tables, shapes.take(run)) for run in runs]
    return parts[0] if len(parts) == 1 else joined_costs(parts)


def _network_energy(part: Part, costs: EngineCosts) -> NDArray[np.float64] | None:
    if unknown_energy_keys(part.profile, part.route.regions, kinds=part.tables.kinds):
        return None
    return network_energy_uj(part.profile, part.tables, costs)


def _bound_by(part: Part, costs: EngineCosts) -> NDArray[np.int8]:
    """(P, L) index of the greatest term or memory; the earlier one among equals."""
    values = {**costs.terms, **{f"memory:{name}": value for name, value in costs.memory_cycles.items()}}
    greatest = np.full_like(costs.cycles, -1)
    code = np.zeros(greatest.shape, np.int8, order="F")
    for index, name in enumerate(part.bound_names):
        if name in values:
            code[values[name] > greatest] = index
            greatest = np.maximum(greatest, values[name])
    return code


def _with_front_end(values: NDArray[Any], front_end: int) -> NDArray[Any]:
    """(P, L) values behind a column for the front end."""
    plans, layers = values.shape
    joined = np.empty((plans, layers + 1), values.dtype, order="F")
    joined[:, 0] = front_end
    joined[:, 1:] = values
    return joined


def _joined(chunks: Sequence[LayerEstimates]) -> LayerEstimates:
    if len(chunks) == 1:
        return chunks[0]
    regions = chunks[0].memory_cycles
    return LayerEstimates(
        **{
            name: _stacked([getattr(chunk, name) for chunk in chunks])
            for name in vars(chunks[0])
            if name != "memory_cycles"
        },
        memory_cycles={name: _stacked([chunk.memory_cycles[name] for chunk in chunks]) for name in regions},
    )


def _stacked(chunks: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([chunk.T for chunk in chunks], axis=1).T


def _totals(part: Part, plans: PlanBatch, layers: LayerEstimates, resident: _Resident) -> Totals:
    clock = part.network.frame_clock
    cycles = layers.cycles.sum(axis=1)
    front_end = part.front_end.engine_cycles
    mean_cycles = front_end + (cycles - front_end) * (1.0 - plans.skip_rate_frac)
    latency_ms = cycles_to_ms(cycles, clock_hz=part.profile.clock_hz)
    mean_latency_ms = cycles_to_ms(mean_cycles, clock_hz=part.profile.clock_hz)
    energy_uj = _energy_uj(part, plans, resident, mean_latency_ms)
    return Totals(
        macs=layers.macs.sum(axis=1),
        kept_macs=layers.kept_macs.sum(axis=1),
        cycles=cycles,
        latency_ms=latency_ms,
        mean_latency_ms=mean_latency_ms,
        flash_bytes=resident.flash_bytes,
        sram_bytes=resident.sram_bytes,
        weight_bytes=layers.weight_bytes.sum(axis=1),
        energy_uj=energy_uj,
        average_power_mw=None if energy_uj is None else energy_uj / clock.frame_period_ms,
        real_time_factor=latency_ms / clock.frame_deadline_ms,
    )


def _energy_uj(
    part: Part, plans: PlanBatch, resident: _Resident, mean_latency_ms: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    if resident.network_energy_uj is None:
        return None
    return frame_energy_uj(
        part.profile,
        part.front_end,
        network_uj=resident.network_energy_uj,
        skip_rate_frac=plans.skip_rate_frac,
        mean_latency_ms=mean_latency_ms,
        frame_period_ms=part.network.frame_clock.frame_period_ms,
    )
