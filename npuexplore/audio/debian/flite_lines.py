"""What flite's men say in a fetched folder, and how: the corpus has few men among its recorded voices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from npuexplore.audio.sentences import sentence

VOICES = {"rms": (80.0, 125.0), "awb": (90.0, 135.0), "kal16": (75.0, 125.0)}
"""Voices of men at 16 kHz, with the range of their mean fundamental frequency in Hz."""
FILES = 36
SENTENCES = 6
"""In each file, about 20 s."""
STRETCH = (0.85, 1.2)
"""Of durations."""
DEVIATION_HZ = (8.0, 28.0)
"""Of the fundamental frequency."""


@dataclass(frozen=True)
class Lines:
    """What one file holds."""

    voice: str
    number: int
    text: str
    f0_hz: int
    deviation_hz: int
    stretch: float


def lines_of(voice: str) -> Iterator[Lines]:
    """Every file of a voice; always the same.

    >>> first = next(lines_of("rms"))
    >>> first.number, 80 <= first.f0_hz <= 125
    (0, True)
    """
    for number in range(FILES):
        rng = np.random.default_rng([list(VOICES).index(voice), number])
        text = " ".join(sentence("en-us", rng) for _ in range(SENTENCES))
        yield Lines(
            voice=voice,
            number=number,
            text=text,
            f0_hz=round(rng.uniform(*VOICES[voice])),
            deviation_hz=round(rng.uniform(*DEVIATION_HZ)),
            stretch=round(rng.uniform(*STRETCH), 2),
        )


def arguments_of(lines: Lines) -> list[str]:
    """What the program `flite` is told beside where to write to."""
    settings = {
        "int_f0_target_mean": lines.f0_hz,
        "int_f0_target_stddev": lines.deviation_hz,
        "duration_stretch": lines.stretch,
    }
    given = [part for name, value in settings.items() for part in ("--setf", f"{name}={value}")]
    return ["-voice", lines.voice, *given, "-t", lines.text]
