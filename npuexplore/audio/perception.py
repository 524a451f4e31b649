"""What a listener would make of a sound: STOI, PESQ and DNSMOS.

Conventions
-----------
All take mono samples of one length by keyword, and the rate they were taken at. None has a unit.

`stoi` (Taal et al. 2011, by pystoi) estimates intelligibility, about 0..1, at 10 kHz.
`pesq` (ITU-T P.862.2, wide band) estimates a listening panel's opinion, 1.0..4.6, at 16 kHz.
`dnsmos` (Reddy et al. 2022, P.835) estimates opinions of speech, background and whole from the sound
alone, 1..5, at 16 kHz, by a network that the package speechmos brings along.

PESQ and DNSMOS need the extras of their names: the first is built from the ITU's C code, whose owners
limit its use, the second runs in onnxruntime.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from npuexplore.audio.metrics import Float64, Samples, paired_signals
from npuexplore.errors import BadInput, EnvironmentLacking

PESQ_RATE_HZ = DNSMOS_RATE_HZ = 16_000
STOI_LEAST_SECONDS = 0.42
"""30 frames of 12.8 ms and the window's length: what one term of STOI is made of."""
PESQ_LEAST_SECONDS = 0.25
DNSMOS_WINDOW_SECONDS = 9.01
DNSMOS_WINDOW_SAMPLES = 144_160
"""What the network hears at a time; shorter sounds are repeated."""
DNSMOS_OPINIONS = (
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)
"""Polynomials from the network's outputs to opinions of speech, background and whole (speechmos 0.0.1.1)."""


def stoi(*, estimate: Samples, reference: Samples, rate_hz: int) -> float:
    """Short-time objective intelligibility of (N,) signals.

    Raises BadInput for signals that `paired_signals` refuses and for less than 0.42 s of speech.
    """
    from pystoi import stoi as of_pystoi

    wanted, heard = paired_signals(estimate=estimate, reference=reference)
    too_short = BadInput(
        f"STOI needs at least {STOI_LEAST_SECONDS} s of speech that is not silence; leave this pair out or "
        "choose other metrics"
    )
    if wanted.size < STOI_LEAST_SECONDS * rate_hz:
        raise too_short
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)
        try:
            return float(of_pystoi(wanted, heard, rate_hz))
        except RuntimeWarning:
            raise too_short from None


def pesq(*, estimate: Samples, reference: Samples, rate_hz: int) -> float:
    """Wide-band PESQ of (N,) signals, as a mean opinion score.

    Raises EnvironmentLacking without the extra; BadInput for signals that `paired_signals` refuses, less
    than a quarter of a second, a silent estimate or no speech.
    """
    require("pesq")
    from pesq import NoUtterancesError
    from pesq import pesq as of_itu

    wanted, heard = paired_signals(estimate=estimate, reference=reference)
    wanted, heard = (_at_rate(signal, rate_hz, PESQ_RATE_HZ) for signal in (wanted, heard))
    if not heard.any():
        raise BadInput("PESQ has no score for a silent estimate; leave this pair out or choose other metrics")
    if wanted.size < PESQ_LEAST_SECONDS * PESQ_RATE_HZ:
        raise BadInput(
            f"PESQ needs at least {PESQ_LEAST_SECONDS} s; leave this pair out or choose other metrics"
        )
    try:
        return float(of_itu(PESQ_RATE_HZ, wanted, heard, "wb"))
    except NoUtterancesError:
        raise BadInput("PESQ finds no speech in it; leave this pair out or choose other metrics") from None


def dnsmos(*, estimate: Samples, rate_hz: int) -> tuple[float, float, float]:
    """DNSMOS P.835 of an (N,) signal: opinions of the speech, of the background and of the whole.

    The mean over windows of 9.01 s, a second apart. Raises EnvironmentLacking without the extra, BadInput
    for no samples or such that are not finite.
    """
    require("dnsmos")
    heard = np.asarray(estimate, np.float64)
    if not (heard.size and np.isfinite(heard).all()):
        raise BadInput("DNSMOS needs samples, all of them finite; mend the file")
    heard = np.clip(_at_rate(heard, rate_hz, DNSMOS_RATE_HZ), -1.0, 1.0)
    while heard.size < DNSMOS_WINDOW_SAMPLES:
        heard = np.concatenate([heard, heard])
    network, starts = _dnsmos_network(), _dnsmos_starts(heard.size)
    parts = (heard[None, start : start + DNSMOS_WINDOW_SAMPLES].astype(np.float32) for start in starts)
    raw = np.array([network.run(None, {"input_1": part})[0][0] for part in parts])
    opinions = [np.polyval(row, raw[:, column]) for column, row in enumerate(DNSMOS_OPINIONS)]
    speech, background, whole = (float(values.mean()) for values in opinions)
    return speech, background, whole


NEEDS = {
    "pesq": (("pesq",), "is built from source with a C compiler and has a restrictive licence"),
    "dnsmos": (("onnxruntime", "speechmos"), "brings the network's weights along"),
}
"""What each optional metric imports, and what to know of installing it."""


def installed(metric: str) -> bool:
    """Whether all that a metric needs is there.

    >>> installed("stoi")
    True
    """
    modules, _ = NEEDS.get(metric, ((), ""))
    return all(find_spec(module) is not None for module in modules)


def require(metric: str) -> None:
    """Raise EnvironmentLacking unless all that a metric needs is there."""
    if not installed(metric):
        raise EnvironmentLacking(
            f"{metric}: needs the extra of that name, which {NEEDS[metric][1]}: "
            f"pip install 'npuexplore[{metric}]'"
        )


def _at_rate(samples: Float64, from_hz: int, to_hz: int) -> Float64:
    if from_hz == to_hz:
        return samples
    import soxr

    return np.asarray(soxr.resample(samples, from_hz, to_hz, quality="HQ"), np.float64)


def _dnsmos_starts(samples: int) -> list[int]:
    """Where the windows of at least one window of samples begin.

    As in Microsoft's script, which leaves out those whose end its float arithmetic rounds down: scores
    would not be comparable otherwise.

    >>> [start // 16_000 for start in _dnsmos_starts(20 * 16_000)]
    [0, 1, 2, 3, 4, 5, 6]
    """
    seconds = range(max(1, samples // DNSMOS_RATE_HZ - int(DNSMOS_WINDOW_SECONDS)))
    ends = [int((start + DNSMOS_WINDOW_SECONDS) * DNSMOS_RATE_HZ) for start in seconds]
    starts = [start * DNSMOS_RATE_HZ for start in seconds]
    return [start for start, end in zip(starts, ends, strict=True) if end - start >= DNSMOS_WINDOW_SAMPLES]


@lru_cache(maxsize=1)
def _dnsmos_network() -> Any:
    """The network as an onnxruntime session of one thread. speechmos itself would import librosa."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    package = find_spec("speechmos")
    assert package is not None
    assert package.origin is not None
    weights = Path(package.origin).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
    return onnxruntime.InferenceSession(weights.read_bytes(), options, providers=["CPUExecutionProvider"])
