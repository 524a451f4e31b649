"""`evolve` as a sampler of Optuna: a design at a time, for any study.

What is proposed follows from the seed, the number of the trial and the finished trials alone. So a study that
was stopped and is opened again proposes what it would have proposed.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from npuexplore.errors import UsageError
from npuexplore.search.engines.offspring import children_of
from npuexplore.search.engines.ranking import survivors
from npuexplore.search.genes import Genes, Genome, choices_of
from npuexplore.units import FloatArray, IntArray

BROOD = 32
"""Children that are looked at together for one that is new."""
TRIES = 8
"""Broods, each bolder than the one before, until a random design is taken."""


@dataclass(frozen=True)
class _Pool:
    """Designs and how good they are: objectives minimised, `excess` the sum of broken limits."""

    genomes: IntArray
    objectives: FloatArray
    excess: FloatArray

    def with_(self, genomes: Sequence[Genome], objectives: Sequence[Any], excess: Sequence[float]) -> _Pool:
        if not genomes:
            return self
        return _Pool(
            np.concatenate([self.genomes, np.array(genomes, np.int64)]),
            np.concatenate([self.objectives, np.array(objectives, np.float64)]),
            np.concatenate([self.excess, np.array(excess, np.float64)]),
        )

    def best(self, count: int) -> _Pool:
        """The best, best first."""
        index = survivors(self.objectives, self.excess, count=count)
        return _Pool(self.genomes[index], self.objectives[index], self.excess[index])


@dataclass
class _History:
    """What was read of a study: whole generations are selected once, the trials after them at every look."""

    study: str
    genes: Genes
    signs: FloatArray
    population: int
    pool: _Pool
    read: int = 0
    """Trials up to here are finished or in `unfinished`."""
    unfinished: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    finished: int = 0
    seen: set[Genome] = field(default_factory=set)
    genomes: list[Genome] = field(default_factory=list)
    objectives: list[FloatArray] = field(default_factory=list)
    excess: list[float] = field(default_factory=list)

    def take(self, trial: FrozenTrial) -> None:
        """Learn a finished trial."""
        if trial.state == TrialState.FAIL:
            self.failed.append(trial.number)
            return
        genome = self.genes.genome(trial.params)
        if genome is None:
            return
        self.seen.add(genome)
        if trial.state != TrialState.COMPLETE:
            return
        objectives = self.signs * np.array(trial.values, np.float64)
        finite = bool(np.isfinite(objectives).all())
        self.finished += 1
        self.genomes.append(genome)
        self.objectives.append(objectives if finite else np.zeros_like(objectives))
        self.excess.append(sum(max(0.0, limit) for limit in trial.constraints.values()) if finite else np.inf)
        if len(self.genomes) == self.population:
            self.pool = self._joined().best(self.population)
            self.genomes, self.objectives, self.excess = [], [], []

    def parents(self) -> IntArray:
        """(N, G) the best designs so far, best first."""
        return self._joined().best(self.population).genomes

    def _joined(self) -> _Pool:
        return self.pool.with_(self.genomes, self.objectives, self.excess)


class EvolveSampler(BaseSampler):
    """NSGA-II that keeps the best of all finished trials as parents and proposes no design twice.

    population : designs that are kept as parents. seed : of all choices; a random one if None. search_space :
    all parameters, if known before the first trial; else those that all trials so far had. mutated_genes :
    genes of a child that are drawn for a change, on average.

    Takes any directions and constraints (`trial.set_constraint`), categorical, integer and float parameters;
    a float range without steps is a grid of 1001 values. Trials that others added are parents like its own.
    Failed trials do not count: a study that lost one to a crash goes on as if it had not been begun.
    """

    def __init__(
        self,
        *,
        population: int = 50,
        seed: int | None = None,
        search_space: Mapping[str, BaseDistribution] | None = None,
        crossover_frac: float = 0.9,
        mutated_genes: float = 1.0,
    ) -> None:
        if population < 4:
            raise UsageError(f"EvolveSampler: got population {population}; evolution needs at least 4")
        self._population = population
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self._space = None if search_space is None else dict(search_space)
        self._common = IntersectionSearchSpace(include_pruned=True)
        self._crossover_frac = crossover_frac
        self._mutated_genes = mutated_genes
        self._history: _History | None = None
        self._lock = threading.Lock()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that are chosen together."""
        space = self._common.calculate(study) if self._space is None else self._space
        return {name: each for name, each in space.items() if not each.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A design that no trial had, while there is one."""
        if not search_space:
            return {}
        with self._lock:
            history, running = self._read(study, trial, search_space)
            rng = self._rng(trial, history.failed)
            if rng.random() * self._population >= history.finished:
                genome = _unseen_random(rng, history.genes, history.seen | running)
            else:
                genome = self._child(rng, history, running)
        return history.genes.params(genome)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random choice, for a parameter that not all trials have."""
        with self._lock:
            failed = [] if self._history is None else self._history.failed
            rng = self._rng(trial, failed, crc32(param_name.encode()))
        choices = choices_of(param_distribution)
        return choices[int(rng.integers(len(choices)))]

    def _rng(self, trial: FrozenTrial, failed: Sequence[int], *more: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, trial.number - bisect_left(failed, trial.number), *more])

    def _read(
        self, study: Study, trial: FrozenTrial, space: Mapping[str, BaseDistribution]
    ) -> tuple[_History, set[Genome]]:
        """Everything finished, and the designs that others are at."""
        trials = study.get_trials(deepcopy=False)
        known = self._history
        if (
            known is None
            or known.study != study.study_name
            or known.genes.distributions != space
            or known.read > len(trials)
        ):
            known = self._history = _started(study, Genes(space), self._population)
        looked_at = [*known.unfinished, *range(known.read, len(trials))]
        known.read, known.unfinished = len(trials), []
        for number in looked_at:
            if trials[number].state.is_finished():
                known.take(trials[number])
            else:
                known.unfinished.append(number)
        known.failed.sort()
        others = (trials[number].params for number in known.unfinished if number != trial.number)
        return known, {genome for genome in map(known.genes.genome, others) if genome is not None}

    def _child(self, rng: np.random.Generator, history: _History, running: set[Genome]) -> Genome:
        parents, sizes = history.parents(), history.genes.sizes
        for attempt in range(TRIES):
            brood = children_of(
                parents,
                sizes,
                BROOD,
                rng,
                crossover_frac=self._crossover_frac,
                mutated_genes=(1.0 + attempt) * self._mutated_genes,
            )
            for row in brood.tolist():
                genome = tuple(row)
                if genome not in history.seen and genome not in running:
                    return genome
        return _unseen_random(rng, history.genes, history.seen | running)


