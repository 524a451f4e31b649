"""Work that the engine cannot do, at the price of the CPU beside it.

A layer of a kind that the engine does not run is the CPU's altogether. A recurrent layer whose sigmoid or
tanh the engine lacks does its products on the engine and everything after them on the CPU; so does the
activation function of a dense or conv1x1 layer. A tensor is handed over where work changes sides inside
the network; the front end's own hand-over at either end is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.shapes import PlanShapes
from npuexplore.cost.compute import whole_cycles
from npuexplore.cost.supported import GATE_FUNCTIONS
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.hardware.profile import FallbackCpu
from npuexplore.workload.counts import Counts, NetworkTables


@dataclass(frozen=True)
class Split:
    """Which side does what, layer by layer; every array is (L,) bool."""

    whole_layer: NDArray[np.bool_]
    """On the CPU altogether."""
    activation: NDArray[np.bool_]
    """Activation functions, and what follows them in a recurrent step, on the CPU."""
    handovers: Counts
    """(L,) times that a tensor changes sides."""

    @property
    def uses_cpu(self) -> NDArray[np.bool_]:
        """(L,) layers with any work on the CPU."""
        return self.whole_layer | self.activation


def split_of(engine: MicroNpu, tables: NetworkTables) -> Split | None:
    """The layers' split; None where the engine does everything."""
    whole = np.array([kind not in engine.runs for kind in tables.kinds])
    after = np.array([bool(missing_functions(engine, tables, layer)) for layer in range(len(tables.kinds))])
    if not (whole | after).any():
        return None
    after &= ~whole
    return Split(whole, after, _handovers(whole, after))


def missing_functions(engine: MicroNpu, tables: NetworkTables, layer: int) -> tuple[str, ...]:
    """Activation functions of a layer that the engine does not run."""
    needed = GATE_FUNCTIONS if tables.recurrent[layer] else (tables.activations[layer],)
    return tuple(name for name in needed if name != "none" and name not in engine.runs)


def _handovers(whole: NDArray[np.bool_], after: NDArray[np.bool_]) -> Counts:
    """Changes of side before, inside and after each layer that uses the CPU."""
    on_engine_first = np.append(~whole, False)  # the front end follows the last layer, on the CPU
    on_engine_last = np.append(False, ~(whole | after))
    into = np.where(whole, on_engine_last[:-1], after)
    out_of = (whole | after) & on_engine_first[1:]
    return np.asarray(into.astype(np.int64) + out_of)


def cpu_cycles(cpu: FallbackCpu, split: Split, tables: NetworkTables, shapes: PlanShapes) -> Counts:
    """(P, L) engine cycles that pass while the CPU works; it multiplies zeros too."""
    functions = np.array([_function_elems(tables, layer) for layer in range(len(tables.kinds))])
    linear = np.array([_linear_ops(tables, layer) for layer in range(len(tables.kinds))])
    per_unit = functions * cpu.cycles_per_lut_elem + linear * cpu.cycles_per_elementwise_op
    cycles = (
        shapes.macs * (split.whole_layer * cpu.cycles_per_mac)
        + shapes.units * (split.uses_cpu * per_unit)
        + split.handovers * cpu.cycles_per_handover
    )
    return whole_cycles(cycles * cpu.engine_cycles_per_cpu_cycle)


def _function_elems(tables: NetworkTables, layer: int) -> int:
    """Sigmoids and tanhs per output of a layer."""
    return int(tables.lut_per_unit[layer])


def _linear_ops(tables: NetworkTables, layer: int) -> int:
    """Additions, products and clamps per output of a layer, beside its matrix products."""
    return int(tables.elementwise_per_unit[layer]) + int(tables.activations[layer] == "relu")


def fallback_sentences(engine: MicroNpu, cpu: FallbackCpu | None, tables: NetworkTables) -> tuple[str, ...]:
    """What an estimate says of the work that is not the engine's; nothing where it does everything."""
    split = split_of(engine, tables)
    if split is None or cpu is None:
        return ()
    kinds = sorted({kind for kind, whole in zip(tables.kinds, split.whole_layer, strict=True) if whole})
    layers = [int(layer) for layer in np.flatnonzero(split.activation)]
    functions = sorted({name for layer in layers for name in missing_functions(engine, tables, layer)})
    fallen = [f"{kind} layers" for kind in kinds]
    fallen += [f"{name} and what follows it in a layer" for name in functions]
    return (
        f"the engine does not run {', '.join(fallen)}: the {cpu.core} does, while the engine waits",
        f"the {cpu.core} takes {cpu.cycles_per_mac:g} cycles per MAC, {cpu.cycles_per_lut_elem:g} per "
        f"look-up, {cpu.cycles_per_elementwise_op:g} per element-wise operation and "
        f"{cpu.cycles_per_handover} per hand-over ({int(split.handovers.sum())} a frame), at any bit-width "
        "and with zeros multiplied",
    )
