"""The exact front of a chain, or one that is near it within proven factors: dynamic programming over layers.

Going layer by layer, only the sums that no other beats are kept, among those that hand on the same state:
whatever follows adds the same to both. With a tolerance, sums are compared by boxes instead of exactly. A box
is a factor wide (a difference for decibels), and the factors of all layers multiply to 1 + eps at most, so
that for every plan that keeps the limits one is found that keeps them too and is within 1 + eps in every
figure. Figures whose limit can still be exceeded are compared exactly, so that no tolerance takes a plan over
a limit (Laumanns et al. 2002; Papadimitriou and Yannakakis 2000).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.errors import BadInput
from npuexplore.search.dominance import first_of_equals, front_of_ranks, ranks_of
from npuexplore.search.engines.chain import Chain, Floats, Index, Link, Peak, greatest_peak, sums_to_come

MOST_CANDIDATES = 1_000_000
"""Sums that are compared at once; more come in pieces."""
FEW_CHOICES = 16
"""So few choices are tried faster than compared."""
LEAST_BOXED = 1e-12
"""Share of the tolerance that is left to rounding."""


@dataclass(frozen=True)
class Tolerance:
    """How far a point of the front may be from the plan that it stands for; 0 is exact."""

    eps_frac: float = 0.0
    """Every figure at most 1 + this times the plan's."""
    eps_db: float = 0.0
    """Figures in decibels at most this above the plan's."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0.0 <= value <= 1.0:
                raise BadInput(f"search.{name}: got {value:g}; give a number from 0 (exact) to 1")


@dataclass(frozen=True)
class ChainFront:
    """Rows of choices that stand for all others, and what it took."""

    choices: NDArray[np.int32]
    """(F, L)"""
    looked_at: int
    """Partial plans compared on the way."""
    tolerance: Tolerance


@dataclass(frozen=True)
class _Labels:
    """Sums of partial plans that hand on one state, and where they come from."""

    sums: Floats
    """(N, D): A sums, then the peak and what it shares with the next step."""
    parent: NDArray[np.int64]
    """(N,) place among all labels of the layer before."""
    choice: NDArray[np.int32]
    """(N,)"""

    def take(self, rows: NDArray[np.integer]) -> _Labels:
        """Some of them."""
        return _Labels(self.sums[rows], self.parent[rows], self.choice[rows])


@dataclass(frozen=True)
class _Box:
    """What counts as equal in one column."""

    width: float
    """The logarithm of a factor, or a difference; 0 for exact."""
    absolute: bool


@dataclass(frozen=True)
class _Step:
    """What comparing the labels of one state needs."""

    to_come_least: Floats
    """(D,) added to sums before they are boxed: what follows adds at least that."""
    boxes: list[_Box]
    """(D,)"""
    exact_above: Floats
    """(D,) sums above are compared exactly: something that follows could take them over their limit."""
    most: Floats
    """(D,) sums above are over their limit whatever follows."""


def chain_front(chain: Chain, tolerance: Tolerance | None = None) -> ChainFront:
    """Rows of choices whose sums (and peak) cover those of every row that keeps the limits.

    Empty where none keeps them. Equal sums are kept once. Exact without a tolerance: the non-dominated ones.
    """
    found = tolerance or Tolerance()
    return _Search(chain, found).front()


class _Search:
    """One run of the dynamic programming."""

    def __init__(self, chain: Chain, tolerance: Tolerance) -> None:
        peak = chain.peak
        self.chain, self.tolerance = chain, tolerance
        self.carries = peak is not None and peak.shares
        self.columns = len(chain.figures) + (0 if peak is None else 1 + self.carries)
        self.to_come = sums_to_come(chain)
        self.peak_binds = peak is not None and greatest_peak(chain) > peak.limit
        self.looked_at = 0

    def front(self) -> ChainFront:
        """Layer by layer, then back along the parents."""
        trail: list[tuple[NDArray[np.int64], NDArray[np.int32]]] = []
        labels = {0: _Labels(np.zeros((1, self.columns)), np.zeros(1, np.int64), np.zeros(1, np.int32))}
        for layer in range(len(self.chain.links)):
            labels = self._extended(labels, layer)
            trail.append(
                (
                    np.concatenate([each.parent for each in labels.values()] or [np.zeros(0, np.int64)]),
                    np.concatenate([each.choice for each in labels.values()] or [np.zeros(0, np.int32)]),
                )
            )
        row = np.arange(len(trail[-1][0]))
        choices = np.zeros((row.size, len(trail)), np.int32)
        for layer in range(len(trail) - 1, -1, -1):
            parent, choice = trail[layer]
            choices[:, layer], row = choice[row], parent[row]
        return ChainFront(choices, self.looked_at, self.tolerance)

    def _extended(self, labels: dict[int, _Labels], layer: int) -> dict[int, _Labels]:
        """Labels by the state they hand on, after one more layer."""
        link, last = self.chain.links[layer], layer + 1 == len(self.chain.links)
        handed = np.zeros(link.adds.shape[1], np.intp) if last else self.chain.links[layer + 1].state
        starts = np.cumsum([0, *(len(each.choice) for each in labels.values())])
        found = {}
        for target in np.unique(handed).tolist():
            own = np.flatnonzero(handed == target)
            step = self._step(layer, target)
            kept: _Labels | None = None
            for piece in self._candidates(labels, starts, layer, own):
                self.looked_at += len(piece.choice)
                joined = piece if kept is None else _joined([kept, piece])
                kept = joined.take(self._kept(joined.sums, step))
            if kept is not None and len(kept.choice):
                found[target] = kept
        return found

    def _candidates(
        self, labels: dict[int, _Labels], starts: NDArray[np.integer], layer: int, own: Index
    ) -> Iterator[_Labels]:
        """Every label of the layer before with every choice of `own` that is not beaten there, in pieces."""
        link = self.chain.links[layer]
        waiting: list[_Labels] = []
        room = MOST_CANDIDATES
        for (state, before), start in zip(labels.items(), starts[:-1].tolist(), strict=True):
            useful = own[self._useful(link, layer, state, own)]
            size = max(1, MOST_CANDIDATES // useful.size)
            for first in range(0, len(before.choice), size):
                rows = np.arange(first, min(first + size, len(before.choice)))
                waiting.append(self._combined(before, start, rows, layer, state, useful))
                room -= len(waiting[-1].choice)
                if room <= 0:
                    yield _joined(waiting)
                    waiting, room = [], MOST_CANDIDATES
        if waiting:
            yield _joined(waiting)

    def _useful(self, link: Link, layer: int, state: int, own: Index) -> NDArray[np.bool_]:
        """Which choices no other beats that hands on the same; of a few, all."""
        if len(own) <= FEW_CHOICES:
            return np.ones(len(own), bool)
        columns = [link.adds[state, own]]
        if self.chain.peak is not None:
            assert link.alive is not None
            assert link.into is not None
            columns += [link.alive[state, own, None], link.into[state, own, None]]
            if layer + 1 == len(self.chain.links):
                columns.append(self.chain.peak.outlet[own, None])
        ranks = ranks_of(np.concatenate(columns, axis=1))
        useful = np.zeros(len(own), bool)
        front = np.flatnonzero(front_of_ranks(ranks))
        useful[front[first_of_equals(ranks[front])]] = True
        return useful

    def _combined(
        self, before: _Labels, start: int, rows: Index, layer: int, state: int, own: Index
    ) -> _Labels:
        """Some labels of one state with some choices of a layer; `start` labels lie before that state's."""
        link, figures = self.chain.links[layer], len(self.chain.figures)
        sums = np.empty((rows.size, own.size, self.columns))
        sums[..., :figures] = before.sums[rows, None, :figures] + link.adds[state, own]
        if self.chain.peak is not None:
            self._add_peak(sums, before.sums[rows], self.chain.peak, layer, state, own)
        return _Labels(
            sums.reshape(-1, self.columns),
            np.repeat(rows + start, own.size).astype(np.int64),
            np.tile(own, rows.size).astype(np.int32),
        )

    def _add_peak(self, sums: Floats, before: Floats, peak: Peak, layer: int, state: int, own: Index) -> None:
        """The fullest step so far, and what is alive when the next layer's input comes."""
        link, column = self.chain.links[layer], len(self.chain.figures)
        assert link.alive is not None
        assert link.into is not None
        alive, into = link.alive[state, own], link.into[state, own]
        top = before[:, column, None]
        if layer == 0:
            top = np.maximum(top, peak.start + into)
        elif peak.shares:
            top = np.maximum(top, before[:, -1, None] + into)
        left = alive if peak.shares else np.zeros(own.size)
        if not peak.shares:
            top = np.maximum(top, alive)
        if layer + 1 == len(self.chain.links):
            top = np.maximum(top, np.maximum(left, peak.start) + peak.outlet[own])
            left = np.zeros(own.size)
        if peak.shares:
            sums[..., -1] = left
        sums[..., column] = top

    def _step(self, layer: int, target: int) -> _Step:
        """Boxes and limits of labels that hand on one state; the first layer is compared exactly."""
        figures, more = self.chain.figures, self.columns - len(self.chain.figures)
        least, greatest = (side[target] for side in self.to_come[layer])
        constants = np.array([figure.constant for figure in figures])
        limits = np.array([figure.limit for figure in figures])
        strictest = np.array([figure.strictest for figure in figures])
        exact_above = np.append(np.minimum(strictest, limits) - constants - greatest, np.full(more, np.inf))
        if self.peak_binds and self.chain.peak is not None:
            exact_above[len(figures) :] = -np.inf
            if self.chain.peak.on_top is not None:
                exact_above[self.chain.peak.on_top] = -np.inf
        return _Step(
            to_come_least=np.append(least + constants, np.zeros(more)),
            boxes=self._boxes(layer),
            exact_above=exact_above,
            most=np.append(limits - constants - least, np.full(more, np.inf)),
        )

    def _boxes(self, layer: int) -> list[_Box]:
        """(D,) the widths whose factors (or differences) over all layers but the first make the tolerance."""
        share = (1.0 - LEAST_BOXED) / max(len(self.chain.links) - 1, 1) if layer else 0.0
        factor = _Box(float(np.log1p(self.tolerance.eps_frac)) * share, absolute=False)
        difference = _Box(self.tolerance.eps_db * share, absolute=True)
        boxes = [difference if figure.absolute else factor for figure in self.chain.figures]
        return boxes + [factor] * (self.columns - len(boxes))

    def _kept(self, sums: Floats, step: _Step) -> NDArray[np.intp]:
        """Rows that stand for all others of the state."""
        rows = np.flatnonzero(self._within(sums, step))
        if not rows.size:
            return rows
        sums = sums[rows]
        wanted = [figure.wanted for figure in self.chain.figures]
        wanted += [True] * (self.columns - len(wanted))
        columns = [_box_ranks(own, step, c, wanted=wanted[c]) for c, own in enumerate(sums.T)]
        ranks = np.stack(columns, axis=1)
        order = np.argsort(_nearness(sums), kind="stable")
        front = order[front_of_ranks(ranks[order])]
        return rows[front[first_of_equals(ranks[front])]]

    def _within(self, sums: Floats, step: _Step) -> NDArray[np.bool_]:
        """(N,) whether something that may follow keeps every limit."""
        within = np.asarray((sums <= step.most).all(axis=1))
        peak = self.chain.peak
        if peak is None or not self.peak_binds:
            return within
        always = 0.0
        if peak.on_top is not None:
            always = sums[:, peak.on_top] + step.to_come_least[peak.on_top]
        return within & (sums[:, len(self.chain.figures)] + always <= peak.limit)


