"""Where the cycles of a layer go: parts that add up to the whole, none of them negative."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.workload.counts import Counts

PARTS = ("useful_macs", "padding", "decode", "index", "activation", "overhead", "memory_stall", "cpu")
"""Products of weights that are not zero; products of zeros and of lanes left idle; decoding of weights;
finding out which weights are stored; activation functions and element-wise work; starting, filling and
draining; waiting for a memory; work of a CPU beside the engine."""

Waterfall = dict[str, Counts]
"""(P, L) cycles by name in PARTS."""


def allot(total: Counts, parts: Mapping[str, NDArray[Any]], *, rest: str) -> Waterfall:
    """Shares `total` among `parts`, in their order, each as much as is left; `rest` takes what remains.

    total : (P, L) ; parts : (P, L) modelled cycles, rounded here; a negative one counts as none.

    >>> shares = allot(np.array([[10]]), {"useful_macs": np.array([[7.6]]), "index": np.array([[9]])},
    ...     rest="overhead")
    >>> {name: int(cycles[0, 0]) for name, cycles in shares.items() if cycles.any()}
    {'useful_macs': 8, 'index': 2}
    """
    left = np.array(total, np.int64)
    shares = {name: np.zeros_like(left) for name in PARTS}
    for name, wanted in parts.items():
        share = np.clip(np.rint(wanted).astype(np.int64), 0, left)
        shares[name] += share
        left = left - share
    shares[rest] += left
    return shares


def added(first: Waterfall, second: Waterfall) -> Waterfall:
    """Two waterfalls of work done one after the other.

    >>> nothing = allot(np.array([[1]]), {}, rest="cpu")
    >>> int(added(nothing, nothing)["cpu"][0, 0])
    2
    """
    return {name: first[name] + second[name] for name in PARTS}
