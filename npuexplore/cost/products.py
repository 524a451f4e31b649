"""Ways to store and multiply the weights of layers, and of layers whose two matrices differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.shapes import MatrixShapes, matrix_values, sum_layers
from npuexplore.workload.counts import Counts, NetworkTables


@dataclass(frozen=True)
class Product:
    """One format of the layers of P plans, or of their matrices; figures that add up over matrices."""

    format: str
    stored_bytes: Counts
    """(P, L)"""
    usable: NDArray[np.bool_] | None
    """(P, L), None where always."""
    figures: tuple[Counts, ...]
    """(P, L) each."""


def with_matrices(
    whole: Sequence[Product], alone: Sequence[Product], tables: NetworkTables, matrices: MatrixShapes
) -> list[Product]:
    """Ways of layers, where layers whose matrices differ may store each in a format of its own.

    whole : of layers whose matrices are alike, (P, L) ; alone : the same formats of each matrix, (P, M).
    Formats of both matrices come first, in the order of `whole`, then pairs of two. No matrix is stored in
    a format that takes more bytes than the first one, dense storage.
    """
    dense = alone[0].stored_bytes
    alone = [replace(each, usable=_usable(each) & (each.stored_bytes <= dense)) for each in alone]
    both = [_paired(each, each, tables) for each in alone]
    found = [_where(matrices.differ, apart, one) for apart, one in zip(both, whole, strict=True)]
    pairs = [_paired(first, second, tables) for first, second in permutations(alone, 2)]
    return found + [replace(pair, usable=matrices.differ & _usable(pair)) for pair in pairs]


def pair_name(first: str, second: str) -> str:
    """Name of the format of a layer whose input matrix is stored one way and whose recurrent one another.

    >>> pair_name("dense", "block_index")
    'dense + block_index'
    """
    return first if first == second else f"{first} + {second}"


def formats_of_matrices(name: str, count: int) -> list[str]:
    """Formats of the `count` matrices of a layer, from that of the layer.

    >>> formats_of_matrices("dense + block_index", 2), formats_of_matrices("dense", 2)
    (['dense', 'block_index'], ['dense', 'dense'])
    """
    first, _, other = name.partition(" + ")
    return [first, *[other or first] * (count - 1)]


def codes_of_matrices(
    weight_format: NDArray[np.int8], formats: int, tables: NetworkTables
) -> NDArray[np.int8]:
    """(P, M) index of each matrix' own format, from those (P, L) of layers among `with_matrices`.

    formats : how many formats there are of one matrix
    """
    pairs = [(code, code) for code in range(formats)] + list(permutations(range(formats), 2))
    table = np.array(pairs, np.int8)
    return np.asarray(table[matrix_values(weight_format, tables), _is_second(tables).astype(np.intp)])


def _paired(first: Product, second: Product, tables: NetworkTables) -> Product:
    """(P, L) a layer's first matrix stored one way, any other the other way."""
    is_second = _is_second(tables)

    def summed(one: Counts, other: Counts) -> Counts:
        return np.asarray(sum_layers(np.where(is_second, other, one), tables))

    usable = None
    if first.usable is not None or second.usable is not None:
        usable = ~sum_layers(np.where(is_second, ~_usable(second), ~_usable(first)), tables)
    return Product(
        format=pair_name(first.format, second.format),
        stored_bytes=summed(first.stored_bytes, second.stored_bytes),
        usable=usable,
        figures=tuple(summed(one, other) for one, other in zip(first.figures, second.figures, strict=True)),
    )


def _where(differ: NDArray[np.bool_], apart: Product, whole: Product) -> Product:
    """`apart` where the matrices of a layer differ, else `whole`."""
    usable = None
    if apart.usable is not None or whole.usable is not None:
        usable = np.where(differ, _usable(apart), _usable(whole))
    return Product(
        format=whole.format,
        stored_bytes=np.where(differ, apart.stored_bytes, whole.stored_bytes),
        usable=usable,
        figures=tuple(
            np.where(differ, new, old) for new, old in zip(apart.figures, whole.figures, strict=True)
        ),
    )


def _usable(product: Product) -> NDArray[np.bool_]:
    if product.usable is None:
        return np.ones(product.stored_bytes.shape, np.bool_)
    return np.broadcast_to(product.usable, product.stored_bytes.shape)


def _is_second(tables: NetworkTables) -> NDArray[np.bool_]:
    """(M,) matrices that are not the first one of their layer."""
    return np.asarray(np.arange(tables.matrix_layer.size) != tables.matrix_start[tables.matrix_layer])
