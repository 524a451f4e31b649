"""How good a front is: beside the exact front, or the best that is known, and beside random designs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from npuexplore.errors import BadInput
from npuexplore.search.engines.auto import by_factors, spread
from npuexplore.search.engines.dynamic import Tolerance
from npuexplore.search.engines.evolve import Evolution, evolve
from npuexplore.search.engines.exact import ENUMERATED_DESIGNS, exact_front, exact_search
from npuexplore.search.engines.look_up import LOSS
from npuexplore.search.engines.separable import SeparableModel, separated
from npuexplore.search.engines.shortlist import FullModel, Shortlist
from npuexplore.search.pareto import distinct, feasible_front, hypervolume, nondominated
from npuexplore.search.result import SearchResult
from npuexplore.search.space import random_choices
from npuexplore.units import FloatArray, IntArray

Kind = Literal["enumerated", "exact", "tolerance", "best_known"]

LADDER = (Tolerance(0.3, 0.15), Tolerance(0.1, 0.05), Tolerance(0.03, 0.015), Tolerance())
"""Tolerances of a reference, the coarsest first: the next is tried as long as the last was cheap."""
CHEAP = (2_000_000, 3_000_000, 300_000)
"""Partial plans that were compared for a tolerance, up to which the next one is tried."""
COVERED = Tolerance(0.03, 0.015)
"""A point of the reference counts as found where some point is so near."""
MEASURED_POINTS = {2: 20_000, 3: 5_000, 4: 2_000}
"""Points, by objectives, of which hypervolumes are measured; of larger fronts so many, spread over them."""
REFEREE_EVALUATIONS = 50_000
"""Of an evolution that looks for more where no front can be proved."""
RANDOM_EVALUATIONS = 1_000_000
MARGIN = 1.1
"""The worst of the reference lies at 1, where volumes end at this."""
ROUNDING = 1e-9
"""Points that lie nearer than this are equal."""
COMPARED = 1 << 21
RANDOM_SEED, REFEREE_SEED = 0xBA5E, 0x2EF


@dataclass(frozen=True)
class Reference:
    """A front that others are measured by."""

    points: FloatArray
    """(R, M) log10 of time, bytes and energy; loss in dB."""
    kind: Kind
    tolerance: Tolerance | None
    """What a design may be better than all of these; None where nobody knows."""


@dataclass(frozen=True)
class Measured:
    """A front beside a reference."""

    evaluations: int
    hypervolume_frac: float
    coverage_frac: float

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {name: _rounded(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Proof:
    """How good a search's front is."""

    reference: Reference
    found: Measured
    hypervolume_frac_at_least: float | None
    """A share of the true front's hypervolume that is proved; None where nobody knows."""
    random: Measured
    before: Measured | None
    """Before Optuna's trials, where another engine came first."""
    added_points: int
    """Points of the front that Optuna's trials added to what another engine had found."""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        tolerance = self.reference.tolerance
        least = self.hypervolume_frac_at_least
        return {
            "reference": self.reference.kind,
            "reference_points": len(self.reference.points),
            "reference_eps_frac": None if tolerance is None else tolerance.eps_frac,
            "reference_eps_db": None if tolerance is None else tolerance.eps_db,
            **{name: value for name, value in self.found.document().items() if name != "evaluations"},
            "hypervolume_frac_at_least": None if least is None else _rounded(least),
            "coverage_eps_frac": COVERED.eps_frac,
            "coverage_eps_db": COVERED.eps_db,
            "measured_points_max": MEASURED_POINTS[self.reference.points.shape[1]],
            "random": self.random.document(),
        }