def _nearness(sums: Floats) -> Floats:
    """(N,) the order in which a box chooses who stands for it."""
    return np.asarray((sums / np.maximum(sums.max(axis=0), 1e-300)).sum(axis=1))


def _box_ranks(sums: Floats, step: _Step, column: int, *, wanted: bool) -> NDArray[np.int64]:
    """(N,) order of one column's boxes, then of the exact values above `exact_above`."""
    own, threshold = step.boxes[column], step.exact_above[column]
    value = sums + step.to_come_least[column]
    if not wanted:
        box = np.zeros(len(sums))
    elif own.width == 0.0:
        box = value
    elif own.absolute:
        box = np.floor(value / own.width)
    else:
        box = np.floor(np.log(np.maximum(value, np.finfo(np.float64).tiny)) / own.width)
    above = sums > threshold
    if not above.any():
        return np.unique(box, return_inverse=True)[1].reshape(-1)
    ranks = np.empty(len(sums), np.int64)
    boxed, inverse = np.unique(box[~above], return_inverse=True)
    ranks[~above] = inverse.reshape(-1)
    ranks[above] = boxed.size + np.unique(sums[above], return_inverse=True)[1].reshape(-1)
    return ranks


def _joined(labels: list[_Labels]) -> _Labels:
    return _Labels(
        np.concatenate([each.sums for each in labels]),
        np.concatenate([each.parent for each in labels]),
        np.concatenate([each.choice for each in labels]),
    )
