"""One estimate as the versioned document that `estimate --json` prints."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from npuexplore.compression.plan import plan_at
from npuexplore.cost.explain import explain
from npuexplore.cost.front_end import front_end_document
from npuexplore.cost.result import Estimate, Totals
from npuexplore.cost.sensitivity import Which

TOTALS = tuple(field.name for field in fields(Totals))
"""In the order of the document."""
INTERVALS = ("cycles_interval", "latency_ms_interval")
"""[low, high] beside the totals."""


def estimate_document(result: Estimate, index: int, *, which: Which = "all") -> dict[str, Any]:
    """Plan `index` of an estimate: totals, layers, what explains them, what fits; plain JSON values.

    which : the sensitivities; all of them take a dozen estimates more
    """
    plan = plan_at(result.plans, index, result.network)
    why = explain(result, index, which=which)
    return {
        "schema": "npuexplore.estimate/1",
        "profile": result.profile_name,
        "network": result.network.name,
        "memory_mode": result.memory_mode,
        "plan": plan.model_dump(mode="json"),
        "totals": totals_document(result, index),
        "layers": [
            layer | {"waterfall": {name: cycles[0, column].item() for name, cycles in why.waterfall.items()}}
            for column, layer in enumerate(layers_document(result, index))
        ],
        "front_end": front_end_document(result.network, result.profile.front_end),
        "sensitivities": [asdict(each) for each in why.sensitivities],
        "arena": [{"step": step, "live_bytes": live_bytes} for step, live_bytes in why.arena],
        "peak_step": why.peak_step,
        "battery_hours": dict(why.battery_hours),
        "engine_weights": _engine_weights(result, index),
        "fits": fits_document(result, index),
        "limits": {
            "flash_bytes": result.flash_capacity_bytes,
            "sram_bytes": result.sram_capacity_bytes,
            "deadline_ms": result.deadline_ms,
        },
        "assumptions": list(result.assumptions),
    }


def _engine_weights(result: Estimate, index: int) -> dict[str, int | bool] | None:
    """What a memory for the engine's weights only holds, its room, and whether it is enough."""
    if result.weight_capacity_bytes is None:
        return None
    return {
        "stored_bytes": result.engine_weight_bytes[index].item(),
        "capacity_bytes": result.weight_capacity_bytes,
        "fits": bool(result.fits_weights[index]),
    }


def totals_document(result: Estimate, index: int) -> dict[str, Any]:
    """The totals of one plan; the intervals of a profile that is not calibrated are null."""
    columns = {name: getattr(result, name) for name in (*TOTALS, *INTERVALS)}
    return {name: None if values is None else values[index].tolist() for name, values in columns.items()}


def layers_document(result: Estimate, index: int) -> list[dict[str, Any]]:
    """The layers of one plan, the front end first."""
    layers = result.layers
    return [
        {
            "name": name,
            "kind": result.layer_kinds[column],
            "macs": layers.macs[index, column].item(),
            "kept_macs": layers.kept_macs[index, column].item(),
            "compute_cycles": layers.compute_cycles[index, column].item(),
            "memory_cycles": {
                region: cycles[index, column].item() for region, cycles in layers.memory_cycles.items()
            },
            "cycles": layers.cycles[index, column].item(),
            "bound_by": result.bound_names[layers.bound_by[index, column]],
            "weight_bytes": layers.weight_bytes[index, column].item(),
            "weight_format": None if column == 0 else result.formats[layers.weight_format[index, column]],
        }
        for column, name in enumerate(result.layer_names)
    ]


def fits_document(result: Estimate, index: int) -> dict[str, bool]:
    """Which limits one plan keeps; a memory for weights only counts as SRAM."""
    return {
        "flash": bool(result.fits_flash[index]),
        "sram": bool(result.fits_sram[index] and result.fits_weights[index]),
        "deadline": bool(result.fits_deadline[index]),
    }