def prove(result: SearchResult, full: FullModel, *, seed: int, within: Tolerance | None = None) -> Proof:
    """Measure a result's front. full : the full model of the whole space by look-up

    within : a tolerance within which the front is known to stand for every design, if any. The same arguments
    give the same proof.
    """
    names, evaluations = result.objective_names, min(result.evaluations, RANDOM_EVALUATIONS)
    points = by_factors(result.objectives[result.front], names)
    chance = _by_chance(full, evaluations=evaluations, seed=seed)
    proved = _finest(reference_of(full), points, within)
    reference = _joined(proved, points) if proved else _best_known(full, [points, chance], seed, names)
    scale = _Scale.of(reference)
    return Proof(
        reference=reference,
        found=_measured(scale, reference, points, names, result.evaluations),
        hypervolume_frac_at_least=None if proved is None else _share(scale, points, _shifted(proved, names)),
        random=_measured(scale, reference, chance, names, evaluations),
        before=_before(scale, reference, result) if result.suggested_from else None,
        added_points=_added_points(result),
    )


def _added_points(result: SearchResult) -> int:
    """Points that Optuna suggested and that nothing found before equals (but for rounding) or beats."""
    if not result.suggested_from:
        return 0
    new = result.front[result.front >= result.suggested_from]
    known = np.flatnonzero(result.feasible[: result.suggested_from])
    points = by_factors(result.objectives, result.objective_names)
    reached = coverage(points[known], points[new], np.full(points.shape[1], ROUNDING))
    return round((1.0 - reached) * len(new))


def _before(scale: _Scale, reference: Reference, result: SearchResult) -> Measured:
    """What was found before Optuna's trials."""
    first = slice(0, result.suggested_from)
    front = feasible_front(result.objectives[first], result.feasible[first])
    points = by_factors(result.objectives[front], result.objective_names)
    trials = len(result.plans) - result.suggested_from
    return _measured(scale, reference, points, result.objective_names, result.evaluations - trials)


def reference_of(full: FullModel) -> Reference | None:
    """The exact front, or one within the least tolerance that is cheap; None where none can be proved.

    That of several parts is as good as the worst of theirs.
    """
    if isinstance(full, Shortlist):
        return _reference_of_parts(full)
    if full.space.designs <= ENUMERATED_DESIGNS:
        found = exact_front(full, Tolerance())
        return Reference(by_factors(found.objectives, full.objectives), "enumerated", Tolerance())
    try:
        model = separated(full)
        return _climbed(model)
    except BadInput:
        return None


def _reference_of_parts(full: Shortlist) -> Reference | None:
    found: list[Reference] = []
    for own in full.parts:
        reference = reference_of(own)
        if reference is None:
            return None
        found.append(reference)
    worst = max(found, key=lambda each: _eps_frac(each.tolerance))
    points = np.concatenate([each.points for each in found])
    front = points[nondominated(points)]
    return replace(worst, points=front[distinct(front)])


def _eps_frac(tolerance: Tolerance | None) -> float:
    return np.inf if tolerance is None else tolerance.eps_frac


def _climbed(model: SeparableModel) -> Reference:
    """Down the ladder of tolerances."""
    for tolerance, cheap in zip(LADDER, (*CHEAP, 0), strict=True):
        found = exact_search(model, tolerance)
        if found.looked_at > cheap:
            break
    kind: Kind = "exact" if tolerance == Tolerance() else "tolerance"
    return Reference(by_factors(found.objectives, model.objectives), kind, tolerance)


def _by_chance(full: FullModel, *, evaluations: int, seed: int) -> FloatArray:
    """(F, M) front of random designs."""
    rows = random_choices(full.space, np.random.default_rng([seed, RANDOM_SEED]), evaluations)
    return _front_points(full, rows)


def _front_points(full: FullModel, rows: IntArray) -> FloatArray:
    evaluation = full.evaluate(rows)
    front = feasible_front(evaluation.objectives, evaluation.feasible)
    return by_factors(evaluation.objectives[front], full.objectives)


def _finest(proved: Reference | None, points: FloatArray, within: Tolerance | None) -> Reference | None:
    """The reference that is nearer to all designs: the proved one, or the search's own front."""
    if proved is None or within is None or proved.tolerance is None:
        return proved
    if within.eps_frac >= proved.tolerance.eps_frac or within.eps_db >= proved.tolerance.eps_db:
        return proved
    return Reference(points, "exact" if within == Tolerance() else "tolerance", within)


