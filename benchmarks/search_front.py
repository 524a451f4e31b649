"""How much of the true front does a search find, after how many evaluations and seconds of one core?

python benchmarks/search_front.py --json
Peers come with the `bench` extra (pymoo, moocore); --no-peers leaves them out.

tinylstm on ethos-u55-128 with at least 1e14 designs; mean latency, flash and loss of quality. Hypervolume in
log10 of time and bytes and in linear dB, from the ideal to 1.1 times the way to the worst of a reference: the
front within 1 % and 0.005 dB of every design (search/engines/exact.py), or, where the loss is no sum over
layers, the best that any search of this run has found. Seconds are of the process, so that other work on the
machine does not count.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from npuexplore.compression.plan import PlanBatch
from npuexplore.cost.estimate import estimate
from npuexplore.errors import EnvironmentLacking, NpuexploreError
from npuexplore.hardware.load import load_profile
from npuexplore.search.driver import run_search
from npuexplore.search.engines.auto import auto_search, by_factors
from npuexplore.search.engines.dynamic import Tolerance
from npuexplore.search.engines.evolve import Evolution, evolve
from npuexplore.search.engines.exact import exact_search
from npuexplore.search.engines.separable import LOSS, SeparableModel, separable_model
from npuexplore.search.evaluation import Evaluation
from npuexplore.search.pareto import hypervolume, nondominated
from npuexplore.search.space import SpaceSpec, plans_from, random_choices, space_for
from npuexplore.search.spec import SearchSpec
from npuexplore.workload.load import load_network

PART, NETWORK = "ethos-u55-128", "tinylstm"
OBJECTIVES = ("mean_latency_ms", "flash_bytes", LOSS)
SPEC = SpaceSpec(
    sparsity_frac=tuple(round(0.02 * step, 2) for step in range(50)),
    blocks=((1, 4), (1, 16), (2, 16), (4, 4), (8, 8), (16, 1), (16, 16)),
    activation_bits=(8, 16),
    skip_rate_frac=tuple(round(0.04 * step, 2) for step in range(16)),
)
HURT_DB = np.array([0.0, 0.7, 1.0, 1.9, 0.5])
"""Loss at full sparsity by structure, assumed: in the order of the losses of docs/results/hearing-aid."""
LAYERS = np.array([0.5, 0.8, 0.2, 0.3])
FOUR_BITS_DB = np.array([0.12, 0.2, 0.05, 0.08])
EIGHT_BIT_ACTIVATIONS_DB, SKIPPING_DB, RECOVERED = 0.02, 0.8, 0.6
TOGETHER = 0.8
"""How much two neighbours that are both compressed lose on top, where the loss is no sum."""

Objectives = Callable[[np.ndarray], np.ndarray]


def layer_losses(plans: PlanBatch) -> np.ndarray:
    """(P, L) dB, assumed."""
    sparsity = plans.sparsity_frac
    zeros = HURT_DB[plans.structure] * (sparsity**2 + 0.5 * sparsity**8) * LAYERS
    bits = FOUR_BITS_DB * (plans.weight_bits == 4) + EIGHT_BIT_ACTIVATIONS_DB * (plans.activation_bits == 8)
    return RECOVERED * (zeros + bits)


def summed_loss(plans: PlanBatch) -> np.ndarray:
    return layer_losses(plans).sum(axis=1) + SKIPPING_DB * plans.skip_rate_frac**2


def coupled_loss(plans: PlanBatch) -> np.ndarray:
    each = layer_losses(plans)
    return summed_loss(plans) + TOGETHER * np.sqrt(each[:, 1:] * each[:, :-1]).sum(axis=1)


@dataclass(frozen=True)
class Row:
    """What one search did."""

    search: str
    evaluations: int
    seconds: float
    objectives: np.ndarray


def points(model: SeparableModel, loss: Callable[[PlanBatch], np.ndarray] | None = None) -> Objectives:
    """Design rows to (P, 3): log10 ms, log10 bytes, dB."""

    def look_up(rows: np.ndarray) -> np.ndarray:
        found = model.evaluate(rows).objectives
        if loss is not None:
            found[:, 2] = loss(plans_from(model.space, rows))
        return by_factors(found, OBJECTIVES)

    return look_up


def unlimited(look_up: Objectives) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    return lambda rows: (look_up(rows), np.zeros((len(rows), 0)))


def timed(name: str, evaluations: int, run: Callable[[], np.ndarray]) -> Row:
    start = time.process_time()
    found = run()
    seconds = time.process_time() - start
    print(f"  {name}: {evaluations:,} evaluations, {seconds:.1f} s", file=sys.stderr, flush=True)
    return Row(name, evaluations, seconds, found[nondominated(found)])


def sizes_of(model: SeparableModel) -> list[int]:
    return [len(parameter.choices) for parameter in model.space.parameters]


def by_evolution(model: SeparableModel, look_up: Objectives, evaluations: int, seed: int) -> np.ndarray:
    evolution = Evolution(evaluations)
    return evolve(sizes_of(model), unlimited(look_up), evolution, seed=seed).objectives


def by_auto(model: SeparableModel, look_up: Objectives, evaluations: int, seed: int) -> np.ndarray:
    return auto_search(model, unlimited(look_up), evaluations=evaluations, seed=seed).evolved.objectives


def by_chance(model: SeparableModel, look_up: Objectives, evaluations: int, seed: int) -> np.ndarray:
    return look_up(random_choices(model.space, np.random.default_rng(seed), evaluations))


def by_driver(model: SeparableModel, evaluations: int, seed: int) -> np.ndarray:
    """What `study run` does: Optuna's NSGA-II in islands, the full estimator, a journal."""

    def evaluate(plans: PlanBatch) -> Evaluation:
        costs = estimate(model.tables.part.profile, model.space.network, plans)
        columns = [costs.mean_latency_ms, costs.flash_bytes.astype(float), summed_loss(plans)]
        return Evaluation(np.stack(columns, axis=1), np.zeros((len(plans), 0)), ())

    spec = SearchSpec(trials=evaluations, objectives=OBJECTIVES)
    with tempfile.TemporaryDirectory() as folder:
        found = run_search(model.space, spec, evaluate, journal=Path(folder) / "journal.log", seed=seed)
    return by_factors(found.objectives, OBJECTIVES)


