from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from npuexplore.audio.sources import SplitSpec, load_corpus
from npuexplore.audio.wav import read_audio
from npuexplore.errors import BadInput

RATE = 16_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    contents = {}
    for suffix, subtype in (("wav", "PCM_16"), ("flac", "PCM_16"), ("ogg", "VORBIS")):
        path = folder / f"a.{suffix}"
        soundfile.write(path, 0.3 * np.sin(0.1 * np.arange(2_000)), RATE, subtype=subtype)
        contents[suffix] = path.read_bytes()
    return contents


@settings(max_examples=150)
@given(
    suffix=st.sampled_from(["wav", "flac", "ogg"]),
    changes=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=4),
    kept=st.one_of(st.none(), st.integers(0, 200)),
)
def test_a_broken_sound_file_is_samples_or_one_sentence(
    whole: dict[str, bytes], suffix: str, changes: list[tuple[int, int]], kept: int | None
) -> None:
    content = bytearray(whole[suffix])
    for place, value in changes:
        content[place] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{suffix}"
        path.write_bytes(bytes(content[:kept]))
        with suppress(BadInput):
            samples = read_audio(path, rate_hz=RATE, stereo="fold")
            assert samples.ndim == 1
            assert samples.size > 0
            assert np.isfinite(samples).all()


@settings(max_examples=100)
@given(
    manifest=st.one_of(
        st.binary(max_size=80), st.text(alphabet='file,licence_orskdpu\n"/.', max_size=80).map(str.encode)
    )
)
def test_a_broken_manifest_is_one_sentence(manifest: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "manifest.csv").write_bytes(manifest)
        with pytest.raises(BadInput) as caught:
            load_corpus(Path(folder), rate_hz=RATE, split=SplitSpec())
        assert "\n" not in str(caught.value)
