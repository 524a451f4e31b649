"""A small space of several real parts, with limits drawn for each, and what the estimator says of it."""

import numpy as np

from npuexplore import estimate, load_profile
from npuexplore.search.engines.look_up import look_up
from npuexplore.search.engines.shortlist import Shortlist
from npuexplore.search.evaluation import Constraint, Evaluation, evaluate_parts, violations_of
from npuexplore.search.parts import by_part
from npuexplore.search.space import SpaceSpec, all_choices, plans_from, space_for
from npuexplore.workload.network import Network

NETWORK = Network.model_validate(
    {
        "schema": "npuexplore.network/1",
        "name": "small",
        "frame_clock": {"window_samples": 512, "hop_samples": 256},
        "bands": 16,
        "layers": [
            {"kind": "gru", "name": "gru_1", "hidden_units": 32},
            {"kind": "dense", "name": "mask", "output_features": 16, "activation": "sigmoid"},
        ],
    }
)
PARTS = ("ethos-u55-128", "stm32f746", "max78000")
"""The last has a memory for weights alone."""
WEIGHT_MEMORY = "engine_weight_bytes"
LIMITABLE = ("flash_bytes", "sram_bytes", "latency_ms", "quality_loss_db")
OBJECTIVES = ("latency_ms", "flash_bytes", "quality_loss_db")
SPEC = SpaceSpec(structures=("weight", "unit"), sparsity_frac=(0.0, 0.5, 0.9), weight_bits=(8,))
SPACE = space_for(SPEC, NETWORK, parts=PARTS)
ROWS = all_choices(SPACE)
PROFILES = {name: load_profile(name) for name in PARTS}


def loss_db(plans):
    """In steps of 1/64 dB, so that sums of them are exact."""
    hurt = np.array([0, 40, 60, 90, 50])[plans.structure] * np.array([1.0, 0.5])
    return np.rint(hurt * plans.sparsity_frac**2).sum(axis=1) / 64


def figures(name, plans, wanted):
    """(P, N) what the estimator says of plans on a part."""
    costs = estimate(PROFILES[name], NETWORK, plans)
    columns = [loss_db(plans) if key == "quality_loss_db" else getattr(costs, key) for key in wanted]
    return np.stack(columns, axis=1).astype(float)


def evaluator(name, limits):
    """The full model of one part."""

    def evaluate(plans):
        values = figures(name, plans, [limit.name for limit in limits])
        return Evaluation(figures(name, plans, OBJECTIVES), violations_of(values, limits), limits)

    return evaluate


def limits_by_chance(seed):
    """Limits of each part, not the same ones on all; each is kept by a third of the plans or more."""
    rng, plans = np.random.default_rng(seed), plans_from(SPACE, ROWS[ROWS[:, 0] == 0])
    found = {}
    for name in PARTS:
        named = rng.permutation(LIMITABLE)[: rng.integers(1, 4)].tolist()
        named += [WEIGHT_MEMORY] if name == "max78000" else []
        kept = rng.uniform(0.3, 1.0, len(named))
        values = figures(name, plans, named).T
        found[name] = tuple(
            Constraint(key, float(np.quantile(own, share, method="higher")))
            for key, own, share in zip(named, values, kept, strict=True)
        )
    return found


def full_model(limits):
    """The full model of all parts, as a study has it."""
    return evaluate_parts([evaluator(name, limits[name]) for name in PARTS])


def modelled(limits, loss=loss_db):
    """From a space to the look-up of its parts, as a study has it."""

    def shortlist(space):
        return Shortlist(
            space,
            tuple(
                look_up(own, PROFILES[name], objectives=OBJECTIVES, constraints=limits[name], loss_db=loss)
                for name, own in by_part(space).items()
            ),
        )

    return shortlist


def by_hand(limits):
    """Objectives (P, 3) and feasibility (P,) of every design of `ROWS`, part by part."""
    plans = plans_from(SPACE, ROWS)
    objectives, feasible = np.zeros((len(ROWS), 3)), np.zeros(len(ROWS), bool)
    for part, name in enumerate(PARTS):
        own = np.flatnonzero(ROWS[:, 0] == part)
        objectives[own] = figures(name, plans.take(own), OBJECTIVES)
        values = figures(name, plans.take(own), [limit.name for limit in limits[name]])
        feasible[own] = (values <= [limit.limit for limit in limits[name]]).all(axis=1)
    return objectives, feasible


def points(objectives):
    """Different points in one order."""
    return np.unique(np.round(objectives, 9), axis=0)
