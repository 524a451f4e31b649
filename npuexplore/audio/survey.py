"""What a folder of sound holds, file by file at each file's own rate, in plain numbers.

Conventions
-----------
Levels are the root mean square in dB below full scale. A sample is clipped where it lies within one 16-bit
step of full scale. The bandwidth of a file is the highest frequency at which its mean spectrum is less than
60 dB below its peak: what was recorded at 8 kHz and stored at 16 kHz ends near 3.9 kHz. The SNR of a pair is
the energy of the clean side over that of the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.audio.layouts import Layout, SoundFile, find_layout
from npuexplore.audio.manifest import SPLITS
from npuexplore.audio.sources import difference, splits_of, unreadable
from npuexplore.audio.splits import SplitSpec
from npuexplore.audio.wav import read_recording
from npuexplore.errors import BadInput

Float32 = NDArray[np.float32]
Progress = Callable[[int, int], None]

SURVEY_SCHEMA = "npuexplore.data/1"
FULL_SCALE = 32_766.5 / 32_768.0
SILENCE_DB = -120.0
BAND_DB = 60.0
"""Found so that speech and noise stored at twice their rate are told from wide ones; see the tests."""

NARROW_FRAC = 0.75
"""A bandwidth below this share of half the rate is worth a note."""

SPECTRUM_SECONDS = 0.064
MOST_SPECTRA = 400
LOWEST_HZ = 20.0


@dataclass(frozen=True)
class Facts:
    """One signal at its own rate."""

    seconds: float
    rate_hz: int
    level_db: float
    clipped: int
    """Samples at full scale."""
    samples: int
    bandwidth_hz: float


def survey(
    folder: Path, *, spec: SplitSpec | None = None, on_progress: Progress | None = None
) -> dict[str, Any]:
    """The document that `npuexplore data inspect --json` prints.

    Raises BadInput for a folder without a known layout and for a file that no study could read.
    """
    folder, spec = Path(folder), spec or SplitSpec()
    try:
        layout = find_layout(folder, pairs=spec.pairs)
        return _document(layout, spec, _Reader(layout, on_progress))
    except OSError as error:
        raise unreadable(error, folder) from None


class _Reader:
    """Reads files at their own rate and counts them."""

    def __init__(self, layout: Layout, on_progress: Progress | None) -> None:
        self.total = len(layout.speech) + len(layout.noise) + 2 * len(layout.pairs)
        self.done, self.on_progress = 0, on_progress

    def __call__(self, path: Path) -> tuple[Float32, int]:
        samples, rate_hz = read_recording(path)
        if not samples.any():
            raise BadInput(f"{path}: is silent from beginning to end; remove it or record it again")
        self.done += 1
        if self.on_progress is not None:
            self.on_progress(self.done, self.total)
        return samples, rate_hz


def measure(samples: Float32, *, rate_hz: int) -> Facts:
    """Facts of (N,) samples."""
    return Facts(
        seconds=samples.size / rate_hz,
        rate_hz=rate_hz,
        level_db=level_dbfs(samples),
        clipped=int(np.count_nonzero(np.abs(samples) >= FULL_SCALE)),
        samples=samples.size,
        bandwidth_hz=bandwidth_hz(samples, rate_hz=rate_hz),
    )


def level_dbfs(samples: NDArray[Any]) -> float:
    """Root mean square of (N,) samples in dB below full scale; SILENCE_DB for silence.

    >>> level_dbfs(np.array([0.5, -0.5]))
    -6.020599913279624
    """
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return float(10.0 * np.log10(max(power, 10.0 ** (SILENCE_DB / 10.0))))


def bandwidth_hz(samples: NDArray[Any], *, rate_hz: int) -> float:
    """Highest frequency at which the mean spectrum of (N,) samples is within BAND_DB of its peak.

    >>> bandwidth_hz(np.sin(np.arange(4096) * np.pi / 4), rate_hz=16_000) < 2_100
    True
    """
    length = 2 ** round(np.log2(SPECTRUM_SECONDS * rate_hz))
    padded = np.pad(samples, (0, max(0, length - samples.size)))
    last = (padded.size - length) // (length // 2)
    starts = np.unique(np.linspace(0, last, min(last + 1, MOST_SPECTRA)).astype(np.int64)) * (length // 2)
    frames = padded[starts[:, None] + np.arange(length)] * np.hanning(length)
    power = np.square(np.abs(np.fft.rfft(frames, axis=1))).mean(axis=0)
    power[: int(np.ceil(LOWEST_HZ * length / rate_hz))] = 0.0
    loud = np.flatnonzero(power > power.max() * 10.0 ** (-BAND_DB / 10.0))
    return float(loud[-1] * rate_hz / length) if loud.size else 0.0


def _document(layout: Layout, spec: SplitSpec, read: _Reader) -> dict[str, Any]:
    notes: list[str] = []
    speech = [_facts_of(file, read) for file in layout.speech]
    noise = [_facts_of(file, read) for file in layout.noise]
    document: dict[str, Any] = {"schema": SURVEY_SCHEMA, "layout": layout.kind, "splits": {}}
    of_speech, of_noise = _splits(layout, speech, noise, spec, notes)
    for split in dict.fromkeys((*SPLITS, *of_speech, *of_noise)) if layout.speech else ():
        document["splits"][split] = {
            "speech": _part(layout.speech, speech, of_speech, split, groups="speakers"),
            "noise": _part(layout.noise, noise, of_noise, split, groups="kinds"),
        }
    document["pairs"] = _pairs(layout, read, notes)
    licences = {file.entry.licence for file in (*layout.speech, *layout.noise)}
    document["licences"] = sorted(licences)
    for what, files, facts in (("speech", layout.speech, speech), ("noise", layout.noise, noise)):
        notes += _remarks(what, facts)
        if only := sum(bool(file.entry.evaluation_only) for file in files):
            notes.append(f"{only} of {len(files)} {what} files are for evaluation only")
    document["notes"] = notes
    return document


def _facts_of(file: SoundFile, read: _Reader) -> Facts:
    samples, rate_hz = read(file.path)
    if file.minus is not None:
        samples = difference(file.path, samples, read_recording(file.minus)[0])
    return measure(samples, rate_hz=rate_hz)


def _splits(
    layout: Layout, speech: Sequence[Facts], noise: Sequence[Facts], spec: SplitSpec, notes: list[str]
) -> tuple[list[str], list[str]]:
    """Splits as a study would choose them; where it could not, all is in `unsplit` and a note says why."""
    if not layout.speech:
        return [], []
    try:
        return splits_of(
            layout,
            speech_seconds=[one.seconds for one in speech],
            noise_seconds=[one.seconds for one in noise],
            spec=spec,
        )
    except BadInput as error:
        notes.append(f"a study cannot use it as it is: {error}")
        return ["unsplit"] * len(speech), ["unsplit"] * len(noise)


def _part(
    files: Sequence[SoundFile], facts: Sequence[Facts], splits: Sequence[str], wanted: str, *, groups: str
) -> dict[str, Any]:
    chosen = [(file, one) for file, one, split in zip(files, facts, splits, strict=True) if split == wanted]
    seconds: dict[str, float] = {}
    for file, one in chosen:
        seconds[file.entry.group] = seconds.get(file.entry.group, 0.0) + one.seconds
    by_group = {name: round(seconds[name] / 60.0, 2) for name in sorted(seconds)}
    return {**_summary([one for _, one in chosen]), groups: by_group}


def _summary(facts: Sequence[Facts]) -> dict[str, Any]:
    samples = sum(one.samples for one in facts)
    rates = sorted({one.rate_hz for one in facts})
    return {
        "files": len(facts),
        "minutes": round(sum(one.seconds for one in facts) / 60.0, 2),
        "rates_hz": {str(rate): sum(one.rate_hz == rate for one in facts) for rate in rates},
        "level_db": _range((one.level_db for one in facts), digits=1),
        "bandwidth_hz": _range((one.bandwidth_hz for one in facts), digits=0),
        "clipped_files": sum(one.clipped > 0 for one in facts),
        "clipped_frac": sum(one.clipped for one in facts) / samples if samples else 0.0,
    }


def _range(values: Iterable[float], *, digits: int) -> dict[str, float] | None:
    """Lowest, median and highest; None of nothing."""
    held = np.array(list(values), np.float64)
    if held.size == 0:
        return None
    names = ("lowest", "median", "highest")
    return dict(zip(names, (round(float(v), digits) for v in np.quantile(held, (0, 0.5, 1))), strict=True))


def _pairs(layout: Layout, read: _Reader, notes: list[str]) -> dict[str, Any]:
    clean_facts, noisy_facts, snrs_db, alike = [], [], [], 0
    for pair in layout.pairs:
        (clean, clean_hz), (noisy, noisy_hz) = read(pair.clean), read(pair.noisy)
        if clean_hz != noisy_hz:
            raise BadInput(f"{pair.noisy}: has {noisy_hz} Hz, clean {clean_hz} Hz; bring both to one rate")
        added_db = level_dbfs(difference(pair.noisy, noisy, clean))
        clean_facts.append(measure(clean, rate_hz=clean_hz))
        noisy_facts.append(measure(noisy, rate_hz=noisy_hz))
        alike += added_db <= SILENCE_DB
        snrs_db += [clean_facts[-1].level_db - added_db] if added_db > SILENCE_DB else []
    if alike:
        notes.append(f"{alike} of {len(layout.pairs)} pairs are the same sound, clean and noisy")
    notes += [*_remarks("clean", clean_facts), *_remarks("noisy", noisy_facts)]
    if layout.pairs_evaluation_only:
        notes.append("the pairs are for evaluation only: never trained on, never embedded")
    return {
        "name": layout.pairs_name,
        "count": len(layout.pairs),
        "evaluation_only": layout.pairs_evaluation_only,
        "snr_db": _range(snrs_db, digits=1),
        "clean": _summary(clean_facts),
        "noisy": _summary(noisy_facts),
    }


def _remarks(what: str, facts: Sequence[Facts]) -> list[str]:
    """What is odd about some files of a part."""
    remarks = []
    narrow = [one for one in facts if one.bandwidth_hz < NARROW_FRAC * one.rate_hz / 2]
    clipped = sum(one.clipped > 0 for one in facts)
    if narrow:
        highest = max(one.bandwidth_hz for one in narrow)
        remarks.append(
            f"{len(narrow)} of {len(facts)} {what} files hold little above {highest:.0f} Hz, less than their "
            "rate could"
        )
    if clipped:
        remarks.append(f"{clipped} of {len(facts)} {what} files reach full scale: they may be clipped")
    return remarks
