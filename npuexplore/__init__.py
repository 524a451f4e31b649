"""npuexplore: sparse, quantised recurrent networks for microNPUs and Cortex-M, chosen by cost and by ear."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "CompressionPlan": "npuexplore.compression.plan",
    "LayerPlan": "npuexplore.compression.plan",
    "estimate": "npuexplore.cost.estimate",
    "load_network": "npuexplore.workload.load",
    "load_profile": "npuexplore.hardware.load",
}
__all__ = [*sorted(_HOMES), "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module npuexplore has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
