"""Sound files: WAV, FLAC and Ogg in (mono float32 at one rate), PCM16 WAV out."""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from npuexplore.documents.atomic import write_bytes
from npuexplore.errors import BadInput

Float32 = NDArray[np.float32]
Stereo = Literal["refuse", "fold"]

SUFFIXES = (".wav", ".flac", ".ogg")
"""What counts as sound when a folder is read."""

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 8_000, 192_000
LONGEST_MINUTES = 120
MOST_CHANNELS = 32
LARGEST_PEAK = 64.0
"""Float files are scaled to +-1; a peak this far above is a file in other units."""


def read_audio(path: Path, *, rate_hz: int, stereo: Stereo = "refuse") -> Float32:
    """(N,) float32 samples of `path` at `rate_hz`, resampled (soxr, HQ) where the file has another rate.

    Raises BadInput for a file that is missing, empty, truncated, not sound, longer than two hours, at a rate
    outside 8..192 kHz, not finite, or of several channels unless `stereo` is "fold" (their mean is taken).
    """
    mono, file_rate_hz = read_recording(path, stereo=stereo)
    if file_rate_hz == rate_hz:
        return mono
    return _resampled(mono, path=path, from_hz=file_rate_hz, to_hz=rate_hz)


def read_recording(path: Path, *, stereo: Stereo = "refuse") -> tuple[Float32, int]:
    """(N,) float32 samples of `path` and their rate, as in the file. Raises BadInput as `read_audio` does."""
    samples, rate_hz = _decode(Path(path), stereo=stereo)
    mono: Float32 = samples[:, 0].copy() if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise BadInput(f"{path}: holds samples that are not numbers (NaN or infinite); export it again")
    if np.abs(mono).max() > LARGEST_PEAK:
        raise BadInput(f"{path}: got a peak of {np.abs(mono).max():.0f}; scale float samples to +-1")
    return mono, rate_hz


def write_wav(path: Path, samples: NDArray[Any], *, rate_hz: int) -> int:
    """Write (N,) `samples` as mono PCM16, whole or not at all; returns how many samples were clipped.

    Raises BadInput for samples that are not finite, EnvironmentLacking where the folder cannot be written.
    """
    content, clipped = encode_wav(samples, rate_hz=rate_hz)
    write_bytes(Path(path), content)
    return clipped


def encode_wav(samples: NDArray[Any], *, rate_hz: int) -> tuple[bytes, int]:
    """The bytes of a mono PCM16 WAV file of (N,) `samples`, and how many of them were clipped."""
    if not np.isfinite(samples).all():
        raise BadInput("the sound holds samples that are not numbers (NaN or infinite); nothing was written")
    steps = np.rint(np.asarray(samples, dtype=np.float64) * 32768.0)
    clipped = int(np.count_nonzero((steps > 32767) | (steps < -32768)))
    stream = io.BytesIO()
    with wave.open(stream, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(np.clip(steps, -32768, 32767).astype("<i2").tobytes())
    return stream.getvalue(), clipped


def _decode(path: Path, *, stereo: Stereo) -> tuple[Float32, int]:
    """(N, channels) float32 samples and the rate of a sound file."""
    import soundfile

    try:
        _refuse_not_a_file(path)
        with soundfile.SoundFile(str(path)) as sound:
            frames, rate_hz = int(sound.frames), int(sound.samplerate)
            _refuse_channels(path, channels=sound.channels, stereo=stereo)
            _refuse_absurd(path, frames=frames, rate_hz=rate_hz)
            samples: Float32 = sound.read(dtype="float32", always_2d=True)
        missing = max(frames - len(samples), _missing_wav_frames(path))
    except soundfile.SoundFileError as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        raise BadInput(
            f"{path}: cannot be read as WAV, FLAC or Ogg ({reason}); convert it to a PCM WAV file"
        ) from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be opened ({error.strerror}); check its permissions") from None
    if missing > 0:
        raise BadInput(
            f"{path}: is truncated, {missing} samples that its header promises are missing; copy it again"
        )
    return samples, rate_hz


def _refuse_not_a_file(path: Path) -> None:
    if not path.exists():
        raise BadInput(f"{path}: no such file; check the path")
    if not path.is_file():
        raise BadInput(f"{path}: is not a file; name one WAV, FLAC or Ogg file")
    if path.stat().st_size == 0:
        raise BadInput(f"{path}: the file is empty (0 bytes); copy or record it again")


def _refuse_channels(path: Path, *, channels: int, stereo: Stereo) -> None:
    if channels > 1 and stereo == "refuse":
        raise BadInput(
            f"{path}: got {channels} channels; 1 is allowed, convert it to mono or fold it with stereo: fold"
        )
    if channels > MOST_CHANNELS:
        raise BadInput(f"{path}: got {channels} channels; at most {MOST_CHANNELS} can be folded into one")


def _refuse_absurd(path: Path, *, frames: int, rate_hz: int) -> None:
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise BadInput(
            f"{path}: got a sample rate of {rate_hz} Hz; "
            f"{LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz are allowed, convert the file"
        )
    if frames <= 0:
        raise BadInput(f"{path}: holds no samples; record it again or remove it")
    if frames > LONGEST_MINUTES * 60 * rate_hz:
        raise BadInput(
            f"{path}: is {frames / rate_hz / 60:.0f} minutes long; split it into files of at most "
            f"{LONGEST_MINUTES} minutes"
        )


def _resampled(mono: Float32, *, path: Path, from_hz: int, to_hz: int) -> Float32:
    import soxr

    resampled: Float32 = soxr.resample(mono, from_hz, to_hz, quality="HQ")
    if resampled.size == 0:
        raise BadInput(
            f"{path}: {mono.size} samples at {from_hz} Hz leave none at {to_hz} Hz; remove the file"
        )
    return resampled


def _missing_wav_frames(path: Path) -> int:
    """Frames that the data chunk of a RIFF WAV file promises and the file no longer holds; else 0.

    libsndfile silently shortens such a file. A length of 0xFFFFFFFF is what a pipe writes: unknown.
    """
    with path.open("rb") as stream:
        head = stream.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return 0
        size, block = path.stat().st_size, 1
        while len(chunk := stream.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                lacking = stream.tell() + length - size
                return 0 if length == 0xFFFFFFFF or lacking <= 0 else -(-lacking // block)
            if name == b"fmt ":
                block = max(1, int.from_bytes(stream.read(length)[12:14], "little"))
            else:
                stream.seek(length, io.SEEK_CUR)
            stream.seek(length % 2, io.SEEK_CUR)
    return 0
