"""The sentences that every estimate carries: what it takes for granted."""

from __future__ import annotations

from npuexplore.compression.plan import PlanBatch, has_sparse_weights
from npuexplore.cost.calibration import calibration_sentences
from npuexplore.cost.energy import unknown_energy_keys
from npuexplore.cost.engine_sentences import engine_sentences
from npuexplore.cost.front_end import front_end_sentence
from npuexplore.cost.traffic import Route
from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.counts import network_tables
from npuexplore.workload.network import Network

EXPECTED_ZEROS = (
    "sizes and skipped blocks are expectations: zero groups lie at random over a layer's matrices"
)
MATRICES_APART = (
    "where the plan treats the two matrices of a layer differently, each has its zeros within itself, and is "
    "stored in the format that suits the layer best, none larger than dense storage"
)
SCALES_PER_CHANNEL = (
    "where dense layers have a scale for each output, dense int8 kernels are CMSIS-NN's fc_s8_perch; any "
    "other takes as much more a row as that one does beside its loops"
)
SHARED_SRAM = (
    "SRAM is counted over time: tensors that are never alive together, the FFT's working buffer included, "
    "share memory without gaps"
)
ENERGY_SCOPE = (
    "energy, power and battery hours are those of the front end and the network alone, of cells at rated "
    "capacity and loaded voltage; microphones, radio and loudspeaker come on top"
)


def assumption_sentences(
    profile: HardwareProfile, network: Network, plans: PlanBatch, *, memory_mode: str, route: Route
) -> tuple[str, ...]:
    """What an estimate of these plans assumes, most general first, assumed figures last."""
    return (
        _memory_sentence(memory_mode, route),
        front_end_sentence(network, profile.front_end),
        *engine_sentences(profile.engine, route, network_tables(network)),
        *calibration_sentences(
            profile.calibration,
            kinds=(layer.kind for layer in network.layers),
            sparse=profile.calibration is not None and has_sparse_weights(plans),
        ),
        EXPECTED_ZEROS,
        *((MATRICES_APART,) if plans.matrices is not None else ()),
        *_scale_sentences(profile, plans),
        SHARED_SRAM,
        *_skip_sentences(plans),
        *_energy_sentences(profile, network, route),
        *_assumed_figures(profile),
    )


def _memory_sentence(memory_mode: str, route: Route) -> str:
    """Which memory holds what."""
    places = [f"weights in {route.weights}", f"activations and state in {route.activations}"]
    if route.network_io != route.activations:
        places.append(f"the network's inputs and outputs in {route.network_io}")
    if route.staging is not None and route.staging != route.weights:
        places.append(f"weights may be staged in {route.staging}")
    if route.arena_limit_bytes is not None:
        places.append(f"at most {route.arena_limit_bytes:,} bytes of {route.activations} for the network")
    return f"memory mode {memory_mode}: {', '.join(places)}"


def _scale_sentences(profile: HardwareProfile, plans: PlanBatch) -> tuple[str, ...]:
    per_channel = plans.channel_scales is not None and plans.channel_scales.any()
    return (SCALES_PER_CHANNEL,) if per_channel and isinstance(profile.engine, CortexM) else ()


def _skip_sentences(plans: PlanBatch) -> tuple[str, ...]:
    if not plans.skip_rate_frac.any():
        return ()
    return (
        "in a skipped frame the last mask is used again: the front end runs, no layer does; "
        "latency is the worst case, mean latency and energy are means",
    )


def _energy_sentences(profile: HardwareProfile, network: Network, route: Route) -> tuple[str, ...]:
    kinds = tuple(layer.kind for layer in network.layers)
    unknown = unknown_energy_keys(profile, route.regions, kinds=kinds)
    if not unknown:
        return (ENERGY_SCOPE,)
    return (f"energy unknown: {profile.name} has no sourced {', '.join(unknown)}",)


def _assumed_figures(profile: HardwareProfile) -> tuple[str, ...]:
    return tuple(
        f"figures without a source: {', '.join(entry.of)} ({entry.cite})"
        for entry in profile.sources
        if entry.source == "assumed"
    )
