import contextlib
import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from npuexplore.errors import BadInput, EnvironmentLacking
from npuexplore.records.checkpoint import load_checkpoint, save_checkpoint

ARRAYS = {
    "params/lstm_1/w_ih": np.arange(12, dtype=np.float32).reshape(4, 3) / 7,
    "params/fc/range": np.array(2.5, np.float32),
    "losses": np.zeros(0, np.float32),
}
MANIFEST = {"step": 3, "note": "höre"}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.npz"
    save_checkpoint(path, ARRAYS, MANIFEST)
    return path


def rewrite(path, change):
    """The file again, with its members changed by `change(members)`."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def edit_manifest(path, **changes):
    def change(members):
        document = json.loads(members["manifest.json"]) | changes
        members["manifest.json"] = json.dumps(document).encode()

    rewrite(path, change)


def refused(path):
    with pytest.raises(BadInput) as caught:
        load_checkpoint(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


def test_what_is_saved_comes_back_bit_by_bit(saved):
    arrays, manifest = load_checkpoint(saved)
    assert manifest == MANIFEST
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == np.float32
        assert arrays[name].shape == array.shape
        assert arrays[name].tobytes() == array.tobytes()


def test_numpy_reads_the_arrays_too(saved):
    with np.load(saved, allow_pickle=False) as members:
        np.testing.assert_array_equal(members["params/lstm_1/w_ih"], ARRAYS["params/lstm_1/w_ih"])


def test_equal_contents_give_equal_bytes(saved, tmp_path):
    again = tmp_path / "again.npz"
    save_checkpoint(again, dict(reversed(ARRAYS.items())), dict(reversed(MANIFEST.items())))
    assert again.read_bytes() == saved.read_bytes()


def test_half_precision_halves_the_file_and_comes_back_as_float32(tmp_path):
    big = {"w": np.linspace(-1, 1, 4096, dtype=np.float32)}
    save_checkpoint(tmp_path / "full.npz", big, {})
    save_checkpoint(tmp_path / "half.npz", big, {}, half=True)
    arrays, _ = load_checkpoint(tmp_path / "half.npz")
    assert arrays["w"].dtype == np.float32
    np.testing.assert_allclose(arrays["w"], big["w"], atol=5e-4)
    assert (tmp_path / "half.npz").stat().st_size < 0.55 * (tmp_path / "full.npz").stat().st_size


def test_a_transposed_array_keeps_its_values(tmp_path):
    save_checkpoint(tmp_path / "t.npz", {"w": ARRAYS["params/lstm_1/w_ih"].T}, {})
    np.testing.assert_array_equal(load_checkpoint(tmp_path / "t.npz")[0]["w"], ARRAYS["params/lstm_1/w_ih"].T)


def test_a_missing_file_is_named(tmp_path):
    assert "no such checkpoint" in refused(tmp_path / "none.npz")


def test_a_folder_is_no_checkpoint(tmp_path):
    assert "cannot be read" in refused(tmp_path)


@pytest.mark.parametrize("kept_frac", [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_cut_off_file_is_refused(saved, kept_frac):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(kept_frac * len(content))])
    assert "not a whole checkpoint" in refused(saved)


def test_any_flipped_byte_is_refused_or_harmless(saved):
    content = saved.read_bytes()
    for position in range(0, len(content), 7):
        broken = bytearray(content)
        broken[position] ^= 0xFF
        saved.write_bytes(bytes(broken))
        with contextlib.suppress(BadInput):
            arrays, manifest = load_checkpoint(saved)
            assert manifest == MANIFEST
            assert all(np.array_equal(arrays[name], array) for name, array in ARRAYS.items())


def test_altered_arrays_fail_the_checksum(saved):
    def change(members):
        member = io.BytesIO()
        np.save(member, ARRAYS["params/lstm_1/w_ih"] + 1)
        members["params/lstm_1/w_ih.npy"] = member.getvalue()

    rewrite(saved, change)
    assert "checksum" in refused(saved)


def test_another_version_names_both(saved):
    edit_manifest(saved, schema="npuexplore.checkpoint/9")
    sentence = refused(saved)
    assert "npuexplore.checkpoint/9" in sentence
    assert "npuexplore.checkpoint/1" in sentence


@pytest.mark.parametrize("changes", [{"arrays": "w"}, {"arrays": [1]}, {"manifest": []}, {"sha256": None}])
def test_a_manifest_of_another_form_is_refused(saved, changes):
    edit_manifest(saved, **changes)
    assert "manifest.json" in refused(saved)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"{}"])
def test_a_manifest_that_is_no_document_is_refused(saved, text):
    rewrite(saved, lambda members: members.update({"manifest.json": text}))
    assert "manifest.json" in refused(saved)


def test_an_array_that_is_missing_is_named(saved):
    rewrite(saved, lambda members: members.pop("losses.npy"))
    assert "array losses is missing" in refused(saved)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_a_pickle_inside_is_never_loaded(saved):
    def change(members):
        member = io.BytesIO()
        np.lib.format.write_array(member, np.array([Bomb()], object), allow_pickle=True)
        members["losses.npy"] = member.getvalue()

    rewrite(saved, change)
    assert "pickles are never read" in refused(saved)


@pytest.mark.parametrize("content", [b"no zip", pickle.dumps([1, 2]), b"\x93NUMPY\x01\x00"])
def test_another_kind_of_file_is_refused(saved, content):
    saved.write_bytes(content)
    assert "not a whole checkpoint" in refused(saved)


def test_a_zip_of_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", w=np.ones(3))
    assert "no manifest.json" in refused(tmp_path / "other.npz")


@pytest.mark.parametrize("name", ["../w", "/w", "a//b", "", "a\\b"])
def test_names_that_leave_the_file_are_refused(tmp_path, name):
    with pytest.raises(BadInput, match="array name"):
        save_checkpoint(tmp_path / "x.npz", {name: np.ones(1)}, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("value", "half"), [(np.nan, False), (np.inf, False), (1e6, True), (1e39, False)])
def test_values_that_would_not_come_back_are_refused(tmp_path, value, half):
    with pytest.raises(BadInput, match="cannot hold"):
        save_checkpoint(tmp_path / "x.npz", {"w": np.array([value])}, {}, half=half)


def test_a_folder_that_cannot_be_made_is_an_environment_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentLacking):
        save_checkpoint(tmp_path / "file" / "x.npz", ARRAYS, {})