def _started(study: Study, genes: Genes, population: int) -> _History:
    signs = [1.0 if direction == StudyDirection.MINIMIZE else -1.0 for direction in study.directions]
    nothing = _Pool(np.zeros((0, len(genes.sizes)), np.int64), np.zeros((0, len(signs))), np.zeros(0))
    return _History(study.study_name, genes, np.array(signs), population, nothing)


def _unseen_random(rng: np.random.Generator, genes: Genes, seen: set[Genome]) -> Genome:
    """A random design that was not seen, or any when all were."""
    for row in rng.integers(genes.sizes, size=(BROOD, len(genes.sizes))).tolist():
        if tuple(row) not in seen:
            return tuple(row)
    taken = sorted({_ordinal(genome, genes.sizes) for genome in seen})
    left = genes.designs - len(taken)
    if left <= 0:
        return tuple(rng.integers(genes.sizes).tolist())
    return _genome_at(_nth_free(taken, int(rng.integers(left))), genes.sizes)


def _nth_free(taken: Iterable[int], count: int) -> int:
    """The number that has `count` numbers below it which are not among the taken ones, which rise.

    >>> [_nth_free([1, 2, 5], count) for count in range(4)]
    [0, 3, 4, 6]
    """
    for number in taken:
        if number > count:
            break
        count += 1
    return count


def _ordinal(genome: Genome, sizes: IntArray) -> int:
    number = 0
    for gene, size in zip(genome, sizes.tolist(), strict=True):
        number = number * size + gene
    return number


def _genome_at(number: int, sizes: IntArray) -> Genome:
    genes = []
    for size in reversed(sizes.tolist()):
        number, gene = divmod(number, size)
        genes.append(gene)
    return tuple(reversed(genes))
