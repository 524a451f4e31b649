"""What a part can store and run: everything else is refused by name before anything is priced."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import MATRIX_KEYS, PlanBatch
from npuexplore.errors import BadInput
from npuexplore.hardware.engines import activation_widths, weight_widths
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.network import Layer, Network, activation_of, is_recurrent, matrices

GATE_FUNCTIONS = ("sigmoid", "tanh")
"""Activation functions inside every recurrent layer."""


def refuse_unsupported(profile: HardwareProfile, network: Network, plans: PlanBatch) -> None:
    """Raise BadInput for a layer that the part cannot run, or a plan that it cannot store or run."""
    refuse_network(profile, network)
    layers = [layer.name for layer in network.layers]
    widths = weight_widths(profile.engine)
    if plans.matrices is None:
        _refuse_widths(profile, layers, plans.weight_bits, widths, what="weight_bits")
    else:
        own = [_matrix_name(layer, matrix) for layer, matrix, _, _ in matrices(network)]
        _refuse_widths(profile, own, plans.matrices.weight_bits, widths, what="weight_bits")
    _refuse_widths(
        profile, layers, plans.activation_bits, activation_widths(profile.engine), what="activation_bits"
    )


def _matrix_name(layer: str, matrix: str) -> str:
    """Where a plan speaks of a matrix: `lstm_1.w_h`, or its layer where that is all there is."""
    return f"{layer}.{MATRIX_KEYS[matrix]}" if matrix in MATRIX_KEYS else layer


def refuse_network(profile: HardwareProfile, network: Network) -> None:
    """Raise BadInput for a layer that neither the engine nor a fallback CPU runs."""
    engine = profile.engine
    if not isinstance(engine, MicroNpu) or profile.fallback_cpu is not None:
        return
    for layer in network.layers:
        lacking = [name for name in operators_of(layer) if name not in engine.runs]
        if lacking:
            raise BadInput(
                f"network {network.name}: layers.{layer.name}: needs {_listed(lacking)}; the engine of "
                f"{profile.name} runs {_listed(engine.runs)}, and the profile has no CPU for the rest; "
                "add fallback_cpu to the profile or change the layer"
            )


def operators_of(layer: Layer) -> tuple[str, ...]:
    """The kind of a layer and the activation functions inside it."""
    if is_recurrent(layer):
        return (layer.kind, *GATE_FUNCTIONS)
    activation = activation_of(layer)
    return (layer.kind,) if activation == "none" else (layer.kind, activation)


def _refuse_widths(
    profile: HardwareProfile,
    names: Sequence[str],
    bits: NDArray[np.int64],
    allowed: tuple[int, ...],
    *,
    what: str,
) -> None:
    """bits : (P, names)"""
    known = np.zeros(MOST_BITS + 1, bool)
    known[list(allowed)] = True
    fits = known[bits]
    if not fits.all():
        plan, column = np.argwhere(~fits)[0]
        raise BadInput(
            f"plan: layers.{names[column]}.{what}: got {bits[plan, column]}; "
            f"{profile.name} allows {_listed(allowed)}; choose one of those"
        )


MOST_BITS = 16
"""Greatest width of a weight or an activation in any plan."""


def _listed(values: Iterable[object]) -> str:
    """`4 and 8`, `2, 4 and 8`."""
    words = [str(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