def by_optuna(model: SeparableModel, look_up: Objectives, evaluations: int, seed: int) -> np.ndarray:
    """Optuna's own NSGA-II in memory, one trial at a time."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.NSGAIISampler(population_size=50, seed=seed)
    study = optuna.create_study(directions=["minimize"] * 3, sampler=sampler)
    sizes = sizes_of(model)

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        row = [trial.suggest_categorical(str(gene), range(size)) for gene, size in enumerate(sizes)]
        return tuple(look_up(np.array([row]))[0].tolist())

    study.optimize(objective, n_trials=evaluations)
    return np.array([trial.values for trial in study.get_trials(deepcopy=False)])


def by_pymoo(model: SeparableModel, look_up: Objectives, evaluations: int, seed: int) -> np.ndarray:
    """pymoo's NSGA-II over integers, a population at a time."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ux import UniformCrossover
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    sizes, asked = np.array(sizes_of(model)), []

    class Designs(Problem):
        def __init__(self) -> None:
            super().__init__(n_var=len(sizes), n_obj=3, xl=0, xu=sizes - 1, vtype=int)

        def _evaluate(self, rows: np.ndarray, out: dict[str, Any], *_: Any, **__: Any) -> None:
            out["F"] = look_up(rows.astype(np.int64))
            asked.append(out["F"])

    algorithm = NSGA2(
        pop_size=200,
        sampling=IntegerRandomSampling(),
        crossover=UniformCrossover(repair=RoundingRepair()),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    minimize(Designs(), algorithm, ("n_eval", evaluations), seed=seed)
    return np.concatenate(asked)[:evaluations]


def peers_are_here() -> None:
    """Raises EnvironmentLacking where they are not."""
    try:
        import moocore
        import pymoo
    except ImportError as error:
        raise EnvironmentLacking(
            f"{error.name} is not installed; install npuexplore[bench], or leave peers out with --no-peers"
        ) from None
    del moocore, pymoo


def covered(found: np.ndarray, reference: np.ndarray, *, fast: bool) -> float:
    """Hypervolume as a share of the reference front's."""
    low, high = reference.min(axis=0), reference.max(axis=0)
    worst = np.full(3, 1.1)

    def volume(each: np.ndarray) -> float:
        scaled = (each - low) / (high - low)
        if fast:
            import moocore

            return float(moocore.hypervolume(scaled, ref=worst))
        return hypervolume(scaled, reference=worst)

    return volume(found) / volume(reference)


def measured(options: argparse.Namespace) -> dict[str, Any]:
    peers, seed = not options.no_peers, options.seed
    if peers:
        peers_are_here()
    space = space_for(SPEC, load_network(NETWORK))
    start = time.process_time()
    model = separable_model(
        space, load_profile(PART), objectives=OBJECTIVES, constraints=(), loss_db=summed_loss
    )
    tables_s = time.process_time() - start
    rows = separable_rows(model, seed, peers=peers)
    reference = rows[0].objectives
    full_rows = coupled_rows(model, seed, peers=peers, most=options.most)
    best_known = np.concatenate([row.objectives for row in full_rows])
    best_known = best_known[nondominated(best_known)]
    separable = {row.search: document(row, reference, fast=peers) for row in rows}
    full = {row.search: document(row, best_known, fast=peers) for row in full_rows}
    return {
        "schema": "npuexplore.benchmark.search_front/1",
        "part": PART,
        "network": NETWORK,
        "designs": space.designs,
        "tables_seconds": round(tables_s, 2),
        **headline(separable, full, tables_s),
        "separable": separable,
        "full_model": full,
    }


def separable_rows(model: SeparableModel, seed: int, *, peers: bool) -> list[Row]:
    look_up = points(model)

    def exact(eps_frac: float) -> np.ndarray:
        tolerance = Tolerance(eps_frac, eps_frac / 2)
        return by_factors(exact_search(model, tolerance).objectives, OBJECTIVES)

    rows = [timed(f"exact {eps:.0%}", 0, lambda eps=eps: exact(eps)) for eps in (0.01, 0.03, 0.1)]
    rows += [
        timed("random 20k", 20_000, lambda: by_chance(model, look_up, 20_000, seed)),
        timed("evolve cold 1k", 1_000, lambda: by_evolution(model, look_up, 1_000, seed)),
        timed("evolve cold 20k", 20_000, lambda: by_evolution(model, look_up, 20_000, seed)),
        timed("evolve cold 100k", 100_000, lambda: by_evolution(model, look_up, 100_000, seed)),
        timed("study's optuna 1k", 1_000, lambda: by_driver(model, 1_000, seed)),
        timed("Optuna NSGA-II 1k", 1_000, lambda: by_optuna(model, look_up, 1_000, seed)),
    ]
    if peers:
        rows += [
            timed("pymoo NSGA-II 1k", 1_000, lambda: by_pymoo(model, look_up, 1_000, seed)),
            timed("pymoo NSGA-II 20k", 20_000, lambda: by_pymoo(model, look_up, 20_000, seed)),
        ]
    return rows


def coupled_rows(model: SeparableModel, seed: int, *, peers: bool, most: int) -> list[Row]:
    """Neighbours that are both compressed lose more: no sum over layers."""
    look_up = points(model, coupled_loss)

    def relaxed() -> np.ndarray:
        return look_up(exact_search(model, Tolerance(0.03, 0.015)).rows)

    rows = [timed("exact 3% re-evaluated", 0, relaxed)]
    for evaluations, name in ((20_000, "20k"), (100_000, "100k")):
        rows.append(
            timed(
                f"evolve cold {name}",
                evaluations,
                lambda n=evaluations: by_evolution(model, look_up, n, seed),
            )
        )
        rows.append(
            timed(f"auto {name}", evaluations, lambda n=evaluations: by_auto(model, look_up, n, seed))
        )
    if peers:
        rows.append(timed("pymoo NSGA-II 20k", 20_000, lambda: by_pymoo(model, look_up, 20_000, seed)))
    rows += [
        timed(
            f"evolve cold {most:,}, seed {each}",
            most,
            lambda each=each: by_evolution(model, look_up, most, each),
        )
        for each in (seed + 1, seed + 2, seed + 3)
        if most
    ]
    return rows


def document(row: Row, reference: np.ndarray, *, fast: bool) -> dict[str, Any]:
    return {
        "evaluations": row.evaluations,
        "seconds": round(row.seconds, 2),
        "points": len(row.objectives),
        "hypervolume_frac": round(covered(row.objectives, reference, fast=fast), 4),
    }


def headline(separable: dict[str, Any], full: dict[str, Any], tables_s: float) -> dict[str, Any]:
    def share(rows: dict[str, Any], name: str) -> float | None:
        return rows[name]["hypervolume_frac"] if name in rows else None

    cold = separable["evolve cold 20k"]
    return {
        "exact_seconds": round(tables_s + separable["exact 10%"]["seconds"], 2),
        "exact_hypervolume_frac": share(separable, "exact 10%"),
        "evolve_20k_hypervolume_frac": share(separable, "evolve cold 20k"),
        "evolve_100k_warm_hypervolume_frac": share(full, "auto 100k"),
        "evaluations_per_s": round(cold["evaluations"] / max(cold["seconds"], 1e-9)),
        "pymoo_20k_hypervolume_frac": share(separable, "pymoo NSGA-II 20k"),
        "optuna_1k_hypervolume_frac": share(separable, "Optuna NSGA-II 1k"),
    }


def show(found: dict[str, Any]) -> None:
    print(f"{found['network']} on {found['part']}, {found['designs']:.3g} designs, one core")
    print(f"tables of all layers' choices: {found['tables_seconds']:.1f} s")
    for title, key in (
        ("loss a sum over layers; share of the 1 % front's hypervolume", "separable"),
        ("neighbours lose more together; share of the best known", "full_model"),
    ):
        print(f"\n{title}\n{'':<28} {'evaluations':>12} {'seconds':>9} {'points':>8} {'share':>8}")
        for name, row in found[key].items():
            print(
                f"{name:<28} {row['evaluations']:>12,} {row['seconds']:>9.2f} {row['points']:>8,} "
                f"{row['hypervolume_frac']:>8.4f}"
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--most", type=int, default=0, help="evaluations of three more runs for the best known"
    )
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    try:
        with threadpool_limits(1):
            found = measured(options)
    except NpuexploreError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if options.as_json:
        print(json.dumps(found, indent=2))
    else:
        show(found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
