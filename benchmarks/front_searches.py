"""Searches that are compared on one problem: each gives design rows and what the model says of them."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from front_problem import NETWORK, OBJECTIVES, PART, Problem, measured_losses, summed_model

from npuexplore.compression.plan import PlanBatch
from npuexplore.cost.estimate import estimate
from npuexplore.errors import EnvironmentLacking
from npuexplore.hardware.load import load_profile
from npuexplore.search.driver import run_search
from npuexplore.search.engines.auto import auto_search, by_factors
from npuexplore.search.engines.candidates import found_by_engine
from npuexplore.search.engines.dynamic import Tolerance
from npuexplore.search.engines.evolve import Evolution, evolve
from npuexplore.search.engines.exact import exact_search
from npuexplore.search.engines.look_up import LookUp, look_up
from npuexplore.search.evaluation import Evaluation
from npuexplore.search.pareto import distinct, nondominated
from npuexplore.search.space import Space, random_choices
from npuexplore.search.spec import SearchSpec
from npuexplore.workload.load import load_network

Points = Callable[[np.ndarray], np.ndarray]
"""Design rows (P, K) to minimised figures (P, 3)."""
Found = tuple[np.ndarray, np.ndarray]
"""Design rows and their figures."""


@dataclass(frozen=True)
class Row:
    """What one search did: the front of everything that it looked at."""

    search: str
    evaluations: int
    seconds: float
    rows: np.ndarray
    objectives: np.ndarray


def timed(name: str, evaluations: int, run: Callable[[], Found]) -> Row:
    """Seconds are of the process, so that other work on the machine does not count."""
    start = time.process_time()
    rows, objectives = run()
    seconds = time.process_time() - start
    print(f"  {name}: {evaluations:,} evaluations, {seconds:.1f} s", file=sys.stderr, flush=True)
    return Row(name, evaluations, seconds, *front_of(rows, objectives))


def front_of(rows: np.ndarray, objectives: np.ndarray) -> Found:
    """Designs that no other beats, equal ones once."""
    best = np.flatnonzero(nondominated(objectives))
    best = best[distinct(objectives[best])]
    return rows[best], objectives[best]


def unlimited(points: Points) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    return lambda rows: (points(rows), np.zeros((len(rows), 0)))


def by_tolerance(problem: Problem, eps_frac: float, points: Points) -> Found:
    """The separable front within a tolerance, looked at with `points`."""
    rows = exact_search(problem.model, Tolerance(eps_frac, eps_frac / 2)).rows
    return rows, points(rows)


def by_evolution(problem: Problem, points: Points, evaluations: int, seed: int) -> Found:
    found = evolve(problem.sizes, unlimited(points), Evolution(evaluations), seed=seed)
    return found.genomes, found.objectives


def by_auto(problem: Problem, points: Points, evaluations: int, seed: int) -> Found:
    found = auto_search(problem.model, unlimited(points), evaluations=evaluations, seed=seed).evolved
    return found.genomes, found.objectives


def by_study(problem: Problem, points: Points, evaluations: int, seed: int) -> Found:
    """What a study with `engine: auto` runs before Optuna's trials: each structure alone too."""
    part, network, whole = load_profile(PART), load_network(NETWORK), problem.model.space

    def evaluate(plans: PlanBatch) -> Evaluation:
        costs = estimate(part, network, plans)
        columns = [costs.mean_latency_ms, costs.flash_bytes.astype(float), problem.loss_db(plans)]
        return Evaluation(np.stack(columns, axis=1), np.zeros((len(plans), 0)), ())

    def modelled(space: Space) -> LookUp:
        if space is whole:
            return replace(problem.model.look_up, loss_db=problem.loss_db)
        return look_up(space, part, objectives=OBJECTIVES, constraints=(), loss_db=problem.loss_db)

    spec = SearchSpec(engine="auto", evaluations=evaluations, objectives=OBJECTIVES)
    rows = found_by_engine(whole, spec, evaluate, modelled, seed=seed).rows
    return rows, points(rows)


def by_chance(problem: Problem, points: Points, evaluations: int, seed: int) -> Found:
    rows = random_choices(problem.model.space, np.random.default_rng(seed), evaluations)
    return rows, points(rows)


def by_driver(problem: Problem, evaluations: int, seed: int) -> Found:
    """What `study run` does: Optuna's NSGA-II in islands, the full estimator, a journal."""
    part, network, losses = load_profile(PART), load_network(NETWORK), summed_model(measured_losses())

    def evaluate(plans: PlanBatch) -> Evaluation:
        costs = estimate(part, network, plans)
        columns = [costs.mean_latency_ms, costs.flash_bytes.astype(float), losses.loss_db(plans)]
        return Evaluation(np.stack(columns, axis=1), np.zeros((len(plans), 0)), ())

    spec = SearchSpec(trials=evaluations, objectives=OBJECTIVES)
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal.log"
        found = run_search(problem.model.space, spec, evaluate, journal=journal, seed=seed)
    return np.zeros((len(found.objectives), 0), np.int64), by_factors(found.objectives, OBJECTIVES)


def by_optuna(problem: Problem, points: Points, evaluations: int, seed: int) -> Found:
    """Optuna's own NSGA-II in memory, one trial at a time."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.NSGAIISampler(population_size=50, seed=seed)
    study = optuna.create_study(directions=["minimize"] * 3, sampler=sampler)
    rows: list[list[int]] = []

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        rows.append([trial.suggest_categorical(str(g), range(size)) for g, size in enumerate(problem.sizes)])
        return tuple(points(np.array(rows[-1:]))[0].tolist())

    study.optimize(objective, n_trials=evaluations)
    return np.array(rows), np.array([trial.values for trial in study.get_trials(deepcopy=False)])


def by_pymoo(problem: Problem, points: Points, evaluations: int, seed: int) -> Found:
    """pymoo's NSGA-II over integers, a population at a time."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem as Designs
    from pymoo.operators.crossover.ux import UniformCrossover
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    sizes = np.array(problem.sizes)
    rows: list[np.ndarray] = []
    asked: list[np.ndarray] = []

    class Space(Designs):
        def __init__(self) -> None:
            super().__init__(n_var=len(sizes), n_obj=3, xl=0, xu=sizes - 1, vtype=int)

        def _evaluate(self, designs: np.ndarray, out: dict[str, Any], *_: Any, **__: Any) -> None:
            rows.append(designs.astype(np.int64))
            out["F"] = points(rows[-1])
            asked.append(out["F"])

    algorithm = NSGA2(
        pop_size=200,
        sampling=IntegerRandomSampling(),
        crossover=UniformCrossover(repair=RoundingRepair()),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    minimize(Space(), algorithm, ("n_eval", evaluations), seed=seed)
    return np.concatenate(rows)[:evaluations], np.concatenate(asked)[:evaluations]


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
