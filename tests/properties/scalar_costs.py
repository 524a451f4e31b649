"""Slow scalar twins of the vectorised cost kernels: one plan, one layer, plain Python numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from npuexplore.compression.plan import CompressionPlan
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.counts import ELEMENTWISE_PER_UNIT, LUT_PER_UNIT
from npuexplore.workload.network import DenseLayer, Network, gate_count, output_features


@dataclass(frozen=True)
class ScalarLayer:
    kept_macs: int
    weight_bytes: int
    cycles: int


def cdiv(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def scalar_micronpu(profile: HardwareProfile, network: Network, plan: CompressionPlan) -> list[ScalarLayer]:
    """Layers of one plan on a block-skipping microNPU in its default memory mode."""
    found, inputs = [], network.bands
    for layer in network.layers:
        choice, gates, units = plan.of(layer.name), gate_count(layer.kind), output_features(layer)
        if choice.structure == "unit":
            units = max(1, units - round(choice.sparsity_frac * units))
        columns = [inputs] if isinstance(layer, DenseLayer) else [inputs, units]
        found.append(_layer(profile, layer, choice, gates, units, columns))
        inputs = units
    return found


def _layer(profile, layer, choice, gates, units, columns) -> ScalarLayer:  # type: ignore[no-untyped-def]
    engine = profile.engine
    assert isinstance(engine, MicroNpu)
    mode = profile.memory_modes[profile.default_memory_mode]
    flash, sram = profile.memories[mode.weights], profile.memories[mode.activations]
    bits, width = choice.weight_bits, choice.activation_bits // 8
    rows, cols = choice.block or (1, 1)
    groups = sum(gates * cdiv(units, rows) * cdiv(c, cols) for c in columns)
    dropped = min(round(choice.sparsity_frac * groups), groups - 1)
    zeros = dropped / groups if choice.structure in ("weight", "block") else 0.0
    weights = sum(gates * units * c for c in columns)
    kept = weights - round(weights * zeros)
    passes = engine.mac_passes_16bit_activations if choice.activation_bits == 16 else 1
    passes *= engine.mac_passes_4bit_weights if bits == 4 else 1
    activations = (columns[0] + units) * width
    if layer.kind != "dense":
        activations += units * width
    if layer.kind == "lstm":
        activations += 4 * units

    def busy(array_cycles: int, decoded: int, stored: int) -> int:
        streams = [
            stored / Fraction(flash.bytes_per_cycle).limit_denominator(10_000) + flash.read_latency_cycles,
            activations / Fraction(sram.bytes_per_cycle) + sram.read_latency_cycles,
        ]
        decode = cdiv(decoded * bits, 8) / Fraction(engine.decoded_bytes_per_cycle).limit_denominator(10_000)
        return max(array_cycles * passes, math.ceil(decode), *(math.ceil(stream) for stream in streams))

    tiles = sum(
        gates * cdiv(units, engine.outputs_per_cycle) * cdiv(c, engine.inputs_per_cycle) for c in columns
    )
    dense_bytes = sum(cdiv(gates * units * c * bits, 8) for c in columns)
    best = (busy(tiles, weights, dense_bytes), dense_bytes)
    high, wide = engine.granule
    touched = (1 + (high - math.gcd(high, rows)) / rows) * (1 + (wide - math.gcd(wide, cols)) / cols)
    stored_bytes = decoded = 0
    for c in columns:
        granules = gates * cdiv(units, high) * cdiv(c, wide)
        surviving = round(granules * (1.0 - zeros**touched))
        decoded += surviving * high * wide
        stored_bytes += cdiv(granules * engine.map_bits_per_granule + surviving * high * wide * bits, 8)
    array = cdiv(max(decoded, kept), engine.outputs_per_cycle * engine.inputs_per_cycle)
    skipping = (busy(array, decoded, stored_bytes), stored_bytes)
    if skipping[1] <= best[1] and skipping[0] < best[0]:
        best = skipping
    overhead = engine.cycles_per_layer + engine.cycles_per_block_row * gates * cdiv(
        units, engine.block_row_outputs
    )
    looked_up = LUT_PER_UNIT.get(layer.kind, int(getattr(layer, "activation", "none") in ("sigmoid", "tanh")))
    lut = math.ceil(units * looked_up / Fraction(engine.lut_elems_per_cycle))
    elementwise = math.ceil(
        units * ELEMENTWISE_PER_UNIT.get(layer.kind, 0) / Fraction(engine.elementwise_ops_per_cycle)
    )
    return ScalarLayer(kept, best[1], best[0] + overhead + lut + elementwise)
