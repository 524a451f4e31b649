"""Checkpoints: arrays and a JSON manifest in one NPZ file, versioned, checksummed, never pickled.

The file is a plain zip of .npy members and `manifest.json`; equal contents give equal bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from npuexplore.documents.atomic import write_bytes
from npuexplore.errors import BadInput
from npuexplore.units import FloatArray

SCHEMA = "npuexplore.checkpoint/1"
MANIFEST = "manifest.json"
FIXED_DATE = (1980, 1, 1, 0, 0, 0)
LARGEST_BYTES = 1 << 31
"""Arrays of more than 2 GiB are no checkpoint of ours."""


class OtherVersion(BadInput):
    """A checkpoint that another version of npuexplore wrote."""


def save_checkpoint(
    path: Path,
    arrays: Mapping[str, np.ndarray[Any, Any]],
    manifest: Mapping[str, Any],
    *,
    half: bool = False,
) -> None:
    """Write float arrays and a JSON-able manifest whole or not at all.

    Arrays are stored as float32, with `half` as float16. Raises BadInput for a name that is no path
    inside the file or a value that is not finite there, EnvironmentLacking when it cannot be written.
    """
    dtype = np.float16 if half else np.float32
    stored = {name: _storable(path, name, array, dtype) for name, array in arrays.items()}
    document = {
        "schema": SCHEMA,
        "sha256": _digest(stored),
        "arrays": sorted(stored),
        "manifest": dict(manifest),
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        text = json.dumps(document, indent=1, sort_keys=True, allow_nan=False)
        _add(archive, MANIFEST, text.encode())
        for name in sorted(stored):
            member = io.BytesIO()
            np.lib.format.write_array(member, stored[name], version=(1, 0), allow_pickle=False)
            _add(archive, f"{name}.npy", member.getvalue())
    write_bytes(path, content.getvalue())


def load_checkpoint(path: Path) -> tuple[dict[str, FloatArray], dict[str, Any]]:
    """(arrays in float32, manifest) of a checkpoint.

    Raises BadInput for a file that is missing, cut off, altered or pickled, OtherVersion for one of another
    version.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            document = _read_manifest(path, archive)
            stored = {name: _read_array(path, archive, name) for name in document["arrays"]}
    except FileNotFoundError:
        raise BadInput(f"{path}: no such checkpoint; name an existing .npz file") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check the path and its rights") from None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError):
        raise BadInput(
            f"{path}: is not a whole checkpoint (a damaged or cut-off zip, or another format); "
            "write it again or name another one"
        ) from None
    if _digest(stored) != document["sha256"]:
        raise BadInput(f"{path}: the arrays do not match their checksum; copy or write the checkpoint again")
    return {name: array.astype(np.float32) for name, array in stored.items()}, document["manifest"]


def _storable(path: Path, name: str, array: np.ndarray[Any, Any], dtype: Any) -> np.ndarray[Any, Any]:
    parts = name.split("/")
    if not name or any(part in ("", ".", "..") for part in parts) or "\\" in name:
        raise BadInput(f"{path}: array name {name!r} is no name inside a checkpoint; use letters and /")
    if np.abs(array).max(initial=0.0) > np.finfo(dtype).max or not np.isfinite(array).all():
        raise BadInput(
            f"{path}: array {name}: has values that {np.dtype(dtype).name} cannot hold; train again"
        )
    return np.ascontiguousarray(array, np.dtype(dtype).newbyteorder("<")).reshape(array.shape)


def _digest(stored: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """SHA-256 over every array's name, type, shape and bytes, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(stored):
        array = stored[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, FIXED_DATE)
    info.external_attr = 0o644 << 16
    info.create_system = 3
    archive.writestr(info, content, zipfile.ZIP_STORED)


def _read_manifest(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    if MANIFEST not in archive.namelist():
        raise BadInput(
            f"{path}: has no {MANIFEST}, so it is not a checkpoint of npuexplore; name another file"
        )
    try:
        document = json.loads(archive.read(MANIFEST))
    except ValueError:
        document = None
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(document, dict) or schema is None:
        raise BadInput(f"{path}: {MANIFEST} is not a JSON object with a schema; write the checkpoint again")
    if schema != SCHEMA:
        raise OtherVersion(f"{path}: has schema {schema!r}; this version reads {SCHEMA!r}; update npuexplore")
    names, manifest = document.get("arrays"), document.get("manifest")
    named = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not named or not isinstance(manifest, dict) or not isinstance(document.get("sha256"), str):
        raise BadInput(f"{path}: {MANIFEST} lacks arrays, manifest or sha256; write the checkpoint again")
    return document


def _read_array(path: Path, archive: zipfile.ZipFile, name: str) -> np.ndarray[Any, Any]:
    try:
        info = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise BadInput(f"{path}: array {name} is missing; write the checkpoint again") from None
    if info.file_size > LARGEST_BYTES:
        raise BadInput(
            f"{path}: array {name} claims {info.file_size} bytes; at most {LARGEST_BYTES} are read"
        )
    try:
        array = np.lib.format.read_array(io.BytesIO(archive.read(info)), allow_pickle=False)
    except (ValueError, MemoryError):
        array = None
    if array is None or array.dtype.kind != "f" or array.dtype.itemsize not in (2, 4):
        raise BadInput(
            f"{path}: array {name} is not plain float16 or float32 data (pickles are never read); "
            "write the checkpoint again"
        )
    return array
