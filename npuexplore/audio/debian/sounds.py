"""What one sound file is made of: clips of a package, decoded, at 16 kHz, one after the other."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.errors import BadInput, EnvironmentLacking

Float32 = NDArray[np.float32]

RATE_HZ = 16_000
G722_BITS_PER_S = 64_000
FULL_SCALE = 0.999
PAUSE_SECONDS = 0.2
"""Silence between two clips of a file."""


@dataclass(frozen=True)
class Clip:
    """One recording of a package."""

    name: str
    seconds: float
    decode: Callable[[], Float32]


@dataclass(frozen=True)
class Sound:
    """One file to be written."""

    file: str
    """Below the folder, as `speech/it_carlo_000.wav`."""
    group: str
    """Speaker or kind of noise."""
    split: str
    clips: tuple[Clip, ...]
    person: str = ""
    """Who speaks, where it is not the package's only person."""

    def samples(self) -> Float32:
        """(N,) float32 at RATE_HZ: the clips with pauses between them."""
        pause = np.zeros(int(PAUSE_SECONDS * RATE_HZ), np.float32)
        pieces = [piece for clip in self.clips for piece in (clip.decode(), pause)]
        return np.concatenate(pieces[:-1])


def gathered(clips: Iterable[Clip], *, seconds: float) -> list[tuple[Clip, ...]]:
    """Clips in their order, put together until a group lasts at least `seconds`; a short rest joins the last.

    >>> [len(group) for group in gathered([Clip("", 8.0, float)] * 7, seconds=20.0)]
    [3, 4]
    """
    groups: list[list[Clip]] = [[]]
    for clip in clips:
        if sum(one.seconds for one in groups[-1]) >= seconds:
            groups.append([])
        groups[-1].append(clip)
    if len(groups) > 1 and sum(one.seconds for one in groups[-1]) < seconds:
        rest = groups.pop()
        groups[-1] += rest
    return [tuple(group) for group in groups if group]


def g722_clip(name: str, content: bytes) -> Clip:
    """A recording in G.722 at 64 kbit/s: every byte holds two samples at 16 kHz."""
    return Clip(name, 8 * len(content) / G722_BITS_PER_S, lambda: decode_g722(content))


def decode_g722(content: bytes) -> Float32:
    """(N,) float32 at 16 kHz of G.722 at 64 kbit/s. Raises EnvironmentLacking without the extra `data`."""
    decoder = g722_module().G722(RATE_HZ, G722_BITS_PER_S)
    return np.asarray(decoder.decode(content), np.int16).astype(np.float32) / np.float32(32_768.0)


def g722_module() -> Any:
    """The package G722. Raises EnvironmentLacking where it is not installed."""
    try:
        return importlib.import_module("G722")
    except ImportError:
        raise EnvironmentLacking(
            'decoding of G.722 speech (G722) is not installed; run pip install "npuexplore[data]"'
        ) from None


def sound_clip(name: str, content: bytes, *, longest_seconds: float = np.inf) -> Clip:
    """A WAV or Ogg recording, folded to mono; what is beyond `longest_seconds` is left out."""
    import soundfile

    try:
        about = soundfile.info(io.BytesIO(content))
    except soundfile.SoundFileError as error:
        raise BadInput(f"{name}: the package's file cannot be read as sound ({error})") from None
    frames = int(min(about.frames, longest_seconds * about.samplerate))
    return Clip(name, frames / about.samplerate, lambda: decode_sound(name, content, frames=frames))


def decode_sound(name: str, content: bytes, *, frames: int) -> Float32:
    """(N,) float32 at 16 kHz, the mean of all channels, resampled by soxr (HQ), kept within full scale."""
    import soundfile
    import soxr

    try:
        samples, rate_hz = soundfile.read(io.BytesIO(content), frames=frames, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise BadInput(f"{name}: the package's file cannot be read as sound ({error})") from None
    mono = samples.mean(axis=1, dtype=np.float32)
    resampled: Float32 = soxr.resample(mono, rate_hz, RATE_HZ, quality="HQ")
    peak = float(np.abs(resampled).max(initial=0.0))
    return resampled if peak < FULL_SCALE else resampled * np.float32(FULL_SCALE / peak)


def numbered(stem: str, groups: Sequence[tuple[Clip, ...]], *, group: str, split: str) -> list[Sound]:
    """Sounds `stem_000.wav`, `stem_001.wav`, ... of groups of clips."""
    return [
        Sound(file=f"{stem}_{number:03d}.wav", group=group, split=split, clips=clips)
        for number, clips in enumerate(groups)
    ]
