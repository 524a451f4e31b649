"""The integer weights behind the recorded vendor-tool figures, regenerated from their seed."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.mlw.levels import CLIP_SIGMAS, GROUP_INPUTS, greatest_level
from npuexplore.errors import BadInput

STRUCTURES = ("dense", "unstructured", "magnitude", "unit", "inunit", "nm24")
"""Names of recorded structures; `RxC` (blocks of R outputs by C inputs) besides."""

Int8Matrix = NDArray[np.int8]


def recorded_weights(
    rows: int, columns: int, *, structure: str, sparsity: float, bits: int, seed: int
) -> Int8Matrix:
    """(rows, columns) int8 weights: a clipped Gaussian on a grid of 2^bits - 1 levels, zeros by structure.

    rows are outputs, columns inputs. `sparsity` is the share of weights, blocks, rows or columns zeroed.

    >>> recorded_weights(2, 4, structure="nm24", sparsity=0.5, bits=4, seed=0)
    array([[0, 0, 1, 0],
           [0, 0, 3, 2]], dtype=int8)
    """
    if bits not in CLIP_SIGMAS:
        raise BadInput(f"recorded weights: bits: got {bits}; the recorded grids have {sorted(CLIP_SIGMAS)}")
    rng = np.random.default_rng(seed)
    gaussian = rng.standard_normal((rows, columns)).astype(np.float32)
    top = greatest_level(bits)
    scaled = np.rint(gaussian * (top / CLIP_SIGMAS[bits]))
    levels: Int8Matrix = np.clip(scaled, -top, top).astype(np.int8)
    levels[_zeroed(gaussian, structure=structure, sparsity=sparsity, rng=rng)] = 0
    return levels


def _zeroed(
    gaussian: NDArray[np.float32], *, structure: str, sparsity: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """(rows, columns) which weights the structure zeroes."""
    rows, columns = gaussian.shape
    if structure == "dense":
        return np.zeros((rows, columns), bool)
    if structure == "magnitude":
        smallest = np.argsort(np.abs(gaussian), axis=None)[: _share(sparsity, gaussian.size)]
        return np.isin(np.arange(gaussian.size), smallest).reshape(rows, columns)
    if structure == "nm24":
        return _two_smallest_of_four(gaussian)
    return _blocks(rows, columns, structure=structure, sparsity=sparsity, rng=rng)


def _two_smallest_of_four(gaussian: NDArray[np.float32]) -> NDArray[np.bool_]:
    rows, columns = gaussian.shape
    block_shape("nm24", rows=rows, columns=columns)
    groups = np.abs(gaussian.reshape(rows, columns // GROUP_INPUTS, GROUP_INPUTS))
    order = np.argsort(groups, axis=2)
    zeroed = np.zeros(order.shape, bool)
    np.put_along_axis(zeroed, order[..., :2], values=True, axis=2)
    return zeroed.reshape(rows, columns)


def block_shape(structure: str, *, rows: int, columns: int) -> tuple[int, int]:
    """Weights that a structure zeroes together, in a matrix (rows, columns): outputs and inputs.

    >>> block_shape("16x1", rows=64, columns=32), block_shape("unit", rows=64, columns=32)
    ((16, 1), (1, 32))
    """
    whole = {"unit": (1, columns), "inunit": (rows, 1)}
    if structure == "nm24" and columns % GROUP_INPUTS:
        raise BadInput(
            f"recorded weights: structure nm24: got {columns} inputs; "
            f"they must be a multiple of {GROUP_INPUTS}"
        )
    if structure in STRUCTURES:
        return whole.get(structure, (1, 1))
    shape = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", structure)
    if shape is None:
        raise BadInput(
            f"recorded weights: structure: got {structure!r}; write one of {', '.join(STRUCTURES)}, or "
            "RxC such as 16x1"
        )
    return int(shape[1]), int(shape[2])


def _blocks(
    rows: int, columns: int, *, structure: str, sparsity: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    high, wide = block_shape(structure, rows=rows, columns=columns)
    down, across = -(-rows // high), -(-columns // wide)
    blocks = _chosen(down * across, sparsity, rng).reshape(down, across)
    return np.kron(blocks, np.ones((high, wide), bool))[:rows, :columns]


def _chosen(count: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    chosen = np.zeros(count, bool)
    chosen[rng.permutation(count)[: _share(share, count)]] = True
    return chosen


def _share(share: float, count: int) -> int:
    return round(share * count)
