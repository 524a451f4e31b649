"""The same document for a shortlist: costs are estimates of shipped parts, losses follow simple rules."""

import copy
import json
from functools import lru_cache

from results_builder import _layers, _loss, _pick, _plan, build_results

from npuexplore.compression.plan import CompressionPlan
from npuexplore.cost.document import fits_document, layers_document, totals_document
from npuexplore.cost.estimate import estimate
from npuexplore.hardware.load import load_profile
from npuexplore.workload.load import load_network

PARTS = ("ethos-u55-128", "stm32f746")
PICKS = (
    ("knee", "ethos-u55-128", "weight", 0.7),
    ("on-stm32f746", "stm32f746", "block", 0.8),
    ("weight", "stm32f746", "weight", 0.9),
    ("unit", "ethos-u55-128", "unit", 0.5),
    ("best-quality", "stm32f746", "block", 0.7),
)
"""Name, part, structure and sparsity."""


def build_shortlist(*, parts=PARTS, picks=PICKS):
    """A study of several parts with picks on some of them."""
    return copy.deepcopy(_build(parts, picks))


@lru_cache(maxsize=8)
def _build(parts, picks):
    results = build_results()
    results["study"] |= {"profile": list(parts), "picks": {"count": 8}}
    del results["profile"]
    profiles = {part: load_profile(part) for part in parts}
    results["profiles"] = [profile.model_dump(mode="json", by_alias=True) for profile in profiles.values()]
    results["limits"] = {part: _limits(profile) for part, profile in profiles.items()}
    for key in ("estimates", "layers", "fits"):
        del results["baseline"][key]
    dense = _plan("dense", 0.0, (1, 16), 8)
    results["baseline"]["parts"] = {part: _costs(profile, dense) for part, profile in profiles.items()}
    results["front"] = [point for profile in profiles.values() for point in _points(profile)]
    results["picks"] = [_pick_on(profiles[part], name, *plan) for name, part, *plan in picks]
    results["assumptions"] = ["Weights stream from flash", "stm32f746: kernels of CMSIS-NN"]
    return results


def _limits(profile):
    costs = estimate(profile, load_network("tinylstm"), CompressionPlan())
    return {
        "flash_bytes": float(costs.flash_capacity_bytes),
        "sram_bytes": float(costs.sram_capacity_bytes),
        "latency_ms": costs.deadline_ms,
        "quality_loss_db": 1.0,
    }


def _costs(profile, plan):
    return _costs_of(profile.name, json.dumps(plan))


@lru_cache(maxsize=256)
def _costs_of(part, plan):
    costs = estimate(load_profile(part), load_network("tinylstm"), CompressionPlan.model_validate_json(plan))
    layers = layers_document(costs, 0)
    return {"estimates": totals_document(costs, 0), "layers": layers, "fits": fits_document(costs, 0)}


def _points(profile):
    for index, (structure, sparsity) in enumerate(
        (structure, sparsity)
        for structure in ("weight", "block", "unit")
        for sparsity in (0.0, 0.3, 0.5, 0.8)
    ):
        plan = _plan(structure, sparsity, (1, 16), 8)
        costs, loss = _costs(profile, plan), _loss(plan)
        if all(costs["fits"].values()) and loss <= 1.0:
            yield {
                "id": f"plan-{index}",
                "profile": profile.name,
                "plan": plan,
                "estimates": costs["estimates"],
                "quality_loss_db": loss,
                "feasible": True,
                "knee": False,
                "pick": None,
            }


def _pick_on(profile, name, structure, sparsity):
    pick = _pick(name, structure, sparsity, True, True, True)
    costs = _costs(profile, pick["plan"])
    cycles = {layer["name"]: layer for layer in costs["layers"]}
    layers = [
        {**layer, "cycles": cycles[layer["name"]]["cycles"], "bound_by": cycles[layer["name"]]["bound_by"]}
        for layer in _layers(pick["plan"])
        if layer["name"] in cycles
    ]
    return {**pick, **costs, "layers": layers, "profile": profile.name}
