from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from npuexplore.audio.wav import encode_wav, read_audio, write_wav
from npuexplore.errors import BadInput, EnvironmentLacking

RATE = 16_000


def tone(samples: int = 1_600) -> np.ndarray:
    return (0.5 * np.sin(0.1 * np.arange(samples))).astype(np.float32)


def saved(path: Path, samples: np.ndarray, rate_hz: int = RATE, **options: str) -> Path:
    soundfile.write(path, samples, rate_hz, **options)
    return path


def message_of(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read_audio(path, rate_hz=RATE)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_pcm16_comes_in_exactly(tmp_path: Path, suffix: str) -> None:
    steps = np.array([0, 1, -1, 32767, -32768, 1234], dtype=np.int16)
    path = saved(tmp_path / f"a.{suffix}", steps, subtype="PCM_16")
    assert np.array_equal(read_audio(path, rate_hz=RATE), steps.astype(np.float32) / 32768)


def test_ogg_comes_in(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.ogg", tone())
    assert read_audio(path, rate_hz=RATE) == pytest.approx(tone(), abs=0.05)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.wav"
    assert write_wav(path, tone(), rate_hz=RATE) == 0
    back = read_audio(path, rate_hz=RATE)
    assert np.abs(back - tone()).max() <= 0.5 / 32768
    assert [p.name for p in path.parent.iterdir()] == ["a.wav"]


def test_clipped_samples_are_counted_and_held_at_full_scale(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    assert write_wav(path, np.array([1.5, -1.5, 0.0, -1.0, 32767 / 32768]), rate_hz=RATE) == 2
    assert read_audio(path, rate_hz=RATE)[:2].tolist() == [32767 / 32768, -1.0]


def test_equal_samples_give_equal_bytes() -> None:
    assert encode_wav(tone(), rate_hz=RATE) == encode_wav(tone().astype(np.float64), rate_hz=RATE)


def test_samples_that_are_not_numbers_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not numbers"):
        write_wav(tmp_path / "a.wav", np.array([0.0, np.nan]), rate_hz=RATE)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentLacking, match="cannot be written"):
        write_wav(tmp_path / "file" / "a.wav", tone(), rate_hz=RATE)


@pytest.mark.parametrize("file_rate_hz", [8_000, 22_050, 48_000])
def test_another_rate_is_resampled(tmp_path: Path, file_rate_hz: int) -> None:
    time = np.arange(file_rate_hz) / file_rate_hz
    path = saved(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * time), file_rate_hz)
    samples = read_audio(path, rate_hz=RATE)
    assert samples.dtype == np.float32
    assert samples.size == pytest.approx(RATE, abs=1)
    middle = np.arange(2_000, 14_000)
    assert samples[middle] == pytest.approx(0.5 * np.sin(2 * np.pi * 440 * middle / RATE), abs=1e-3)


def test_stereo_is_refused_unless_folding_is_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.wav", np.stack([tone(), 0 * tone()], axis=1))
    assert "got 2 channels" in message_of(path)
    assert read_audio(path, rate_hz=RATE, stereo="fold") == pytest.approx(tone() / 2, abs=1e-4)


@pytest.mark.parametrize("cut_bytes", [1, 2, 700])
def test_a_truncated_wav_is_refused(tmp_path: Path, cut_bytes: int) -> None:
    path = saved(tmp_path / "a.wav", tone(), subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:-cut_bytes])
    assert f"truncated, {-(-cut_bytes // 2)} samples" in message_of(path)


def test_a_truncated_flac_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.flac", np.random.default_rng(0).uniform(-0.5, 0.5, 40_000))
    path.write_bytes(path.read_bytes()[:40_000])
    message_of(path)


@pytest.mark.parametrize("kept_bytes", [3, 20, 43])
def test_half_a_header_is_refused(tmp_path: Path, kept_bytes: int) -> None:
    path = saved(tmp_path / "a.wav", tone(), subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:kept_bytes])
    message_of(path)


def test_a_wav_from_a_pipe_that_does_not_tell_its_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    content = bytearray(encode_wav(tone(), rate_hz=RATE)[0])
    content[40:44] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(bytes(content))
    assert read_audio(path, rate_hz=RATE).size == 1_600


def test_chunks_after_the_samples_are_no_truncation(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    content = encode_wav(tone(1_601), rate_hz=RATE)[0]
    extra = b"LIST" + struct.pack("<I", 4) + b"INFO"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(content) - 8 + len(extra)) + content[8:] + extra)
    assert read_audio(path, rate_hz=RATE).size == 1_601


def test_a_truncated_wav_is_seen_behind_a_chunk_of_odd_length(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    content = encode_wav(tone(), rate_hz=RATE)[0]
    note = b"note" + struct.pack("<I", 3) + b"odd\0"
    whole = b"RIFF" + struct.pack("<I", len(content) - 8 + len(note)) + content[8:36] + note + content[36:]
    path.write_bytes(whole)
    assert read_audio(path, rate_hz=RATE).size == 1_600
    path.write_bytes(whole[:-20])
    assert "truncated, 10 samples" in message_of(path)


@pytest.mark.parametrize("rate_hz", [1, 7_999, 192_001, 2_000_000])
def test_an_absurd_rate_is_refused(tmp_path: Path, rate_hz: int) -> None:
    path = saved(tmp_path / "a.wav", tone(), rate_hz)
    assert f"got a sample rate of {rate_hz} Hz" in message_of(path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    assert "0 bytes" in message_of(tmp_path / "a.wav")


def test_a_header_without_samples_is_refused(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as writer:
        writer.setparams((1, 2, RATE, 0, "NONE", ""))
    assert "no samples" in message_of(tmp_path / "a.wav")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "no such file" in message_of(tmp_path / "a.wav")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "is not a file" in message_of(tmp_path)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_a_text_file_under_another_name_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_text("Dear diary, today I renamed a text file.\n" * 40)
    assert "cannot be read as WAV, FLAC or Ogg" in message_of(path)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_samples_that_are_not_numbers_are_refused(tmp_path: Path, wrong: float) -> None:
    samples = tone()
    samples[7] = wrong
    assert "NaN" in message_of(saved(tmp_path / "a.wav", samples, subtype="FLOAT"))


def test_float_samples_in_other_units_are_refused(tmp_path: Path) -> None:
    assert "scale float samples" in message_of(saved(tmp_path / "a.wav", 32768 * tone(), subtype="FLOAT"))


def test_a_very_long_file_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("npuexplore.audio.wav.LONGEST_MINUTES", 0.001)
    assert "split it" in message_of(saved(tmp_path / "a.wav", tone()))
