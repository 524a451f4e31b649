"""Formats that a generic microNPU stores weights in: their bits, what leaves the decoder, what is indexed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression import encoding
from npuexplore.compression.shapes import PlanShapes, csr_fillers, matrix_values, two_four_kept
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.units import IntArray, ceil_div
from npuexplore.workload.counts import Counts, NetworkTables


@dataclass(frozen=True)
class Stored:
    """One format of the matrices of P plans."""

    format: str
    bits: IntArray
    """(P, M)"""
    decoded: Counts
    """(P, M) weights that leave the decoder."""
    indexed: Counts | None
    """(P, M) stored blocks or weights that the decoder looks up; None where places are fixed."""
    skipped_group: tuple[int, int] | None
    """[outputs, inputs] of what the array leaves out; None where it multiplies everything."""
    usable: NDArray[np.bool_] | None = None
    """(P, L); None where always."""


Format = Callable[[MicroNpu, NetworkTables, PlanShapes], Stored]


def stored_formats(engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes) -> Iterator[Stored]:
    """Every format of the engine, dense first."""
    yield _dense(engine, tables, shapes)
    for name, layout in FORMATS.items():
        if name in engine.formats:
            yield layout(engine, tables, shapes)


def _dense(_: MicroNpu, tables: NetworkTables, shapes: PlanShapes) -> Stored:
    bits = encoding.dense_bits(shapes.elems, bits=matrix_values(shapes.weight_bits, tables))
    return Stored("dense", bits, shapes.elems, None, None)


def _bitmap(engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes) -> Stored:
    width = matrix_values(shapes.weight_bits, tables)
    bits = encoding.bitmap_bits(shapes.elems, kept=shapes.kept_elems, bits=width)
    return _single_weights(engine, shapes, name="bitmap", bits=bits)


def _csr(engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes) -> Stored:
    width = matrix_values(shapes.weight_bits, tables)
    stored = shapes.kept_elems + csr_fillers(tables, shapes)
    bits = encoding.csr_bits(stored, rows=tables.matrix_gates * shapes.rows, bits=width)
    return _single_weights(engine, shapes, name="csr_delta8", bits=bits)


def _single_weights(engine: MicroNpu, shapes: PlanShapes, *, name: str, bits: IntArray) -> Stored:
    skips = engine.sparsity_mode == "zero_skip"
    return Stored(
        format=name,
        bits=bits,
        decoded=shapes.kept_elems if skips else shapes.elems,
        indexed=shapes.kept_elems,
        skipped_group=(1, 1) if skips else None,
    )


def _block_bitmap(engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes) -> Stored:
    granules, stored = _granules(engine, tables, shapes)
    bits = encoding.block_bits(
        stored,
        blocks=granules,
        block_elems=engine.granule[0] * engine.granule[1],
        bits=matrix_values(shapes.weight_bits, tables),
        map_bits=engine.map_bits_per_granule,
    )
    return _blocks(engine, shapes, name="block_bitmap", bits=bits, stored=stored)


def _block_index(engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes) -> Stored:
    _, stored = _granules(engine, tables, shapes)
    rows = tables.matrix_gates * ceil_div(shapes.rows, engine.granule[0])
    elems = engine.granule[0] * engine.granule[1]
    width = matrix_values(shapes.weight_bits, tables)
    bits = (
        stored * (elems * width + engine.index_bits_per_stored_granule)
        + rows * engine.pointer_bits_per_granule_row
    )
    return _blocks(engine, shapes, name="block_index", bits=bits, stored=stored)


def _granules(engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes) -> tuple[Counts, Counts]:
    """(P, M) granules of all gates, and those expected to hold a non-zero weight."""
    rows, columns = engine.granule
    granules = tables.matrix_gates * ceil_div(shapes.rows, rows) * ceil_div(shapes.columns, columns)
    share = matrix_values(shapes.surviving_frac(engine.granule), tables)
    return granules, np.rint(granules * share).astype(np.int64)


def _blocks(engine: MicroNpu, shapes: PlanShapes, *, name: str, bits: IntArray, stored: Counts) -> Stored:
    skips = engine.sparsity_mode in ("block_skip", "zero_skip")
    elems = engine.granule[0] * engine.granule[1]
    return Stored(
        format=name,
        bits=bits,
        decoded=stored * elems if skips else shapes.elems,
        indexed=stored,
        skipped_group=engine.granule if skips else None,
    )


def _two_four(engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes) -> Stored:
    """Two slots for every aligned four, each with its place among the four; holds two_four plans only."""
    slots = tables.matrix_gates * shapes.rows * two_four_slots(shapes.columns)
    skips = engine.sparsity_mode == "two_four"
    return Stored(
        format="two_four",
        bits=slots * (matrix_values(shapes.weight_bits, tables) + PLACE_BITS),
        decoded=slots if skips else shapes.elems,
        indexed=None,
        skipped_group=(1, 2) if skips else None,
        usable=shapes.two_four,
    )


PLACE_BITS = 2
"""Bits that say which of four places a stored weight of 2:4 has (two bits tell four places apart)."""

FORMATS: Mapping[str, Format] = {
    "bitmap": _bitmap,
    "csr_delta8": _csr,
    "block_bitmap": _block_bitmap,
    "block_index": _block_index,
    "two_four": _two_four,
}
"""In the order in which equally good ones are preferred."""


def two_four_slots(columns: IntArray | int) -> IntArray:
    """Stored weights of a row under 2:4, the last four padded.

    >>> two_four_slots(np.array([16, 18]))
    array([ 8, 10])
    """
    return np.asarray(two_four_kept(4 * ceil_div(columns, 4)))
