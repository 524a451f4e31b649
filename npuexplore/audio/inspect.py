"""What a corpus holds, in plain numbers, and the demo corpus as files."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from npuexplore.audio.demo import demo_corpus
from npuexplore.audio.manifest import MANIFEST_NAME, SPLITS
from npuexplore.audio.sources import Corpus, Recording, Split
from npuexplore.audio.wav import write_wav
from npuexplore.errors import BadInput, EnvironmentLacking

LICENCE_NOTE = """These sounds were made by npuexplore (npuexplore data synth).

speech/ and the babble in noise/: spoken by espeak-ng. The engine is GPL-3; what it says is not covered by
that licence. The sentences were written for npuexplore (Apache-2.0).
noise/ otherwise: generated from formulas, CC0-1.0.
"""


def describe_corpus(corpus: Corpus, *, rate_hz: int) -> dict[str, Any]:
    """Minutes, speakers, noise kinds and levels (RMS, dBFS) of every split, the pairs, and all licences."""
    recordings = [r for name in SPLITS for r in (*_of(corpus, name).speech, *_of(corpus, name).noise)]
    return {
        "sample_rate_hz": rate_hz,
        "splits": {name: _describe_split(_of(corpus, name), rate_hz) for name in SPLITS},
        "pairs": {
            "name": corpus.pairs_name,
            "count": len(corpus.pairs),
            "minutes": _minutes((pair.clean for pair in corpus.pairs), rate_hz),
            "evaluation_only": corpus.pairs_evaluation_only,
        },
        "licences": sorted({recording.licence for recording in recordings}),
    }


def write_demo(
    folder: Path,
    *,
    rate_hz: int = 16_000,
    seed: int = 0,
    train_minutes: float = 18.0,
    held_out_minutes: float = 2.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Corpus:
    """Write the demo corpus as `folder`/speech, `folder`/noise, manifest.csv (with splits) and LICENCE.txt.

    The folder appears when everything in it is written. Raises BadInput where it exists and is not empty,
    EnvironmentLacking where the extra `demo` is missing or the place cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder}: exists and is not an empty folder; name a new one")
    corpus = demo_corpus(
        rate_hz=rate_hz,
        seed=seed,
        train_minutes=train_minutes,
        held_out_minutes=held_out_minutes,
        on_progress=on_progress,
    )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
            whole = Path(temporary) / folder.name
            _write_files(corpus, whole, rate_hz=rate_hz)
            os.replace(whole, folder)
    except OSError as error:
        raise EnvironmentLacking(
            f"{folder}: cannot be written ({error.strerror}); free space there or name another folder"
        ) from None
    return corpus


def _of(corpus: Corpus, name: str) -> Split:
    split: Split = getattr(corpus, name)
    return split


def _describe_split(split: Split, rate_hz: int) -> dict[str, Any]:
    return {
        "speech": _describe_recordings(split.speech, rate_hz, groups="speakers"),
        "noise": _describe_recordings(split.noise, rate_hz, groups="kinds"),
    }


def _describe_recordings(recordings: tuple[Recording, ...], rate_hz: int, *, groups: str) -> dict[str, Any]:
    """Files, minutes in all and per group, and the range of levels; null levels where there is no file."""
    levels = [level_dbfs(recording.samples) for recording in recordings]
    names = sorted({recording.group for recording in recordings})
    return {
        "files": len(recordings),
        "minutes": _minutes((recording.samples for recording in recordings), rate_hz),
        groups: {
            name: _minutes((r.samples for r in recordings if r.group == name), rate_hz) for name in names
        },
        "lowest_level_db": round(min(levels), 1) if levels else None,
        "median_level_db": round(float(np.median(levels)), 1) if levels else None,
        "highest_level_db": round(max(levels), 1) if levels else None,
    }


def level_dbfs(samples: np.ndarray[Any, Any]) -> float:
    """Root mean square of (N,) samples in dB below full scale; -120 for silence.

    >>> level_dbfs(np.array([0.5, -0.5]))
    -6.020599913279624
    """
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return float(10.0 * np.log10(max(power, 1e-12)))


def _minutes(signals: Iterable[np.ndarray[Any, Any]], rate_hz: int) -> float:
    return round(sum(signal.size for signal in signals) / rate_hz / 60.0, 2)


def _write_files(corpus: Corpus, folder: Path, *, rate_hz: int) -> None:
    rows = []
    for split in SPLITS:
        for part in ("speech", "noise"):
            for recording in getattr(_of(corpus, split), part):
                file = f"{part}/{recording.name}.wav"
                write_wav(folder / file, recording.samples, rate_hz=rate_hz)
                rows.append((file, recording.licence, recording.group, split))
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("file", "licence", "speaker_or_kind", "split"))
    writer.writerows(rows)
    (folder / MANIFEST_NAME).write_text(table.getvalue(), encoding="utf-8")
    (folder / "LICENCE.txt").write_text(LICENCE_NOTE, encoding="utf-8")
