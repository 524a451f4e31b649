"""Vela's own weight coder, called in the library that the package ethos-u-vela installs."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

SECTION_WEIGHTS = 131_072


class _Result(ctypes.Structure):
    _fields_ = (
        ("encoded", ctypes.c_void_p),
        ("encoded_bytes", ctypes.c_int32),
        ("weights", ctypes.c_int32),
        ("sections", ctypes.c_void_p),
        ("section_count", ctypes.c_int32),
    )


class _Parameters(ctypes.Structure):
    _fields_ = (
        ("section_weights", ctypes.c_int32),
        ("flags", ctypes.c_uint16),
        ("allocate", ctypes.c_void_p),
    )


class _Source(ctypes.Structure):
    _fields_ = (("starts", ctypes.c_uint8), ("ends", ctypes.c_uint8), ("exhausted", ctypes.c_bool))


_Reader = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p
)


def library() -> ctypes.CDLL:
    """Vela's core; skips the test where ethos-u-vela is not installed here nor beside a `vela` command."""
    folders = []
    spec = importlib.util.find_spec("ethosu")
    if spec is not None:
        folders += [Path(folder) for folder in spec.submodule_search_locations or ()]
    command = shutil.which("vela")
    if command is not None:
        folders += Path(command).resolve().parents[1].glob("lib/python*/site-packages/ethosu")
    cores = [path for folder in folders for path in folder.glob("regor*.so")]
    if not cores:
        pytest.skip("needs the package ethos-u-vela, here or with its command vela on the PATH")
    return ctypes.CDLL(str(cores[0]))


def encoded_bytes(core: ctypes.CDLL, weights: np.ndarray) -> int:
    """Size of one stream of weights (n,)."""
    values = np.ascontiguousarray(weights, np.int16)
    position = 0

    def read(_query: int, state: int, buffer: int, count: int, _argument: int) -> int:
        nonlocal position
        taken = min(count, values.size - position)
        ctypes.memmove(buffer, values.ctypes.data + 2 * position, 2 * taken)
        position += taken
        _Source.from_address(state).exhausted = taken < count
        return taken

    result, context = _Result(), ctypes.c_void_p()
    parameters = _Parameters(SECTION_WEIGHTS, 0, None)
    reader = _Reader(read)
    status = core.ml_encode_ethosu_stream(
        ctypes.byref(result), ctypes.byref(parameters), reader, None, ctypes.byref(context)
    )
    assert status >= 0
    assert result.weights == values.size
    core.mle_destroy_context(context)
    size = int(result.encoded_bytes)
    core.mle_free(ctypes.byref(result))
    return size