def _joined(proved: Reference, points: FloatArray) -> Reference:
    """A reference within a tolerance, with points found elsewhere that are better."""
    if proved.tolerance == Tolerance():
        return proved
    every = np.concatenate([proved.points, points])
    return replace(proved, points=every[nondominated(every)])


def _best_known(full: FullModel, others: list[FloatArray], seed: int, names: tuple[str, ...]) -> Reference:
    """What this search, random designs and an evolution of its own found together."""

    def evaluated(rows: IntArray) -> tuple[FloatArray, FloatArray]:
        evaluation = full.evaluate(rows)
        return by_factors(evaluation.objectives, names), evaluation.violations

    sizes = [len(parameter.choices) for parameter in full.space.parameters]
    own = evolve(sizes, evaluated, Evolution(REFEREE_EVALUATIONS), seed=seed + REFEREE_SEED)
    points = np.concatenate([*others, own.objectives[(own.violations <= 0.0).all(axis=1)]])
    return Reference(points[nondominated(points)], "best_known", None)


def _shifted(proved: Reference, names: tuple[str, ...]) -> FloatArray:
    """Points that no design is better than: the reference's, moved by its tolerance."""
    assert proved.tolerance is not None
    return np.asarray(proved.points - _margins(proved.tolerance, names))


def _margins(tolerance: Tolerance, names: tuple[str, ...]) -> NDArray[np.float64]:
    factor = np.log10(1.0 + tolerance.eps_frac)
    return np.array([tolerance.eps_db if name == LOSS else factor for name in names])


@dataclass(frozen=True)
class _Scale:
    """From the best of a reference, at 0, to its worst, at 1."""

    low: FloatArray
    span: FloatArray

    @staticmethod
    def of(reference: Reference) -> _Scale:
        points = reference.points
        if not len(points):
            return _Scale(np.zeros(points.shape[1]), np.ones(points.shape[1]))
        low, high = points.min(axis=0), points.max(axis=0)
        return _Scale(low, np.where(high > low, high - low, 1.0))

    def volume(self, points: FloatArray) -> float:
        """Hypervolume of points, or of as many as are measured, spread over them."""
        scaled = (points - self.low) / self.span
        inside = scaled[(scaled < MARGIN).all(axis=1)]
        most = MEASURED_POINTS[points.shape[1]]
        if len(inside) > most:
            inside = inside[np.sort(spread(inside, count=most))]
        return hypervolume(inside, reference=np.full(points.shape[1], MARGIN))


def _measured(
    scale: _Scale, reference: Reference, points: FloatArray, names: tuple[str, ...], evaluations: int
) -> Measured:
    share = _share(scale, points, reference.points)
    return Measured(evaluations, share, coverage(points, reference.points, _margins(COVERED, names)))


def _share(scale: _Scale, points: FloatArray, of: FloatArray) -> float:
    """Hypervolume as a share of another front's; 0 where that is empty."""
    whole = scale.volume(of)
    return scale.volume(points) / whole if whole else 0.0


def coverage(points: FloatArray, reference: FloatArray, margins: FloatArray) -> float:
    """Share of the reference's points that some point is at most `margins` above, in every objective.

    points : (P, M) ; reference : (R, M) ; margins : (M,) ; 0 where the reference is empty

    >>> coverage(np.array([[1.0, 1.0]]), np.array([[0.9, 1.0], [0.0, 2.0]]), np.array([0.2, 0.0]))
    0.5
    """
    if not (len(points) and len(reference)):
        return 0.0
    reached, step = 0, max(1, COMPARED // len(points))
    for start in range(0, len(reference), step):
        wanted = reference[start : start + step] + margins
        near = np.ones((len(wanted), len(points)), bool)
        for own, most in zip(points.T, wanted.T, strict=True):
            near &= own <= most[:, None]
        reached += int(near.any(axis=1).sum())
    return reached / len(reference)


def _rounded(value: float) -> float:
    return round(value, 6)
