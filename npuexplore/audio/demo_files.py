"""The demo corpus as files: speech/, noise/, a manifest with splits and hashes, the licence."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from npuexplore.audio.demo import demo_corpus
from npuexplore.audio.manifest import MANIFEST_NAME, SPLITS
from npuexplore.audio.sources import Corpus, Recording, Split
from npuexplore.audio.wav import encode_wav
from npuexplore.documents.atomic import write_bytes
from npuexplore.errors import BadInput, EnvironmentLacking

DEFAULT_MINUTES = 24.0
TRAIN_FRAC, VALIDATION_FRAC = 0.75, 1.0 / 12.0
"""Shares of the speech; the rest, a sixth, is for testing."""

COLUMNS = ("file", "licence", "speaker_or_kind", "split", "seconds", "bytes", "sha256")
LICENCE_NOTE = """These sounds were made by npuexplore (npuexplore data synth).

speech/ and the babble in noise/: spoken by espeak-ng. The engine is GPL-3; what it says is not covered by
that licence. The sentences were written for npuexplore (Apache-2.0).
noise/ otherwise: generated from formulas, CC0-1.0.
"""


def write_demo(
    folder: Path,
    *,
    rate_hz: int = 16_000,
    seed: int = 0,
    minutes: float = DEFAULT_MINUTES,
    on_progress: Callable[[int, int], None] | None = None,
) -> Corpus:
    """Write the demo corpus as `folder`/speech, `folder`/noise, manifest.csv (with splits) and LICENCE.txt.

    minutes : speech in all splits; every voice speaks at least a sentence, and there is half as much noise.
    The folder appears when everything in it is written; equal arguments and versions give equal bytes. Raises
    BadInput where it exists and is not empty, EnvironmentLacking where the extra `demo` is missing or the
    place cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder}: exists and is not an empty folder; name a new one")
    corpus = demo_corpus(
        rate_hz=rate_hz,
        seed=seed,
        train_minutes=minutes * TRAIN_FRAC,
        held_out_minutes=minutes * VALIDATION_FRAC,
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


def _write_files(corpus: Corpus, folder: Path, *, rate_hz: int) -> None:
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name in SPLITS:
        split: Split = getattr(corpus, name)
        for part, recordings in (("speech", split.speech), ("noise", split.noise)):
            for recording in recordings:
                writer.writerow(_written(recording, folder, f"{part}/{recording.name}.wav", name, rate_hz))
    write_bytes(folder / "LICENCE.txt", LICENCE_NOTE.encode())
    write_bytes(folder / MANIFEST_NAME, table.getvalue().encode())


def _written(recording: Recording, folder: Path, file: str, split: str, rate_hz: int) -> tuple[object, ...]:
    """Writes one file; returns its row of the manifest."""
    content, _clipped = encode_wav(recording.samples, rate_hz=rate_hz)
    write_bytes(folder / file, content)
    seconds = f"{recording.samples.size / rate_hz:.2f}"
    digest = hashlib.sha256(content).hexdigest()
    return file, recording.licence, recording.group, split, seconds, len(content), digest
