"""Packages are read whole or refused; nothing in them reaches out of the archive."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import pytest
from deb_files import ar_of, member, tar_of, write_deb
from hypothesis import given, settings
from hypothesis import strategies as st

from npuexplore.audio.debian import archive, streams
from npuexplore.audio.debian.archive import read_deb
from npuexplore.errors import BadInput, EnvironmentLacking

FILES = {
    "usr/share/a.txt": b"first " * 400,
    "usr/share/b.txt": b"second",
    "usr/share/c.bin": bytes(range(256)),
}


def refusal(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read_deb(path, wanted=lambda name: name.endswith(".txt"))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zst"])
def test_wanted_files_are_read_whatever_the_compression(tmp_path: Path, suffix: str) -> None:
    if suffix == ".zst":
        pytest.importorskip("zstandard", reason='needs the extra: pip install ".[data]"')
    deb = read_deb(
        write_deb(tmp_path / "x.deb", FILES, suffix=suffix), wanted=lambda name: name.endswith("txt")
    )
    assert (deb.package, deb.version) == ("some-sounds", "1-1")
    assert deb.files == {name: content for name, content in FILES.items() if name.endswith("txt")}


@pytest.mark.parametrize(
    "info",
    [
        member("/etc/cron.d/evil"),
        member("../evil.txt"),
        member("./usr/../../evil.txt"),
        member("usr/..", tarfile.DIRTYPE),
        member("./usr/link.txt", tarfile.SYMTYPE, "/etc/passwd"),
        member("./usr/link.txt", tarfile.SYMTYPE, "../../etc/passwd"),
        member("link.txt", tarfile.SYMTYPE, ".."),
        member("./usr/hard.txt", tarfile.LNKTYPE, "/etc/passwd"),
        member("./usr/hard.txt", tarfile.LNKTYPE, "../etc/passwd"),
        member("./dev/zero", tarfile.CHRTYPE),
        member("./pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name} {info.linkname}",
)
def test_what_reaches_out_of_the_archive_is_refused(tmp_path: Path, info: tarfile.TarInfo) -> None:
    message = refusal(write_deb(tmp_path / "in" / "x.deb", FILES, extra=[info]))
    assert "do not use" in message
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "x.deb"]


def test_links_inside_the_archive_are_passed_over(tmp_path: Path) -> None:
    links = [
        member("./usr/share/link.txt", tarfile.SYMTYPE, "../share/a.txt"),
        member("./usr/share/hard.txt", tarfile.LNKTYPE, "./usr/share/a.txt"),
    ]
    deb = read_deb(write_deb(tmp_path / "x.deb", FILES, extra=links), wanted=lambda name: True)
    assert set(deb.files) == set(FILES)


def test_a_file_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    again = member("./usr/share/b.txt")
    assert "is there twice" in refusal(write_deb(tmp_path / "x.deb", FILES, extra=[again]))


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_a_truncated_package_is_refused_wherever_it_ends(tmp_path: Path, suffix: str) -> None:
    path = write_deb(tmp_path / "x.deb", FILES, suffix=suffix)
    whole = path.read_bytes()
    for length in {0, 7, 8, 40, 68, 72, 140, 300, len(whole) // 2, len(whole) - 3, len(whole) - 2}:
        path.write_bytes(whole[:length])
        refusal(path)


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
@settings(max_examples=40)
@given(data=st.data())
def test_a_changed_byte_is_found_or_changes_nothing_wanted(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, data: st.DataObject
) -> None:
    path = write_deb(tmp_path_factory.mktemp("deb") / "x.deb", FILES, suffix=suffix)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        deb = read_deb(path, wanted=lambda name: name in ("usr/share/a.txt", "usr/share/b.txt"))
    except BadInput:
        return
    assert set(deb.files.items()) <= set(FILES.items())


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (None, "is not a Debian package"),
        ({}, "holds no control.tar"),
        ({"control.tar": tar_of({"control": b"Package: x\nVersion: 1\n"})}, "holds no data.tar"),
        (
            {"control.tar": tar_of({"control": b"Package: x\n"}), "data.tar": tar_of({})},
            "does not say its version",
        ),
        ({"control.tar": tar_of({}), "data.tar": tar_of({})}, "does not say its package"),
        ({"control.tar.lzo": b"?", "data.tar": tar_of({})}, "is packed as .lzo"),
        ({"control.tar.xz": b"no xz at all", "data.tar": tar_of({})}, "is damaged"),
        ({"control.tar.gz": b"no gzip at all", "data.tar": tar_of({})}, "is damaged"),
    ],
)
def test_what_is_no_package_is_refused(tmp_path: Path, members: dict[str, bytes] | None, says: str) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(b"PK\x03\x04 zip" if members is None else ar_of(members))
    assert says in refusal(path)


def test_a_small_package_that_unpacks_to_very_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_PLAIN_BYTES", 100_000)
    path = write_deb(tmp_path / "x.deb", {"usr/share/zeros.bin": bytes(300_000)})
    assert path.stat().st_size < 3_000
    assert "unpacks to more than 100000 bytes" in refusal(path)


def test_a_wanted_file_that_is_very_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LARGEST_FILE_BYTES", 1_000)
    assert "too large" in refusal(write_deb(tmp_path / "x.deb", FILES))


def test_more_files_than_any_package_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_MEMBERS", 2)
    assert "more than 2 files" in refusal(write_deb(tmp_path / "x.deb", FILES))


def test_without_zstandard_one_sentence_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    path = tmp_path / "x.deb"
    path.write_bytes(ar_of({"control.tar.zst": b"", "data.tar.zst": b""}))
    with pytest.raises(EnvironmentLacking, match=r'pip install "npuexplore\[data\]"'):
        read_deb(path, wanted=lambda name: True)


def test_a_package_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "missing.deb")
    assert "cannot be read" in refusal(tmp_path)
