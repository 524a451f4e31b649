"""A small search problem with known rules, and a script that searches it in a process of its own.

python toy_search.py JOURNAL TRIALS SECONDS_PER_BATCH
"""

import sys
import time
from pathlib import Path

import numpy as np

from npuexplore.search.driver import run_search
from npuexplore.search.evaluation import Constraint, Evaluation, violations_of
from npuexplore.search.space import SpaceSpec, space_for
from npuexplore.search.spec import SearchSpec
from npuexplore.workload.network import Network

NETWORK = Network.model_validate(
    {
        "schema": "npuexplore.network/1",
        "name": "toy",
        "frame_clock": {"window_samples": 512, "hop_samples": 256},
        "bands": 16,
        "layers": [
            {"kind": "lstm", "name": "lstm_1", "hidden_units": 32},
            {"kind": "gru", "name": "gru_2", "hidden_units": 16},
            {"kind": "dense", "name": "mask", "output_features": 16, "activation": "sigmoid"},
        ],
    }
)
WEIGHTS = np.array([4 * 32 * (16 + 32), 3 * 16 * (32 + 16), 16 * 16])
SPEED = np.array([0.0, 0.3, 0.95, 1.0])
HURT = np.array([0.0, 0.6, 1.0, 1.6])
LIMITS = (Constraint("flash_bytes", 6_000.0), Constraint("latency_ms", 6.5))
SPACE = space_for(SpaceSpec(sparsity_frac=(0.0, 0.3, 0.5, 0.7, 0.9)), NETWORK)


def costs_of(plans):
    """Flash, time and loss of each plan: each layer by its own choice."""
    stored = WEIGHTS * (1 - plans.sparsity_frac) * plans.weight_bits / 8
    flash = (stored * np.where(plans.structure == 1, 1.2, 1.02)).sum(axis=1)
    time_ms = (WEIGHTS * (1 - plans.sparsity_frac * SPEED[plans.structure])).sum(axis=1) / 1e3
    loss = (HURT[plans.structure] * plans.sparsity_frac**2 + 0.1 * (plans.weight_bits == 4)).sum(axis=1)
    return {"latency_ms": time_ms, "flash_bytes": flash, "quality_loss_db": loss}


def evaluator(limits=LIMITS):
    def evaluate(plans):
        costs = costs_of(plans)
        values = np.stack([costs[limit.name] for limit in limits], axis=1)
        objectives = np.stack([costs[name] for name in SearchSpec().objectives], axis=1)
        return Evaluation(objectives, violations_of(values, limits), limits)

    return evaluate


def spec(**changes):
    return SearchSpec(**{"trials": 120, "population": 10, "screened_plans": 200, **changes})


def search(journal, **changes):
    """The toy searched; `evaluate` and `seed` may be given beside the fields of SearchSpec."""
    evaluate = changes.pop("evaluate", evaluator())
    seed = changes.pop("seed", 3)
    context = changes.pop("context", "")
    return run_search(SPACE, spec(**changes), evaluate, journal=journal, seed=seed, context=context)


def main(journal, trials, seconds):
    def slow(plans):
        time.sleep(seconds)
        return evaluator()(plans)

    print(search(journal, trials=trials, evaluate=slow).front_sha256)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
