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
from front_problem import NETWORK, Problem, measured_losses, summed_model

from npuexplore.compression.plan import PlanBatch
from npuexplore.cost.estimate import estimate
from npuexplore.errors import EnvironmentLacking
from npuexplore.search.driver import run_search
from npuexplore.search.engines.auto import auto_search, by_factors
from npuexplore.search.engines.candidates import found_by_engine
from npuexplore.search.engines.dynamic import Tolerance
from npuexplore.search.engines.evolve import Evolution, evolve
from npuexplore.search.engines.exact import exact_search
from npuexplore.search.engines.look_up import LookUp, look_up
from npuexplore.search.evaluation import Evaluate, Evaluation
from npuexplore.search.pareto import distinct, nondominated
from npuexplore.search.space import Space, random_choices
from npuexplore.search.spec import SearchSpec, population_for
from npuexplore.workload.load import load_network

Points = Callable[[np.ndarray], np.ndarray]
"""Design rows (P, K) to minimised figures (P, M)."""
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
    evolution = Evolution(evaluations, population_for(evaluations))
    found = evolve(problem.sizes, unlimited(points), evolution, seed=seed)
    return found.genomes, found.objectives


def by_auto(problem: Problem, points: Points, evaluations: int, seed: int) -> Found:
    found = auto_search(problem.model, unlimited(points), evaluations=evaluations, seed=seed).evolved
    return found.genomes, found.objectives


def estimated(problem: Problem, loss_db: Callable[[PlanBatch], np.ndarray]) -> Evaluate:
    """Plans by the whole estimator, as studies ask it, and `loss_db`."""
    part, network = problem.question.profile, load_network(NETWORK)
    *of_costs, _ = problem.question.objectives

    def evaluate(plans: PlanBatch) -> Evaluation:
        costs = estimate(part, network, plans)
        columns = [np.asarray(getattr(costs, name), float) for name in of_costs]
        return Evaluation(np.stack([*columns, loss_db(plans)], axis=1), np.zeros((len(plans), 0)), ())

    return evaluate


def by_study(problem: Problem, points: Points, evaluations: int, seed: int) -> Found:
    """What a study with `engine: auto` runs before Optuna's trials: each structure alone too."""
    part, whole, objectives = problem.question.profile, problem.model.space, problem.question.objectives

    def modelled(space: Space) -> LookUp:
        if space is whole:
            return replace(problem.model.look_up, loss_db=problem.loss_db)
        return look_up(space, part, objectives=objectives, constraints=(), loss_db=problem.loss_db)

    spec = SearchSpec(engine="auto", evaluations=evaluations, objectives=objectives)
    rows = found_by_engine(whole, spec, estimated(problem, problem.loss_db), modelled, seed=seed).rows
    return rows, points(rows)


def by_chance(problem: Problem, points: Points, evaluations: int, seed: int) -> Found:
    rows = random_choices(problem.model.space, np.random.default_rng(seed), evaluations)
    return rows, points(rows)


def by_driver(problem: Problem, evaluations: int, seed: int) -> Found:
    """What `study run` does: Optuna's NSGA-II in islands, the full estimator, a journal."""
    evaluate = estimated(problem, summed_model(measured_losses()).loss_db)
    spec = SearchSpec(trials=evaluations, objectives=problem.question.objectives)
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal.log"
        found = run_search(problem.model.space, spec, evaluate, journal=journal, seed=seed)
    figures = by_factors(found.objectives, spec.objectives)
    return np.zeros((len(figures), 0), np.int64), figures


def by_optuna(problem: Problem, points: Points, evaluations: int, seed: int) -> Found:
    """Optuna's own NSGA-II in memory, one trial at a time."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.NSGAIISampler(population_size=50, seed=seed)
    study = optuna.create_study(directions=["minimize"] * len(problem.question.objectives), sampler=sampler)
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

    sizes, figures = np.array(problem.sizes), len(problem.question.objectives)
    rows: list[np.ndarray] = []
    asked: list[np.ndarray] = []

    class Space(Designs):
        def __init__(self) -> None:
            super().__init__(n_var=len(sizes), n_obj=figures, xl=0, xu=sizes - 1, vtype=int)

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
