"""Buffers that outlive one step, with a guard against gradients of a forward pass that is gone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

CACHE_LINE_BYTES = 64


def aligned_empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array that begins at a cache line, contents undefined.

    numpy aligns to 16 bytes, so that every 64-byte load of an AVX-512 kernel straddles two lines: sums and
    products of arrays in cache take up to twice as long, small matrix products a third longer.

    >>> aligned_empty((3, 5), np.float32).ctypes.data % CACHE_LINE_BYTES
    0
    """
    array_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(array_bytes + CACHE_LINE_BYTES, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE_BYTES
    return memory[start : start + array_bytes].view(dtype).reshape(shape)


def aligned_zeros(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Zeros that begin at a cache line."""
    zeros = aligned_empty(shape, dtype)
    zeros[...] = 0
    return zeros


def aligned_copy(values: NDArray[Any]) -> NDArray[Any]:
    """A C-ordered copy that begins at a cache line."""
    copied = aligned_empty(values.shape, values.dtype)
    copied[...] = values
    return copied


class Workspace:
    """Named arrays reused from step to step by one fused primitive.

    The generation counts forward passes: a backward pass names the one it belongs to, and is refused
    when a later forward pass has overwritten the buffers or when they were already consumed.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}
        self._generation = 0
        self._consumed = True

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """The buffer called `name`; contents are whatever the last user left."""
        found = self._arrays.get(name)
        if found is None or found.shape != shape or found.dtype != dtype:
            found = self._arrays[name] = aligned_empty(shape, dtype)
        return found

    def begin(self) -> int:
        """Open a new generation; what earlier ones saved is void."""
        self._generation += 1
        self._consumed = False
        return self._generation

    @property
    def generation(self) -> int:
        """The forward pass whose values the buffers hold."""
        return self._generation

    def consume(self, generation: int) -> None:
        """Claim the buffers for one backward pass; RuntimeError when they are stale or used up."""
        if generation != self._generation:
            raise RuntimeError(
                f"workspace holds forward pass {self._generation}, not {generation}: "
                "a later forward pass overwrote it"
            )
        if self._consumed:
            raise RuntimeError(f"the backward pass of forward pass {generation} has already run")
        self._consumed = True
