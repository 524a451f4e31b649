"""Slow scalar twin of the generic microNPU's cost model: one plan, one layer, plain Python numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.counts import ELEMENTWISE_PER_UNIT, LUT_PER_UNIT
from npuexplore.workload.network import Layer, Network, gate_count, is_recurrent, positions_of, unit_count


@dataclass(frozen=True)
class ScalarLayer:
    kept_macs: int
    weight_bytes: int
    cycles: int
    cpu_cycles: int


@dataclass(frozen=True)
class Case:
    """One layer under one choice, what unit pruning left of it."""

    profile: HardwareProfile
    layer: Layer
    choice: LayerPlan
    gates: int
    rows: int
    columns: tuple[int, ...]
    """Of each matrix."""
    positions: int

    @property
    def engine(self) -> MicroNpu:
        assert isinstance(self.profile.engine, MicroNpu)
        return self.profile.engine

    @property
    def zeros(self) -> float:
        if self.choice.structure not in ("weight", "block"):
            return 0.0
        r, c = self.choice.block or (1, 1)
        groups = sum(self.gates * cdiv(self.rows, r) * cdiv(columns, c) for columns in self.columns)
        return min(round(self.choice.sparsity_frac * groups), groups - 1) / groups

    @property
    def weights(self) -> int:
        return sum(self.gates * self.rows * columns for columns in self.columns)

    def kept(self, columns: int) -> int:
        elems = self.gates * self.rows * columns
        if self.choice.structure == "two_four":
            return self.gates * self.rows * sum(min(2, columns - start) for start in range(0, columns, 4))
        return elems - nearest(elems * self.zeros)

    def fillers(self, columns: int) -> int:
        """Zeros stored because 8 bits do not reach the next weight: one for every 255 zeros before it."""
        if self.choice.structure == "two_four":
            return 0
        wide = (self.choice.block or (1, 1))[1]
        expected = 0.0
        for group in range(cdiv(columns, wide)):
            for reach in range(255, columns, 255):
                if (zero_groups := cdiv(reach, wide)) <= group:
                    expected += (1.0 - self.zeros) * self.zeros**zero_groups
        return nearest(self.gates * self.rows * expected)

    @property
    def kept_weights(self) -> int:
        if self.choice.structure == "two_four":
            return sum(self.kept(columns) for columns in self.columns)
        return self.weights - nearest(self.weights * self.zeros)

    def surviving(self, high: int, wide: int) -> float:
        """Share of granules with a non-zero weight."""
        if self.choice.structure == "two_four":
            half = (1.0 - self.kept_weights / self.weights) ** high
            return {1: 1.0 - half, 2: 1.0 - (1.0 / 6.0) ** high}.get(wide, 1.0)
        r, c = self.choice.block or (1, 1)
        return 1.0 - sum(
            of_down * of_across * self.zeros ** (down * across)
            for down, of_down in touched_blocks(high, r)
            for across, of_across in touched_blocks(wide, c)
        )


@dataclass(frozen=True)
class Option:
    busy: int
    stored_bytes: int


class NearTieError(Exception):
    """A figure so close to a half that the last bit of a sum decides its rounding."""


def nearest(value: float) -> int:
    if abs(value % 1.0 - 0.5) < 1e-9 * max(value, 1.0):
        raise NearTieError
    return round(value)


def touched_blocks(granule: int, block: int) -> list[tuple[int, float]]:
    """(plan blocks that a granule touches along one axis, share of granules that touch so many)."""
    starts = range(0, math.lcm(granule, block), granule)
    touched = [(start + granule - 1) // block - start // block + 1 for start in starts]
    return [(count, touched.count(count) / len(touched)) for count in sorted(set(touched))]


def cdiv(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def exact(rate: float) -> Fraction:
    return Fraction(rate).limit_denominator(10_000)


def scalar_micronpu(profile: HardwareProfile, network: Network, plan: CompressionPlan) -> list[ScalarLayer]:
    """Layers of one plan on a microNPU in its default memory mode."""
    found, handed_in, before = [], network.bands, "cpu"
    for index, layer in enumerate(network.layers):
        choice, rows, positions = plan.of(layer.name), unit_count(layer), positions_of(layer)
        if choice.structure == "unit":
            rows = max(1, rows - round(choice.sparsity_frac * rows))
        columns = (handed_in, rows) if is_recurrent(layer) else (handed_in // positions,)
        case = Case(profile, layer, choice, gate_count(layer.kind), rows, columns, positions)
        starts = [_side(profile.engine, item)[0] for item in network.layers[index + 1 :]]
        found.append(_layer(case, handed_in, before, (*starts, "cpu")[0]))
        before = _side(profile.engine, layer)[1]
        handed_in = rows * positions
    return found


def _side(engine: Any, layer: Layer) -> tuple[str, str]:
    """Where a layer starts and where it ends."""
    if layer.kind not in engine.runs:
        return "cpu", "cpu"
    needed = {"sigmoid", "tanh"} if is_recurrent(layer) else {getattr(layer, "activation", "none")} - {"none"}
    return "engine", "engine" if needed <= set(engine.runs) else "cpu"


def _layer(case: Case, handed_in: int, before: str, after: str) -> ScalarLayer:
    engine, layer, units = case.engine, case.layer, case.rows * case.positions
    starts, ends = _side(engine, layer)
    width = case.choice.activation_bits // 8
    activations = (handed_in + units) * width
    activations += units * width if is_recurrent(layer) else 0
    activations += 4 * units if layer.kind == "lstm" else 0
    looked_up = LUT_PER_UNIT.get(layer.kind, int(getattr(layer, "activation", "none") in ("sigmoid", "tanh")))
    linear = ELEMENTWISE_PER_UNIT.get(layer.kind, 0)
    options = [_option(case, name, activations) for name in ("dense", *FORMATS) if _usable(case, name)]
    best = options[0]
    for option in options[1:]:
        better = (option.busy, option.stored_bytes) < (best.busy, best.stored_bytes)
        if better and option.stored_bytes <= options[0].stored_bytes:
            best = option
    after_products = cpu = 0
    if starts == "engine":
        after_products += engine.cycles_per_layer
        after_products += engine.cycles_per_block_row * case.gates * cdiv(case.rows, engine.block_row_outputs)
    if ends == "engine":
        after_products += math.ceil(units * looked_up / exact(engine.lut_elems_per_cycle))
        after_products += math.ceil(units * linear / exact(engine.elementwise_ops_per_cycle))
    else:
        price = case.profile.fallback_cpu
        assert price is not None
        linear += getattr(layer, "activation", "none") == "relu"
        work = units * (looked_up * price.cycles_per_lut_elem + linear * price.cycles_per_elementwise_op)
        if starts == "cpu":
            work += case.weights * case.positions * price.cycles_per_mac
            handed_over = (before == "engine") + (after == "engine")
        else:
            handed_over = 1 + (after == "engine")
        work += handed_over * price.cycles_per_handover
        cpu = nearest(work * price.engine_cycles_per_cpu_cycle)
    cycles = best.busy + after_products + cpu
    return ScalarLayer(case.kept_weights * case.positions, best.stored_bytes, cycles, cpu)


FORMATS = ("bitmap", "csr_delta8", "block_bitmap", "block_index", "two_four")


def _usable(case: Case, name: str) -> bool:
    if name == "dense":
        return True
    if case.layer.kind not in case.engine.runs or name not in case.engine.formats:
        return False
    return name != "two_four" or case.choice.structure == "two_four"


def _option(case: Case, name: str, activations: int) -> Option:
    engine, bits = case.engine, case.choice.weight_bits
    mode, (high, wide) = engine.sparsity_mode, engine.granule
    stored_bytes = decoded = indexed = 0
    for columns in case.columns:
        elems, kept = case.gates * case.rows * columns, case.kept(columns)
        blocks = case.gates * cdiv(case.rows, high) * cdiv(columns, wide)
        left = nearest(blocks * case.surviving(high, wide))
        slots = case.gates * case.rows * 2 * cdiv(columns, 4)
        size, out, looked = {
            "dense": (elems * bits, elems, 0),
            "bitmap": (elems + kept * bits, kept, kept),
            "csr_delta8": ((kept + case.fillers(columns)) * (bits + 8) + case.gates * case.rows * 16,
                           kept, kept),
            "block_bitmap": (blocks * engine.map_bits_per_granule + left * high * wide * bits,
                             left * high * wide, left),
            "block_index": (left * (high * wide * bits + engine.index_bits_per_stored_granule)
                            + case.gates * cdiv(case.rows, high) * engine.pointer_bits_per_granule_row,
                            left * high * wide, left),
            "two_four": (slots * (bits + 2), slots, 0),
        }[name]  # fmt: skip
        stored_bytes += cdiv(size, 8)
        decoded += out if _skips(mode, name) else elems
        indexed += looked
    if case.layer.kind not in engine.runs:
        work = 0
    else:
        array = _array(case, name, decoded)
        work = max(
            array, _decode(engine, decoded, bits) + math.ceil(indexed * exact(engine.cycles_per_index))
        )
    return Option(_busy(case, work, stored_bytes, activations), stored_bytes)


def _skips(mode: str, name: str) -> bool:
    return (mode, name) in {
        ("two_four", "two_four"),
        ("block_skip", "block_bitmap"),
        ("block_skip", "block_index"),
        ("zero_skip", "bitmap"),
        ("zero_skip", "csr_delta8"),
        ("zero_skip", "block_bitmap"),
        ("zero_skip", "block_index"),
    }


def _decode(engine: MicroNpu, decoded: int, bits: int) -> int:
    own = {rate.weight_bits: rate.decoded_weights_per_cycle for rate in engine.weight_rates}.get(bits)
    if own is not None:
        return math.ceil(decoded / exact(own))
    if engine.decoded_bytes_per_cycle is not None:
        return math.ceil(cdiv(decoded * bits, 8) / exact(engine.decoded_bytes_per_cycle))
    assert engine.decoded_weights_per_cycle is not None
    return math.ceil(decoded / exact(engine.decoded_weights_per_cycle))


def _array(case: Case, name: str, decoded: int) -> int:
    engine = case.engine
    lanes, inputs = engine.outputs_per_cycle, engine.inputs_per_cycle
    if not _skips(engine.sparsity_mode, name) or name == "two_four":
        across = [2 * cdiv(c, 4) if _skips(engine.sparsity_mode, name) else c for c in case.columns]
        once = sum(case.gates * cdiv(case.rows, lanes) * cdiv(c, inputs) for c in across)
    else:
        group = engine.granule if name.startswith("block") else (1, 1)
        if engine.lanes == "own" or (engine.lanes is None and engine.sparsity_mode == "zero_skip"):
            once = sum(_fullest(case, group, columns) for columns in case.columns)
        else:
            once = _even(case, group, max(decoded, case.kept_weights))
    passes = engine.mac_passes_16bit_activations if case.choice.activation_bits == 16 else 1
    total = once * cdiv(case.positions, engine.positions_per_cycle) * passes
    factor = {rate.weight_bits: rate.mac_rate_factor for rate in engine.weight_rates}
    return math.ceil(total / exact(factor.get(case.choice.weight_bits, 1.0)))


def _even(case: Case, group: tuple[int, int], work: int) -> int:
    lanes, inputs = case.engine.outputs_per_cycle, case.engine.inputs_per_cycle
    at_once = (lanes // group[0]) * (inputs // group[1])
    if at_once:
        return cdiv(work, at_once * group[0] * group[1])
    return cdiv(work, group[0] * group[1]) * cdiv(group[0], lanes) * cdiv(group[1], inputs)


def _fullest(case: Case, group: tuple[int, int], columns: int) -> int:
    lanes, inputs = case.engine.outputs_per_cycle, case.engine.inputs_per_cycle
    r, c = case.choice.block or (1, 1)
    parallel, in_row, share = max(lanes // group[0], 1), cdiv(columns, group[1]), case.surviving(*group)
    independent = cdiv(parallel, max(r // group[0], 1))
    spread = math.sqrt(in_row * max(c // group[1], 1) * share * (1.0 - share))
    if case.choice.structure == "two_four":
        spread = 0.0
    most = max(nearest(min(in_row * share + MAXIMA[independent] * spread, in_row)), 1)
    each = cdiv(group[0], lanes) * cdiv(group[1], inputs)
    turns = case.gates * cdiv(cdiv(case.rows, group[0]), parallel)
    return turns * cdiv(most, max(inputs // group[1], 1)) * each


MAXIMA = (0.0, 0.0, 0.5641895835, 0.8462843753, 1.0293753730, 1.1629644736, 1.2672063606, 1.3521783756,
          1.4236003060)  # fmt: skip
"""Expected maxima of 0 to 8 standard normals, as tables of order statistics print them."""


def _busy(case: Case, work: int, stored_bytes: int, activations: int) -> int:
    engine, mode = case.engine, case.profile.memory_modes[case.profile.default_memory_mode]
    flash, sram = case.profile.memories[mode.weights], case.profile.memories[mode.activations]
    acting = math.ceil(activations / exact(sram.bytes_per_cycle)) + sram.read_latency_cycles
    tile = engine.weight_tile_bytes
    tiles = max(cdiv(stored_bytes, tile), 1) if tile else 1
    reading = math.ceil(stored_bytes / exact(flash.bytes_per_cycle)) + tiles * flash.read_latency_cycles
    if engine.weight_transfer == "streamed":
        return max(work, acting, reading)
    work = max(work, acting)
    if engine.weight_transfer == "before_use":
        return work + reading
    assert tile is not None
    share = min(tile / max(stored_bytes, 1), 1.0)
    return max(nearest(max(reading * share + work, reading + work * share)), work, reading)
