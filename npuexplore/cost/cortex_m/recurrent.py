"""Cycles of recurrent layers on a Cortex-M: products of every gate, and what comes with each unit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.cortex_m.product import product_cycles
from npuexplore.hardware.kernels.product import ProductKernel
from npuexplore.hardware.kernels.recurrent import (
    CLEARED_UNITS,
    VECTOR_UNITS,
    LayerCall,
    StepKernel,
    StepRest,
    step_kernel,
)
from npuexplore.units import ceil_div

Counts = NDArray[np.int64]
Cycles = NDArray[np.float64]


def matvec_kernels(core: str, toolchain: str, name: str) -> ProductKernel:
    """One gate's product inside a step of `lstm_s8` or `gru_s8`, the same for inputs and for the state.

    >>> matvec_kernels("m7", "gcc12.2-Ofast", "lstm_s8").phases[0].rows
    2
    """
    return step_kernel(core, toolchain, name).product


def unit_cycles(core: str, toolchain: str, name: str, *, units: Counts) -> tuple[Cycles, Cycles]:
    """Everything of a layer called for one stateful step but its products: table look-ups, and the rest.

    units : int64, any shape ; a layer without units takes nothing.

    >>> activation, rest = unit_cycles("m4", "gcc12.2-Ofast", "lstm_s8", units=np.array([64]))
    >>> bool(activation > rest)
    True
    """
    return _unit_cycles(step_kernel(core, toolchain, name), np.asarray(units))


def _unit_cycles(kernel: StepKernel, units: Counts) -> tuple[Cycles, Cycles]:
    activation = kernel.activation_per_step + kernel.activation_per_unit * units
    rest = _rest_cycles(kernel.rest, units) + _layer_cycles(kernel.layer, units, stateful=True)
    return np.where(units > 0, activation, 0.0), np.where(units > 0, rest, 0.0)


def sequence_cycles(
    kernel: StepKernel, *, inputs: Counts, units: Counts, steps: Counts, stateful: NDArray[np.bool_]
) -> Cycles:
    """The same from the kernel itself; one stateful step is its products and `unit_cycles`.

    A sequence of no steps, or of a layer without units, takes nothing.
    """
    inputs, units, steps = np.asarray(inputs), np.asarray(units), np.asarray(steps)
    of_inputs = product_cycles(kernel.product, inputs=inputs, outputs=units)
    of_state = product_cycles(kernel.product, inputs=units, outputs=units)
    activation = kernel.activation_per_step + kernel.activation_per_unit * units
    cycles = (
        kernel.gates * (steps * of_inputs + (steps - np.logical_not(stateful)) * of_state)
        + steps * (activation + _rest_cycles(kernel.rest, units))
        + _layer_cycles(kernel.layer, units, stateful=stateful)
    )
    return np.asarray(np.where((units > 0) & (steps > 0), cycles, 0.0))


def _rest_cycles(rest: StepRest, units: Counts) -> Cycles:
    left_pairs = units % CLEARED_UNITS // 2
    return np.asarray(
        rest.per_step
        + rest.per_unit * units
        + rest.per_vector * ceil_div(units, VECTOR_UNITS)
        + rest.per_odd * (units % 2)
        + rest.left_pairs_once * (left_pairs > 0)
        + rest.per_left_pair * left_pairs
    )


def _layer_cycles(layer: LayerCall, units: Counts, *, stateful: NDArray[np.bool_] | bool) -> Cycles:
    per_unit = np.where(stateful, layer.per_copied_unit, layer.per_cleared_unit)
    return np.asarray(layer.per_call + per_unit * units)
