"""Stored bytes of real integer weights, in the format that an estimate chose for their layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from npuexplore.compression import encoding
from npuexplore.compression.plan import MATRIX_KEYS, LayerPlan
from npuexplore.cost.cortex_m.sparse import stored_bits, stored_of
from npuexplore.cost.ethos_u.tensors import stored_bytes
from npuexplore.cost.micronpu.storage import PLACE_BITS, two_four_slots
from npuexplore.cost.products import pair_name
from npuexplore.errors import BadInput
from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.hardware.kernels.sparse import SparseKernel, sparse_kernels
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.units import IntArray, ceil_div


def stored_weight_bytes(
    profile: HardwareProfile,
    choice: LayerPlan,
    matrices: Mapping[str, IntArray],
    *,
    weight_format: str | None = None,
) -> int:
    """Bytes that a layer's matrices take in `weight_format`, or in the smallest format of the part.

    matrices : `w_ih` (G*H, I) and `w_hh` (G*H, H), or `w` (O, I), pruned units already removed.
    Sizes are exact; on Ethos-U they are those of the coder's default format, read in one piece. Where the
    two matrices differ, each may have a format of its own (`dense + block_bitmap`).
    """
    formats = _formats(profile, choice, matrices)
    if weight_format is None:
        return min(formats.values())
    if weight_format not in formats:
        raise BadInput(
            f"weight format {weight_format!r}: profile {profile.name} stores {', '.join(formats)}; "
            "name one of those"
        )
    return formats[weight_format]


def _formats(profile: HardwareProfile, choice: LayerPlan, matrices: Mapping[str, IntArray]) -> dict[str, int]:
    """Bytes by format; by pairs of formats where the matrices differ."""
    gates, width = _gates(matrices), choice.activation_bits // 8

    def sizes(names: Iterable[str], bits: int) -> dict[str, int]:
        chosen = {name: matrices[name] for name in names}
        return dict(_sizes(profile, chosen, bits=bits, gates=gates, input_bytes=width))

    if not choice.matrices_differ:
        return sizes(matrices, choice.shared.weight_bits)
    first, second = (sizes([name], choice.of_matrix(name).weight_bits) for name in MATRIX_KEYS)
    return {
        pair_name(one, other): size + more for one, size in first.items() for other, more in second.items()
    }


def _sizes(
    profile: HardwareProfile, matrices: Mapping[str, IntArray], *, bits: int, gates: int, input_bytes: int
) -> Iterator[tuple[str, int]]:
    engine = profile.engine
    pieces = [piece for matrix in matrices.values() for piece in np.split(matrix, gates)]
    if isinstance(engine, EthosU):
        yield "mlw", sum(stored_bytes(engine, piece, input_bytes=input_bytes) for piece in pieces)
        return
    yield "dense", sum(int(ceil_div(matrix.size * bits, 8)) for matrix in matrices.values())
    if isinstance(engine, MicroNpu):
        yield from _micronpu_sizes(engine, matrices, pieces, bits)
    if isinstance(engine, CortexM) and input_bytes == 1:
        for kernel in sparse_kernels(engine.kernels_of, engine.toolchain):
            if all(kernel.reaches(piece.shape[1]) for piece in pieces):
                yield kernel.format, sum(_kernel_size(kernel, piece) for piece in pieces)


def _micronpu_sizes(
    engine: MicroNpu, matrices: Mapping[str, IntArray], pieces: list[IntArray], bits: int
) -> Iterator[tuple[str, int]]:
    if "bitmap" in engine.formats:
        yield (
            "bitmap",
            sum(
                _bytes(encoding.bitmap_bits(matrix.size, kept=int(np.count_nonzero(matrix)), bits=bits))
                for matrix in matrices.values()
            ),
        )
    if "csr_delta8" in engine.formats:
        yield (
            "csr_delta8",
            sum(
                _bytes(encoding.csr_bits(encoding.csr_stored(matrix), rows=matrix.shape[0], bits=bits))
                for matrix in matrices.values()
            ),
        )
    if "block_bitmap" in engine.formats:
        yield "block_bitmap", sum(_bytes(_block_map_bits(engine, piece, bits)) for piece in pieces)
    if "block_index" in engine.formats:
        yield "block_index", sum(_bytes(_block_index_bits(engine, piece, bits)) for piece in pieces)
    if "two_four" in engine.formats and all(_is_two_four(piece) for piece in pieces):
        slots = [piece.shape[0] * two_four_slots(piece.shape[1]) for piece in pieces]
        yield "two_four", sum(_bytes(count * (bits + PLACE_BITS)) for count in slots)


def _block_map_bits(engine: MicroNpu, weights: IntArray, bits: int) -> IntArray:
    rows, columns = engine.granule
    blocks = ceil_div(weights.shape[0], rows) * ceil_div(weights.shape[1], columns)
    return encoding.block_bits(
        encoding.nonzero_granules(weights, granule=engine.granule),
        blocks=blocks,
        block_elems=rows * columns,
        bits=bits,
        map_bits=engine.map_bits_per_granule,
    )


def _block_index_bits(engine: MicroNpu, weights: IntArray, bits: int) -> IntArray:
    stored = encoding.nonzero_granules(weights, granule=engine.granule)
    each = engine.granule[0] * engine.granule[1] * bits + engine.index_bits_per_stored_granule
    rows = ceil_div(weights.shape[0], engine.granule[0])
    return np.asarray(stored * each + rows * engine.pointer_bits_per_granule_row)


def _is_two_four(weights: IntArray) -> bool:
    """Whether no aligned four of a row has more than two weights that are not zero."""
    starts = np.arange(0, weights.shape[1], 4)
    return bool((np.add.reduceat(weights != 0, starts, axis=1, dtype=np.int64) <= 2).all())


def _kernel_size(kernel: SparseKernel, weights: IntArray) -> int:
    stored = stored_of(kernel, weights)
    return _bytes(stored_bits(kernel, stored=int(stored.sum()), rows=stored.size))


def _gates(matrices: Mapping[str, IntArray]) -> int:
    """Gates of every matrix of a layer; blocks never cross from one gate into the next."""
    state = matrices.get("w_hh")
    return 1 if state is None else state.shape[0] // state.shape[1]


def _bytes(bits: IntArray) -> int:
    return int(encoding.to_bytes(bits))
