"""What is doubtful about an engine: rates that contradict each other, work that nobody does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.engines import Engine
from npuexplore.hardware.micronpu import MicroNpu, Operator
from npuexplore.hardware.profile import FallbackCpu, HardwareProfile

LEAST_KERNEL_RATIO = 0.4
"""Hand-written assembly takes about half of what CMSIS-NN takes; less than this is doubtful."""


def engine_doubts(profile: HardwareProfile) -> Iterator[tuple[str, str]]:
    """(key, problem) of everything doubtful about the engine and the CPU that stands in for it."""
    engine = profile.engine
    if isinstance(engine, MicroNpu):
        yield from _array_and_decoder(engine)
        yield from _sparsity(engine)
    if isinstance(engine, CortexM):
        yield from _kernels(engine)
    yield from _stand_in(profile)


def peak_macs_per_cycle(engine: Engine) -> float | None:
    """int8 products per cycle of a full MAC array; None for a CPU, whose kernels say it."""
    if isinstance(engine, CortexM):
        return None
    if isinstance(engine, MicroNpu):
        return float(engine.outputs_per_cycle * engine.inputs_per_cycle * engine.positions_per_cycle)
    return float(engine.macs_per_cycle)


def _array_and_decoder(engine: MicroNpu) -> Iterator[tuple[str, str]]:
    macs = engine.outputs_per_cycle * engine.inputs_per_cycle
    widest = max(engine.weight_bits)
    decoded = {
        "engine.decoded_bytes_per_cycle": 8 / widest * (engine.decoded_bytes_per_cycle or 0.0),
        "engine.decoded_weights_per_cycle": engine.decoded_weights_per_cycle or 0.0,
    }
    for index, rate in enumerate(engine.weight_rates):
        key = f"engine.weight_rates.{index}"
        decoded[f"{key}.decoded_weights_per_cycle"] = (rate.decoded_weights_per_cycle or 0.0) / max(
            1.0, rate.mac_rate_factor
        )
        if rate.mac_rate_factor > 8 / rate.weight_bits:
            yield (
                f"{key}.mac_rate_factor",
                f"{rate.mac_rate_factor:g} is more than 8 bits over {rate.weight_bits}",
            )
    for key, weights in decoded.items():
        if weights > macs:
            yield key, f"{weights:g} weights decoded for {macs} MACs in a cycle"
    for name in ("lut_elems_per_cycle", "elementwise_ops_per_cycle"):
        if getattr(engine, name) > macs:
            yield f"engine.{name}", f"{getattr(engine, name):g} is more than the {macs} MACs of a cycle"


def _sparsity(engine: MicroNpu) -> Iterator[tuple[str, str]]:
    rows, columns = engine.granule
    if engine.sparsity_mode == "compress_only" and set(engine.formats) == {"dense"}:
        yield "engine.formats", "compress_only needs a format that is smaller than dense"
    if rows > engine.block_row_outputs:
        yield "engine.granule", f"{rows} outputs are more than block_row_outputs {engine.block_row_outputs}"
    if rows * columns > 1 and engine.map_bits_per_granule == 0 and "block_bitmap" in engine.formats:
        yield "engine.map_bits_per_granule", "0 bits cannot say which granules are stored"
    if engine.index_bits_per_stored_granule == 0 and "block_index" in engine.formats:
        yield "engine.index_bits_per_stored_granule", "0 bits cannot say which granules are stored"


def _kernels(engine: CortexM) -> Iterator[tuple[str, str]]:
    for name, ratio in engine.ratios.model_dump().items():
        if ratio < LEAST_KERNEL_RATIO:
            yield (
                f"engine.ratios.{name}",
                f"{ratio:g} of what CMSIS-NN takes is faster than any known kernel",
            )


def _stand_in(profile: HardwareProfile) -> Iterator[tuple[str, str]]:
    cpu, engine = profile.fallback_cpu, profile.engine
    if isinstance(engine, MicroNpu):
        left_out = [operator for operator in get_args(Operator) if operator not in engine.runs]
        if left_out and cpu is None:
            yield "engine.runs", f"without {', '.join(left_out)}, and there is no fallback_cpu to run them"
        if cpu is not None and not left_out:
            yield "fallback_cpu", "never used: engine.runs leaves nothing out"
    if cpu is not None:
        yield from _slower_than_the_engine(profile, cpu)


def _slower_than_the_engine(profile: HardwareProfile, cpu: FallbackCpu) -> Iterator[tuple[str, str]]:
    peak = peak_macs_per_cycle(profile.engine)
    engine_cycles_per_mac = cpu.cycles_per_mac * cpu.engine_cycles_per_cpu_cycle
    if peak is not None and engine_cycles_per_mac * peak < 1:
        yield "fallback_cpu.cycles_per_mac", f"{cpu.cycles_per_mac:g} is faster than the engine itself"
