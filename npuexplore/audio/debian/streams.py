"""Bytes of a part of a file, and the plain bytes of a compressed stream, with a limit on how many."""

from __future__ import annotations

import gzip
import importlib
import io
import lzma
import tarfile
import zlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, cast

from npuexplore.errors import BadInput, EnvironmentLacking

MOST_PLAIN_BYTES = 2**30
"""No wanted package unpacks to half of this; a small archive that does is a trap."""

XZ_MEMORY_BYTES = 256 * 2**20
ZSTD_WINDOW_BYTES = 128 * 2**20
CHUNK_BYTES = 2**16


class ZstdDamaged(Exception):
    """What either of the two zstd modules says of a damaged stream."""


DAMAGED = (tarfile.TarError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, EOFError, ZstdDamaged)
"""What reading a damaged archive raises."""


class Slice(io.RawIOBase):
    """`length` bytes of a stream from `offset` on, read from front to back."""

    def __init__(self, stream: IO[bytes], offset: int, length: int) -> None:
        self._stream, self._left = stream, length
        stream.seek(offset)

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, target: Any) -> int:
        """Fills `target`; 0 at the end."""
        piece = self._stream.read(min(len(target), self._left))
        self._left -= len(piece)
        target[: len(piece)] = piece
        return len(piece)


class _Limited(io.RawIOBase):
    """A stream that refuses to give more than MOST_PLAIN_BYTES."""

    def __init__(self, source: IO[bytes], path: Path) -> None:
        self._source, self._path, self._given = source, path, 0

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        try:
            piece = self._source.read(len(target))
        except Exception as error:
            if type(error).__name__ != "ZstdError":
                raise
            raise ZstdDamaged(str(error)) from None
        self._given += len(piece)
        if self._given > MOST_PLAIN_BYTES:
            raise BadInput(
                f"{self._path}: unpacks to more than {MOST_PLAIN_BYTES} bytes; do not use this file"
            )
        target[: len(piece)] = piece
        return len(piece)


class _Xz(io.RawIOBase):
    """An xz stream, with a limit on memory that lzma.open does not have."""

    def __init__(self, source: io.RawIOBase) -> None:
        self._source = source
        self._inflater = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_BYTES)

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        while not self._inflater.eof:
            compressed = self._source.read(CHUNK_BYTES) if self._inflater.needs_input else b""
            if not compressed and self._inflater.needs_input:
                raise EOFError("the compressed data end early")
            piece = self._inflater.decompress(compressed or b"", max_length=len(target))
            if piece:
                target[: len(piece)] = piece
                return len(piece)
        return 0


def inflated(compressed: io.RawIOBase, suffix: str, path: Path) -> AbstractContextManager[IO[bytes]]:
    """The plain bytes of a member whose name ends in `suffix` (empty, .gz, .xz or .zst).

    Raises BadInput for another suffix, EnvironmentLacking where zstd cannot be read. Damage shows while
    reading, as one of DAMAGED.
    """
    if suffix == "":
        plain: Any = compressed
    elif suffix == ".xz":
        plain = _Xz(compressed)
    elif suffix == ".gz":
        plain = gzip.GzipFile(fileobj=cast("IO[bytes]", compressed))
    elif suffix == ".zst":
        plain = _zstd(compressed)
    else:
        raise BadInput(f"{path}: is packed as {suffix}; .xz, .zst, .gz or plain tar archives can be read")
    return cast("AbstractContextManager[IO[bytes]]", io.BufferedReader(_Limited(plain, path), 2**18))


def _zstd(compressed: io.RawIOBase) -> Any:
    """A reader of zstd: Python's own from 3.14 on, else the package zstandard."""
    try:
        return importlib.import_module("compression.zstd").ZstdFile(compressed)
    except ImportError:
        pass
    try:
        zstandard = importlib.import_module("zstandard")
    except ImportError:
        raise EnvironmentLacking(
            'reading of zstd packages (zstandard) is not installed; run pip install "npuexplore[data]"'
        ) from None
    return zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES).stream_reader(compressed)
