"""Debian packages read in Python: nothing of theirs is ever unpacked to a path that they choose.

A .deb is an `ar` archive of two tar archives, `control` and `data`. Wanted files are returned as bytes; links
are told of but never followed, and an archive with anything that could leave its folder is refused whole.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from npuexplore.audio.debian.streams import DAMAGED, Slice, inflated
from npuexplore.errors import BadInput

MAGIC = b"!<arch>\n"
HEADER_BYTES = 60
LARGEST_FILE_BYTES = 64 * 2**20
LARGEST_KEPT_BYTES = 512 * 2**20
MOST_MEMBERS = 200_000


@dataclass(frozen=True)
class DebFile:
    """What was read of a package."""

    package: str
    version: str
    files: Mapping[str, bytes]
    """Wanted files by path, without a leading `./`."""
    links: Mapping[str, str]
    """Wanted symbolic links by path: what they say, which may be no file of the package."""


def read_deb(path: Path, *, wanted: Callable[[str], bool]) -> DebFile:
    """The wanted files of a package, each checked against the package's own list of MD5 sums.

    wanted : says for a path such as `usr/share/doc/x/copyright` whether the file is wanted.
    Raises BadInput for a file that is no package, is damaged or truncated, or holds a path, link or device
    that reaches out of the archive.
    """
    try:
        with path.open("rb") as stream:
            members = _ar_members(stream, path)
            control, _ = _files(_member(stream, members, "control.tar", path), path, lambda name: True)
            data, links = _files(_member(stream, members, "data.tar", path), path, wanted)
    except DAMAGED as error:
        raise BadInput(f"{path}: is damaged ({_reason(error)}); download it again") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error}); check its rights") from None
    fields = _control_fields(control.get("control", b""), path)
    _check_sums(control.get("md5sums", b""), data, path, wanted)
    return DebFile(package=fields["Package"], version=fields["Version"], files=data, links=links)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal. Raises BadInput where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check its rights") from None


def _ar_members(stream: IO[bytes], path: Path) -> dict[str, tuple[int, int]]:
    """(offset, length) of every member of the `ar` archive by name."""
    if stream.read(len(MAGIC)) != MAGIC:
        raise BadInput(f"{path}: is not a Debian package; give .deb files")
    total = path.stat().st_size
    members: dict[str, tuple[int, int]] = {}
    while header := stream.read(HEADER_BYTES):
        offset, length = stream.tell(), header[48:58].strip()
        if len(header) < HEADER_BYTES or header[58:] != b"`\n" or not length.isdigit():
            raise BadInput(f"{path}: is damaged (no member begins at byte {offset}); download it again")
        if offset + int(length) > total:
            raise BadInput(
                f"{path}: is truncated, {offset + int(length) - total} bytes are missing; download it again"
            )
        members[header[:16].decode("ascii", "replace").strip().rstrip("/")] = (offset, int(length))
        stream.seek(offset + int(length) + int(length) % 2)
    return members


def _member(
    stream: IO[bytes], members: Mapping[str, tuple[int, int]], stem: str, path: Path
) -> tuple[str, io.RawIOBase]:
    """Name of the `ar` member that is `stem` in some compression, and its bytes."""
    for name, (offset, length) in members.items():
        if name == stem or name.startswith(f"{stem}."):
            return name.removeprefix(stem), Slice(stream, offset, length)
    raise BadInput(f"{path}: holds no {stem}; it is no Debian package, or not a whole one")


def _files(
    member: tuple[str, io.RawIOBase], path: Path, wanted: Callable[[str], bool]
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Wanted regular files of a tar archive, and wanted links; every member of it is looked at."""
    suffix, compressed = member
    found: dict[str, bytes] = {}
    links: dict[str, str] = {}
    kept_bytes = 0
    with inflated(compressed, suffix, path) as plain:
        with tarfile.open(fileobj=plain, mode="r|", errors="surrogateescape") as archive:
            for count, info in enumerate(archive):
                name = _safe_name(info, path)
                if count >= MOST_MEMBERS:
                    raise BadInput(f"{path}: holds more than {MOST_MEMBERS} files; it is not what it says")
                if info.issym() and wanted(name):
                    links[name] = info.linkname
                if not info.isreg() or not wanted(name):
                    continue
                kept_bytes += info.size
                if info.size > LARGEST_FILE_BYTES or kept_bytes > LARGEST_KEPT_BYTES or name in found:
                    raise BadInput(f"{path}: {name!a} is there twice or too large; it is not what it says")
                found[name] = _content(archive, info)
        for _ in _rest(plain):  # the checksum of the compression is at its end
            pass
    return found, links


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(info)
    content = stream.read() if stream else b""
    if len(content) != info.size:
        raise EOFError(f"{info.name!a} ends early")
    return content


def _rest(plain: IO[bytes]) -> Iterator[int]:
    while piece := plain.read(2**20):
        yield len(piece)


def _safe_name(info: tarfile.TarInfo, path: Path) -> str:
    """Path of a member without `./`; BadInput for whatever could leave the archive's folder."""
    name = posixpath.normpath(info.name)
    if _leaves(info.name):
        raise BadInput(f"{path}: holds the path {info.name!a}, which leaves its folder; do not use this file")
    if not (info.isreg() or info.isdir() or info.issym() or info.islnk()) or info.issparse():
        raise BadInput(f"{path}: holds a device or a sparse file, {name!a}; do not use this file")
    if info.issym() and _leaves(info.linkname, start=posixpath.dirname(name)):
        raise BadInput(f"{path}: {name!a} is a link to {info.linkname!a}, out of its folder; do not use it")
    if info.islnk() and _leaves(info.linkname):
        raise BadInput(f"{path}: {name!a} is a link to {info.linkname!a}, out of its folder; do not use it")
    return name


def _leaves(name: str, start: str = "") -> bool:
    """Whether a path, seen from the folder `start` of the archive, is absolute or climbs out of it.

    >>> _leaves("a/../../b"), _leaves("../b", start="a"), _leaves("/b"), _leaves("./a/b")
    (True, False, True, False)
    """
    climbs = ".." in PurePosixPath(name).parts if not start else False
    reached = posixpath.normpath(posixpath.join(start, name))
    return climbs or name.startswith("/") or reached == ".." or reached.startswith("../")


def _control_fields(content: bytes, path: Path) -> dict[str, str]:
    """Fields of the control file; BadInput where the package does not say its name and version."""
    lines = content.decode("utf-8", "replace").splitlines()
    fields = {key: value.strip() for key, sign, value in (line.partition(":") for line in lines) if sign}
    for key in ("Package", "Version"):
        if not fields.get(key):
            raise BadInput(f"{path}: does not say its {key.lower()}; it is no whole Debian package")
    return fields


def _check_sums(
    listing: bytes, files: Mapping[str, bytes], path: Path, wanted: Callable[[str], bool]
) -> None:
    """Compares wanted files with the package's `md5sums`, which find damage, not malice."""
    for line in listing.decode("utf-8", "surrogateescape").splitlines():
        expected, _, listed = line.partition("  ")
        name = posixpath.normpath(listed)
        if not wanted(name):
            continue
        if hashlib.md5(files.get(name, b""), usedforsecurity=False).hexdigest() != expected:
            raise BadInput(f"{path}: {name!a} is not what the package's md5sums say; download it again")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
