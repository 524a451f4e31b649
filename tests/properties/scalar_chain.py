"""The figures of one row of choices of a chain, by plain loops; what exact search must agree with."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from npuexplore.search.engines.chain import Chain


def outcome(chain: Chain, row: Sequence[int]) -> tuple[list[float], bool]:
    """Wanted figures of a row (the peak last, with what is on top), and whether it keeps the limits."""
    sums = [figure.constant for figure in chain.figures]
    steps, left = [], 0.0
    for layer, (link, own) in enumerate(zip(chain.links, row, strict=True)):
        state = link.state[row[layer - 1]] if layer else 0
        for column in range(len(sums)):
            sums[column] += link.adds[state, own, column]
        if chain.peak is not None:
            alive, into = link.alive[state, own], link.into[state, own]
            if layer == 0:
                steps.append(into + chain.peak.start)
            elif chain.peak.shares:
                steps.append(left + into)
            if not chain.peak.shares:
                steps.append(alive)
            left = alive if chain.peak.shares else 0.0
    wanted = [value for value, figure in zip(sums, chain.figures, strict=True) if figure.wanted]
    kept = all(value <= figure.limit for value, figure in zip(sums, chain.figures, strict=True))
    if chain.peak is not None:
        outlet = chain.peak.outlet[row[-1]]
        fullest = max([*steps, left + outlet, chain.peak.start + outlet])
        fullest += 0.0 if chain.peak.on_top is None else sums[chain.peak.on_top]
        wanted.append(fullest)
        kept = kept and fullest <= chain.peak.limit
    return wanted, kept


def outcomes(chain: Chain, rows: Sequence[Sequence[int]]) -> np.ndarray:
    """(P, M) wanted figures of the rows that keep the limits."""
    found = [figures for figures, kept in (outcome(chain, row) for row in rows) if kept]
    columns = sum(figure.wanted for figure in chain.figures) + (chain.peak is not None)
    return np.array(found).reshape(len(found), columns)


def all_rows(chain: Chain) -> list[tuple[int, ...]]:
    """Every row of choices."""
    return list(itertools.product(*(range(link.adds.shape[1]) for link in chain.links)))
