"""Pruning masks and weight rounding in one primitive, straight-through."""

from __future__ import annotations

from typing import Any

import numpy as np
from autograd.extend import defvjp
from numpy.typing import NDArray

from npuexplore.compression.quantize import fake_quantise
from npuexplore.train.primitives.declare import differentiable
from npuexplore.units import FloatArray


@differentiable
def mask_fq(
    weights: FloatArray, *, mask: NDArray[np.bool_], bits: int, groups: int, frozen: bool
) -> FloatArray:
    """Masked weights on their integer grid, one step per group of rows.

    weights, mask : (R, C), False = pruned. The gradient reaches pruned weights too, so that they can
    grow back at the next choice of the mask, until the mask is `frozen`.

    >>> keep = np.array([[True, False]])
    >>> mask_fq(np.array([[1.0, 2.0]]), mask=keep, bits=8, groups=1, frozen=True).tolist()
    [[1.0, 0.0]]
    """
    return fake_quantise(weights * mask, bits=bits, groups=groups)


@differentiable
def mask_only(values: FloatArray, *, mask: NDArray[np.bool_], frozen: bool) -> FloatArray:
    """Masked values without rounding (biases of removed units); gradient as in `mask_fq`."""
    return values * mask


def _vjp(_: FloatArray, __: FloatArray, *, mask: NDArray[np.bool_], frozen: bool, **___: Any) -> Any:
    return lambda d_out: d_out * mask if frozen else d_out


defvjp(mask_fq, _vjp)
defvjp(mask_only, _vjp)
