"""A search problem that exact search can take apart: a chain of layers, each adding figures of its own.

What a layer adds depends on its own choice and on what the layer before hands on (its units and the width of
its activations): the state. Some figures are sums over layers; one may be a peak, the fullest step of a
sequence in which a layer shares memory with the one that follows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.intp]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Link:
    """One layer: S states that may be handed in, C choices, A sums."""

    state: Index
    """(choices of the layer before,) what each of them hands in, below S; (1,) zeros for the first layer."""
    adds: Floats
    """(S, C, A) at least 0."""
    alive: Floats | None = None
    """(S, C) of the layer's own step, its input included; where the chain has a peak."""
    into: Floats | None = None
    """(S, C) of the layer's input, alive in the step before too; where the chain has a peak."""


@dataclass(frozen=True)
class Peak:
    """What a chain's peak needs besides its links."""

    start: float
    """Alive with the first layer's input, and with the last layer's output, in steps of their own."""
    outlet: Floats
    """(choices of the last layer,) its output."""
    shares: bool
    """Whether a step holds the next layer's input too; without it `alive` is all."""
    on_top: int | None
    """Sum that is alive all the time, on top of the peak; None where nothing is."""
    limit: float = np.inf
    """Greatest allowed value of peak and `on_top`."""


@dataclass(frozen=True)
class Figure:
    """How one sum counts."""

    name: str
    constant: float = 0.0
    """Added once, at least 0."""
    absolute: bool = False
    """Whether its tolerance is a difference (decibels) rather than a factor."""
    limit: float = np.inf
    """Greatest allowed value, the constant included."""
    strictest: float = np.inf
    """The least of the limits that may apply later (one per rate of skipped frames); at most `limit`."""
    wanted: bool = True
    """Whether it is minimised; one that is not only has a limit."""


@dataclass(frozen=True)
class Chain:
    """Layers in order, and how their sums count."""

    links: tuple[Link, ...]
    figures: tuple[Figure, ...]
    """(A,)"""
    peak: Peak | None = None


def sums_to_come(chain: Chain) -> list[tuple[Floats, Floats]]:
    """Least and greatest sums of the layers after each one, by what it hands on: (S, A) each.

    One pair per layer; the last has nothing to come, (1, A) zeros.
    """
    figures = len(chain.figures)
    found = [(np.zeros((1, figures)), np.zeros((1, figures)))]
    for layer in range(len(chain.links) - 1, 0, -1):
        least, greatest = found[-1]
        link = chain.links[layer]
        after = np.zeros(link.adds.shape[1], np.intp) if len(found) == 1 else chain.links[layer + 1].state
        found.append(((link.adds + least[after]).min(axis=1), (link.adds + greatest[after]).max(axis=1)))
    return found[::-1]


def greatest_peak(chain: Chain) -> float:
    """An upper bound on the peak and what is alive on top of it."""
    peak = chain.peak
    if peak is None:
        return 0.0
    tops = [float(_greatest(link.alive)) for link in chain.links]
    intos = [float(_greatest(link.into)) for link in chain.links] + [float(peak.outlet.max())]
    steps = [top + (after if peak.shares else 0.0) for top, after in zip(tops, intos[1:], strict=True)]
    steps += [intos[0] + peak.start, intos[-1] + peak.start, intos[-1]]
    if peak.on_top is None:
        return max(steps)
    always = [float(link.adds[..., peak.on_top].max()) for link in chain.links]
    return max(steps) + sum(always) + chain.figures[peak.on_top].constant


def _greatest(values: Floats | None) -> float:
    assert values is not None
    return float(values.max())


def restricted(chain: Chain, allowed: Sequence[Index]) -> Chain:
    """The chain in which each layer has some of its choices only.

    allowed : for each layer, the choices that stay, in order
    """
    links, before = [], np.zeros(1, np.intp)
    for layer, (link, own) in enumerate(zip(chain.links, allowed, strict=True)):
        links.append(
            Link(
                state=link.state if layer == 0 else link.state[before],
                adds=link.adds[:, own],
                alive=None if link.alive is None else link.alive[:, own],
                into=None if link.into is None else link.into[:, own],
            )
        )
        before = own
    peak = chain.peak
    if peak is not None:
        peak = Peak(peak.start, peak.outlet[before], peak.shares, peak.on_top, peak.limit)
    return Chain(tuple(links), chain.figures, peak)
