"""FFTs as CMSIS-DSP does them: which passes a length takes, and what they cost.

A real transform of an even length N is a complex one of N / 2 points and a stage that splits its result;
of an odd length, a complex one of N points. A power of two is made of passes of the kernel's radix, with
one of radix 2 or 4 before them where it is no power of it (arm_cfft_f32: radix 8 by 2 and by 4). Other
lengths take passes of radix 3 and 5; lengths with a greater prime factor take Bluestein's way: a circular
convolution with a chirp in the next power of two, two transforms with three products around them.
"""

from __future__ import annotations

from dataclasses import dataclass

from npuexplore.hardware.kernels.dsp import DspKernel

BUTTERFLY_OPS = {2: (20, 12), 3: (44, 36), 4: (56, 32), 5: (96, 72), 8: (144, 88)}
"""By radix: loads, stores, additions and products of a butterfly with twiddle factors, and of one without."""
COMPLEX_PRODUCT_OPS = 12
INVERSE_OPS_PER_POINT = 9
"""The inverse is the forward transform between two conjugations, the second with the scale."""


@dataclass(frozen=True)
class Pass:
    """One pass over a complex array."""

    radix: int
    twiddled: int
    """Butterflies with twiddle factors."""
    plain: int
    """Butterflies whose twiddle factors are 1."""


def radices(length: int, *, base: int) -> list[int] | None:
    """Radices of the passes of a complex FFT, first pass first; None where a prime factor is too great.

    >>> radices(256, base=8), radices(512, base=4), radices(200, base=8), radices(14, base=8)
    ([4, 8, 8], [2, 4, 4, 4, 4], [5, 5, 8], None)
    """
    odd = []
    for radix in (3, 5):
        while length % radix == 0:
            odd.append(radix)
            length //= radix
    powers = []
    while length % base == 0:
        powers.append(base)
        length //= base
    if length not in (1, 2, 4):
        return None
    return odd + [length] * (length > 1) + powers


def passes(length: int, *, base: int) -> list[Pass] | None:
    """The passes of a complex FFT by decimation in frequency; a block's first butterfly has no twiddles.

    >>> passes(16, base=4)
    [Pass(radix=4, twiddled=3, plain=1), Pass(radix=4, twiddled=0, plain=4)]
    """
    factors = radices(length, base=base)
    if factors is None:
        return None
    found, block = [], length
    for radix in factors:
        plain = length // block
        found.append(Pass(radix, twiddled=length // radix - plain, plain=plain))
        block //= radix
    return found


def complex_fft_cycles(length: int, kernel: DspKernel) -> float:
    """Cycles of a complex FFT of `length` points.

    >>> from npuexplore.hardware.kernels.dsp import dsp_kernel
    >>> 45_000 < complex_fft_cycles(512, dsp_kernel("m4", "float32")) < 52_000
    True
    """
    steps = passes(length, base=kernel.radix)
    if steps is None:
        return _bluestein_cycles(length, kernel)
    butterflies = sum(_pass_cycles(step, kernel) for step in steps)
    return butterflies + length * kernel.reorder_cycles_per_point + kernel.call_cycles


def real_fft_cycles(length: int, kernel: DspKernel) -> float:
    """Cycles from `length` real samples to their one-sided spectrum."""
    if length % 2:
        return complex_fft_cycles(length, kernel)
    return complex_fft_cycles(length // 2, kernel) + (length // 2 + 1) * kernel.split_cycles_per_bin


def inverse_real_fft_cycles(length: int, kernel: DspKernel) -> float:
    """Cycles from a one-sided spectrum to `length` real samples."""
    points = length if length % 2 else length // 2
    around = points * INVERSE_OPS_PER_POINT * kernel.streamed_cycles_per_op
    return real_fft_cycles(length, kernel) + around


def twiddle_elems(length: int, kernel: DspKernel) -> int:
    """Numbers in the tables of a real FFT: twiddle factors, chirp and its spectrum, splitting factors."""
    points, split = (length, 0) if length % 2 else (length // 2, length)
    if radices(points, base=kernel.radix) is None:
        convolved = _convolution_points(points)
        return split + 2 * points + 4 * convolved
    return split + 2 * points


def work_elems(length: int, kernel: DspKernel) -> int:
    """Numbers that a real FFT works in beside the spectrum; in place where the length is a power of two."""
    points = length if length % 2 else length // 2
    if radices(points, base=kernel.radix) is None:
        return 2 * _convolution_points(points)
    in_place = points & (points - 1) == 0
    return 2 * points if in_place else 4 * points


def is_power_of_two(length: int) -> bool:
    """Whether CMSIS-DSP has the transform.

    >>> is_power_of_two(512), is_power_of_two(400)
    (True, False)
    """
    return length & (length - 1) == 0


def way(length: int, kernel: DspKernel) -> str:
    """How a real FFT of `length` samples is made, in words.

    >>> from npuexplore.hardware.kernels.dsp import dsp_kernel
    >>> way(512, dsp_kernel("m7", "float32")), way(400, dsp_kernel("m55", "float32"))
    ('256 = 4 x 8 x 8 complex points', '200 = 5 x 5 x 2 x 4 complex points')
    """
    points = length if length % 2 else length // 2
    factors = radices(points, base=kernel.radix)
    if factors is None:
        return f"{points} complex points by convolution in {_convolution_points(points)}"
    return f"{points} = {' x '.join(map(str, factors or [1]))} complex points"


def _pass_cycles(step: Pass, kernel: DspKernel) -> float:
    with_twiddles, without = BUTTERFLY_OPS[step.radix]
    butterflies = step.twiddled + step.plain * without / with_twiddles
    return butterflies * kernel.butterfly_cycles[step.radix]


def _bluestein_cycles(length: int, kernel: DspKernel) -> float:
    points = _convolution_points(length)
    products = (points + 2 * length) * COMPLEX_PRODUCT_OPS + points * INVERSE_OPS_PER_POINT
    return 2 * complex_fft_cycles(points, kernel) + products * kernel.streamed_cycles_per_op


def _convolution_points(length: int) -> int:
    """The power of two that a linear convolution of two sequences of `length` fits.

    >>> _convolution_points(7)
    16
    """
    return int(1 << (2 * length - 2).bit_length())
