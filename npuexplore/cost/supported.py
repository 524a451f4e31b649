"""What a part can store and run: everything else is refused by name before anything is priced."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import PlanBatch
from npuexplore.errors import BadInput
from npuexplore.hardware.engines import activation_widths, weight_widths
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.network import Layer, Network, activation_of, is_recurrent

GATE_FUNCTIONS = ("sigmoid", "tanh")
"""Activation functions inside every recurrent layer."""


def refuse_unsupported(profile: HardwareProfile, network: Network, plans: PlanBatch) -> None:
    """Raise BadInput for a layer that the part cannot run, or a plan that it cannot store or run."""
    refuse_network(profile, network)
    _refuse_widths(profile, network, plans.weight_bits, weight_widths(profile.engine), what="weight_bits")
    _refuse_widths(
        profile, network, plans.activation_bits, activation_widths(profile.engine), what="activation_bits"
    )


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
    network: Network,
    bits: NDArray[np.int64],
    allowed: tuple[int, ...],
    *,
    what: str,
) -> None:
    """bits : (P, L)"""
    known = np.zeros(MOST_BITS + 1, bool)
    known[list(allowed)] = True
    fits = known[bits]
    if not fits.all():
        plan, column = np.argwhere(~fits)[0]
        raise BadInput(
            f"plan: layers.{network.layers[column].name}.{what}: got {bits[plan, column]}; "
            f"{profile.name} allows {_listed(allowed)}; choose one of those"
        )


MOST_BITS = 16
"""Greatest width of a weight or an activation in any plan."""


def _listed(values: Iterable[object]) -> str:
    """`4 and 8`, `2, 4 and 8`."""
    words = [str(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
