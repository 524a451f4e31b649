"""What an estimate takes for granted about its engine, as far as the profile and the network touch it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from npuexplore.cost.micronpu.fallback import fallback_sentences
from npuexplore.cost.traffic import Route
from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.workload.counts import NetworkTables


def engine_sentences(engine: Any, route: Route, tables: NetworkTables) -> Iterator[str]:
    """Sentences of one engine, most general first."""
    yield from SENTENCES[engine.family](engine, route, tables)


def _ethos_u(engine: Any, route: Route, tables: NetworkTables) -> Iterator[str]:
    zeros = "zeros and narrow weights shorten the weight stream only, NPU cycles stay"
    if engine.family == "ethos_u85":
        zeros = "single zeros and narrow weights shorten the weight stream only; 2:4 weights also save cycles"
    yield f"Ethos-U after the cost model of Arm's compiler Vela: {zeros}"
    yield (
        "encoded weights have the size expected of Vela's coder for Gaussian weights with zeros at random, "
        "their grid ending at 4 (8 bits) to 2 (2 bits) standard deviations; trained weights are more peaked "
        "and take less, at 4 bits up to a third"
    )
    if route.staging is None or route.staging == route.weights:
        yield f"weights are read from {route.weights} as they are used"
    else:
        yield (
            f"weights are copied from {route.weights} into {route.staging} while the command before runs, "
            "where Vela's schedule would"
        )
    if "gru" in tables.kinds:
        yield "Vela has no GRU: a reset-after step is priced as the commands that it would become"


TRANSFERS = {
    "streamed": "overlap with weight decode and with weights streamed from memory",
    "double_buffered": "overlap with weight decode and with fetching the next tile of weights",
    "before_use": "overlap with weight decode and start when a layer's weights have been fetched",
}
ZEROS = {
    "none": "zeros are stored and multiplied like other weights",
    "compress_only": "zeros are stored in fewer bytes and multiplied like other weights",
    "two_four": "2:4 weights save cycles; other zeros are multiplied like other weights",
    "block_skip": "blocks of zeros are neither stored nor multiplied; other zeros are multiplied",
    "zero_skip": "zeros are neither stored nor multiplied",
}


def _micronpu(engine: MicroNpu, route: Route, tables: NetworkTables) -> Iterator[str]:
    yield (
        f"matrix-vector products {TRANSFERS[engine.weight_transfer]}; block rows and element-wise work "
        "overlap with nothing"
    )
    yield ZEROS[engine.sparsity_mode]
    if engine.sparsity_mode in ("block_skip", "zero_skip"):
        yield (
            "every output keeps its lanes of the MAC array, and all wait for the fullest one expected"
            if engine.keeps_lanes
            else "surviving blocks keep all lanes of the MAC array equally busy"
        )
    if len(engine.formats) > 1:
        yield (
            f"each layer is stored in the fastest of {', '.join(engine.formats)} that is no larger than "
            "dense storage"
        )
    yield from fallback_sentences(engine, route.fallback_cpu, tables)


def _cortex_m(engine: CortexM, route: Route, tables: NetworkTables) -> Iterator[str]:
    yield (
        f"CMSIS-NN dense kernels and plain C sparse kernels built by {engine.toolchain} for a "
        f"Cortex-{engine.kernels_of.upper()}, loop by loop with zero-wait memory (instructions counted, "
        f"cycles modelled), times {engine.cycles_ratio:g} on this part"
    )
    if engine.core != engine.kernels_of:
        yield (
            f"no kernel was counted on a Cortex-{engine.core.upper()}: it is taken for a "
            f"Cortex-{engine.kernels_of.upper()} at {engine.core_ratio:g} times the cycles"
        )
    yield "each layer runs the fastest kernel no larger than dense storage; sparse kernels are int8 only"
    if tables.recurrent.any():
        yield "inside recurrent steps, int4 weights run as fc_s4 and 16-bit activations as fc_s16 products"
    if "conv1x1" in tables.kinds:
        yield "a 1x1 convolution runs the fully connected kernel once for every position"


SENTENCES: dict[str, Callable[..., Iterator[str]]] = {
    "ethos_u": _ethos_u,
    "ethos_u85": _ethos_u,
    "micronpu": _micronpu,
    "cortex_m": _cortex_m,
}
