"""Value and gradients of a scalar function of several arrays, on autograd's tape.

`autograd.grad` differentiates one argument and spreads the gradient of a container over zeros of its
whole size for every access; here each array is its own root of the tape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from autograd.core import VJPNode, add_outgrads
from autograd.tracer import isbox, new_box
from autograd.util import toposort

from npuexplore.units import FloatArray

TRACE = 0
"""Traces tell nested derivatives apart; there are none, so that threads need not share a count of them."""


def value_and_gradients(
    function: Callable[[dict[str, Any]], Any], arrays: Mapping[str, FloatArray], *, share: float = 1.0
) -> tuple[float, dict[str, FloatArray]]:
    """`share` times the value of `function(arrays)`, a scalar, and its gradient in every array.

    >>> value, gradients = value_and_gradients(lambda p: p["a"] * p["a"], {"a": np.float64(3.0)})
    >>> value, float(gradients["a"])
    (9.0, 6.0)
    """
    roots = {name: VJPNode.new_root() for name in arrays}
    end = function({name: new_box(array, TRACE, roots[name]) for name, array in arrays.items()})
    if not isbox(end):
        return share * float(end), {name: np.zeros_like(array) for name, array in arrays.items()}
    pulled = _pull_back(end._node, np.full_like(end._value, share))
    return share * float(end._value), {
        name: pulled[node] if node in pulled else np.zeros_like(arrays[name]) for name, node in roots.items()
    }


def _pull_back(end: Any, cotangent: Any) -> dict[Any, Any]:
    """Cotangents of the tape's roots."""
    waiting: dict[Any, Any] = {end: (cotangent, False)}
    leaves: dict[Any, Any] = {}
    for node in toposort(end):
        total, _ = waiting.pop(node)
        if not node.parents:
            leaves[node] = total
        for parent, part in zip(node.parents, node.vjp(total), strict=True):
            waiting[parent] = add_outgrads(waiting.get(parent), part)
    return leaves
