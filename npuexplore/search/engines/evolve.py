"""NSGA-II in arrays: a generation is one call of the evaluation, and no design is evaluated twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from npuexplore.errors import BadInput
from npuexplore.search.engines.offspring import children_of
from npuexplore.search.engines.ranking import excess_of, survivors
from npuexplore.search.pareto import distinct, feasible_front
from npuexplore.units import FloatArray, IntArray

Evaluate = Callable[[IntArray], tuple[FloatArray, FloatArray]]
"""Choice indices (P, G) to objectives (P, M), minimised, and violations (P, C), at most 0 where kept."""

ARCHIVE_GROWTH = 16
"""Everything evaluated is cut down to its front when it has grown by this factor."""
TRIES = 20
"""Broods in a row without anything new, after which the space counts as used up."""


@dataclass(frozen=True)
class Evolution:
    """How a search evolves."""

    evaluations: int
    """Different designs to evaluate in all, seeds included."""
    population: int = 200
    crossover_frac: float = 0.9
    """Share of children that have two parents."""
    mutated_genes: float = 1.0
    """Genes of a child that are drawn for a change, on average."""

    def __post_init__(self) -> None:
        if self.population < 4 or self.evaluations < 1:
            raise BadInput(
                f"search: got population {self.population} and {self.evaluations} evaluations; evolve needs "
                "a population of at least 4 and at least 1 evaluation"
            )


@dataclass(frozen=True)
class Evolved:
    """The front of everything that was evaluated."""

    genomes: IntArray
    """(F, G) feasible and not beaten; the least infeasible where nothing was feasible."""
    objectives: FloatArray
    """(F, M)"""
    violations: FloatArray
    """(F, C)"""
    evaluations: int
    generations: int


@dataclass
class _State:
    sizes: IntArray
    evaluate: Evaluate
    rng: np.random.Generator
    seen: set[bytes] = field(default_factory=set)
    evaluations: int = 0


@dataclass(frozen=True)
class _Pool:
    genomes: IntArray
    objectives: FloatArray
    violations: FloatArray

    def take(self, index: NDArray[np.integer]) -> _Pool:
        return _Pool(self.genomes[index], self.objectives[index], self.violations[index])

    def joined(self, other: _Pool) -> _Pool:
        return _Pool(
            np.concatenate([self.genomes, other.genomes]),
            np.concatenate([self.objectives, other.objectives]),
            np.concatenate([self.violations, other.violations]),
        )


def evolve(
    sizes: Sequence[int],
    evaluate: Evaluate,
    evolution: Evolution,
    *,
    seed: int,
    seeds: IntArray | None = None,
    on_generation: Callable[[int, int], None] | None = None,
) -> Evolved:
    """Evolve choices towards the front.

    sizes : (G,) choices of each gene ; seeds : (P, G) designs to start from ; on_generation : told
    (evaluations so far, planned). Ends early where the space is used up. The same arguments give the same
    result. Raises BadInput for seeds that are no designs and for figures that are not finite.
    """
    state = _State(np.asarray(sizes, np.int64), evaluate, np.random.default_rng(seed))
    first = _first_generation(state, evolution, seeds)
    pool = archive = _evaluated(state, first[: evolution.evaluations])
    pool, generations, room = _selected(pool, evolution), 1, ARCHIVE_GROWTH * evolution.population
    while state.evaluations < evolution.evaluations:
        wanted = min(evolution.population, evolution.evaluations - state.evaluations)
        children = _brood(state, evolution, pool.genomes, wanted)
        if not len(children):
            break
        born = _evaluated(state, children)
        pool, generations = _selected(pool.joined(born), evolution), generations + 1
        archive = archive.joined(born)
        if len(archive.genomes) > room:
            archive = _front(archive)
            room = ARCHIVE_GROWTH * max(evolution.population, len(archive.genomes))
        if on_generation is not None:
            on_generation(state.evaluations, evolution.evaluations)
    best = _front(archive)
    return Evolved(best.genomes, best.objectives, best.violations, state.evaluations, generations)


def _first_generation(state: _State, evolution: Evolution, seeds: IntArray | None) -> IntArray:
    """The seeds, and random designs up to a population."""
    given = np.zeros((0, len(state.sizes)), np.int64) if seeds is None else np.asarray(seeds, np.int64)
    if given.shape[1] != len(state.sizes) or (given < 0).any() or (given >= state.sizes).any():
        raise BadInput(
            f"search: seeds are not designs of this space; each needs {len(state.sizes)} choices from 0 to "
            "the number of choices of each parameter"
        )
    found = [_unseen(state, given)]
    for _ in range(TRIES):
        missing = evolution.population - sum(map(len, found))
        if missing <= 0:
            break
        drawn = state.rng.integers(state.sizes, size=(evolution.population, len(state.sizes)))
        found.append(_unseen(state, drawn)[:missing])
    return np.concatenate(found)


def _unseen(state: _State, genomes: IntArray) -> IntArray:
    """Those not met before, each once; they count as met now."""
    rows = np.ascontiguousarray(genomes, np.int32)
    keys = rows.view(f"V{rows.shape[1] * 4}").reshape(-1).tolist()
    new = []
    for index, key in enumerate(keys):
        if key not in state.seen:
            state.seen.add(key)
            new.append(index)
    return genomes[np.array(new, np.intp)]


def _evaluated(state: _State, genomes: IntArray) -> _Pool:
    objectives, violations = state.evaluate(genomes)
    if not (np.isfinite(objectives).all() and np.isfinite(violations).all()):
        raise BadInput(
            "search.objectives: a figure is not a finite number for some plans; choose other objectives or "
            "complete the profile"
        )
    state.evaluations += len(genomes)
    return _Pool(genomes, np.asarray(objectives, np.float64), np.asarray(violations, np.float64))


def _selected(pool: _Pool, evolution: Evolution) -> _Pool:
    """The next parents, best first."""
    return pool.take(survivors(pool.objectives, excess_of(pool.violations), count=evolution.population))


def _brood(state: _State, evolution: Evolution, parents: IntArray, wanted: int) -> IntArray:
    """Up to `wanted` children that were not met before."""
    found: list[IntArray] = []
    missing = wanted
    for attempt in range(TRIES):
        children = children_of(
            parents,
            state.sizes,
            2 * missing,
            state.rng,
            crossover_frac=evolution.crossover_frac,
            mutated_genes=(1.0 + attempt) * evolution.mutated_genes,
        )
        new = _first_unseen(state, children, missing)
        found.append(new)
        missing -= len(new)
        if not missing:
            break
    return np.concatenate(found)


def _first_unseen(state: _State, children: IntArray, count: int) -> IntArray:
    taken: list[IntArray] = []
    for start in range(0, len(children), count):
        new = _unseen(state, children[start : start + count - sum(map(len, taken))])
        taken.append(new)
        if sum(map(len, taken)) >= count:
            break
    return np.concatenate(taken)


def _front(pool: _Pool) -> _Pool:
    """Feasible points that no other beats, equal ones once; without any, the least infeasible point."""
    excess = excess_of(pool.violations)
    best = feasible_front(pool.objectives, excess <= 0.0)
    if not best.size:
        return pool.take(np.argmin(excess, keepdims=True))
    return pool.take(best[distinct(pool.objectives[best])])
