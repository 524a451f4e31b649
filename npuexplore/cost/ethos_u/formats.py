"""Which format of encoded weights an Ethos-U85 reads: the default one, the fast one, or 2 of 4.

Arm's compiler Vela adds the time to decode and read the weights to the operator's own time and takes the
least; the decoding time serves this choice only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.streams import channel_rate, whole_quotient
from npuexplore.hardware.ethos_u import EthosU, EthosU85
from npuexplore.hardware.profile import MemoryRegion

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FORMATS = ("Default", "Fast", "Default|Sparse2_4", "Fast|Sparse2_4")
"""Names of the formats, as the compiler prints them."""
FAST, TWO_FOUR = 1, 2
"""Bits of an index into FORMATS."""

SLOWEST_RATE, FASTEST_RATE = 8, 32
"""Weights per cycle and core of the default decoder, with few and with many zeros."""
FEW_ZEROS_FRAC, MANY_ZEROS_FRAC = 0.5, 0.9
FAST_RATE, FAST_PALETTE_RATE = 32, 64
"""Weights per cycle of the fast decoder; the second with fewer distinct values than a palette holds."""
PALETTE_VALUES = 16
SMALL_PALETTE_VALUES = 4
FAST_HEADER_BYTES = 32


@dataclass(frozen=True)
class Coded:
    """What is known of weights in one order of coding; arrays are (P,)."""

    default_bytes: Counts
    fast_bytes: Counts
    source_weights: Counts
    """Weights with the zeros that fill blocks up."""
    run_zeros: Counts
    """Zeros that the default format codes as lengths of runs."""
    distinct: Counts
    """Different values."""


@dataclass(frozen=True)
class Candidates:
    """The orders of coding that a product may be stored in."""

    plain: Coded
    two_four: Coded | None
    """None where no plan can use the format."""
    two_four_possible: Flags
    """(P,) whether at most two of each four weights in coding order are not zero."""


def choose_format(
    engine: EthosU,
    candidates: Candidates,
    *,
    memory: MemoryRegion,
    plain_cycles: Counts,
    two_four_cycles: Counts | None,
) -> Counts:
    """(P,) index into FORMATS of what the compiler stores.

    memory : where encoded weights rest ; plain_cycles, two_four_cycles : (P,) of the operator
    """
    index = np.zeros(plain_cycles.shape, np.int64)
    if not isinstance(engine, EthosU85):
        return index
    best = np.full(plain_cycles.shape, np.iinfo(np.int64).max)
    may_be_fast = np.ones(plain_cycles.shape, np.bool_)
    if candidates.two_four is not None and two_four_cycles is not None:
        sparse = candidates.two_four
        possible = candidates.two_four_possible & (two_four_cycles <= plain_cycles)
        cycles = _decode_cycles(engine, sparse, sparse.default_bytes, memory, fast=False)
        index, best = _better(index, best, cycles + two_four_cycles, TWO_FOUR, possible)
        may_be_fast &= ~possible | _fast_pays(engine, sparse, cycles, memory)
    plain = candidates.plain
    cycles = _decode_cycles(engine, plain, plain.default_bytes, memory, fast=False)
    index, best = _better(index, best, cycles + plain_cycles, 0, np.ones_like(may_be_fast))
    may_be_fast &= _fast_pays(engine, plain, cycles, memory)
    if candidates.two_four is not None and two_four_cycles is not None:
        sparse = candidates.two_four
        cycles = _decode_cycles(engine, sparse, sparse.fast_bytes, memory, fast=True)
        usable = may_be_fast & possible
        index, best = _better(index, best, cycles + two_four_cycles, FAST | TWO_FOUR, usable)
    cycles = _decode_cycles(engine, plain, plain.fast_bytes, memory, fast=True)
    return _better(index, best, cycles + plain_cycles, FAST, may_be_fast)[0]


def _better(
    index: Counts, best: Counts, cycles: Counts, candidate: int, usable: Flags
) -> tuple[Counts, Counts]:
    better = usable & (cycles < best)
    return np.where(better, candidate, index), np.where(better, cycles, best)


def _fast_pays(engine: EthosU85, coded: Coded, default_cycles: Counts, memory: MemoryRegion) -> Flags:
    """Whether the fast format, its size guessed from the distinct values, is read faster."""
    few, tiny = coded.distinct <= PALETTE_VALUES, coded.distinct <= SMALL_PALETTE_VALUES
    per_byte = np.where(few & (coded.distinct > 0), np.where(tiny, 4, 2), 1)
    guessed = FAST_HEADER_BYTES + coded.source_weights // per_byte
    return np.asarray(_decode_cycles(engine, coded, guessed, memory, fast=True) < default_cycles)


def _decode_cycles(
    engine: EthosU85, coded: Coded, stored_bytes: Counts, memory: MemoryRegion, *, fast: bool
) -> Counts:
    """Cycles of decoding all weights or of reading them, whichever takes longer."""
    if fast:
        rate = np.where(coded.distinct < PALETTE_VALUES, FAST_PALETTE_RATE, FAST_RATE)
    else:
        share = coded.run_zeros.astype(np.float32) / coded.source_weights.astype(np.float32)
        zeros = np.clip(share, np.float32(FEW_ZEROS_FRAC), np.float32(MANY_ZEROS_FRAC)).astype(np.float64)
        slope = (FASTEST_RATE - SLOWEST_RATE) / (MANY_ZEROS_FRAC - FEW_ZEROS_FRAC)
        per_core = (SLOWEST_RATE + (zeros - FEW_ZEROS_FRAC) * slope).astype(np.int64)
        rate = per_core * engine.cores
    channel = channel_rate(engine, memory, "fast_weight" if fast else "weight")
    read = whole_quotient(stored_bytes, channel) + memory.read_latency_cycles
    return np.asarray(np.maximum(coded.source_weights // rate, read))
