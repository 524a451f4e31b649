"""Small Debian packages, built here, with anything in them."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import soundfile

from npuexplore.audio.debian.noise import GAME
from npuexplore.audio.debian.packages import FLITE, LIBFLITE, NOISE, SOUNDS, SPEECH, Package

LICENCE = b"Everyone may do everything.\n"
VOICE = "xx_XX_f_Voice"
PROMPTS = 12
PROMPT_SECONDS = 4.0

SPEAKING = b"""#!/bin/sh
for last; do :; done
cat "${LD_LIBRARY_PATH%%:*}/libflite_cmu_us_$2.so.1" > "$last"
"""
"""A flite whose libraries are what its voices say."""
LIBRARIES = "usr/lib/x86_64-linux-gnu"


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    """A tar member of no content."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def tar_of(files: Mapping[str, bytes], extra: Iterable[tarfile.TarInfo] = ()) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in extra:
            archive.addfile(info)
    return stream.getvalue()


def packed(content: bytes, suffix: str) -> bytes:
    if suffix == ".gz":
        return gzip.compress(content, mtime=0)
    if suffix == ".xz":
        return lzma.compress(content)
    if suffix == ".zst":
        import zstandard

        return zstandard.ZstdCompressor().compress(content)
    return content


def ar_of(members: Mapping[str, bytes]) -> bytes:
    parts = [b"!<arch>\n"]
    for name, content in members.items():
        parts += [f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode(), content]
        parts += [b"\n"] if len(content) % 2 else []
    return b"".join(parts)


def write_deb(
    path: Path,
    files: Mapping[str, bytes],
    *,
    package: str = "some-sounds",
    version: str = "1-1",
    suffix: str = ".xz",
    extra: Iterable[tarfile.TarInfo] = (),
) -> Path:
    """A package of these files, with md5sums of them."""
    sums = "".join(f"{hashlib.md5(content).hexdigest()}  {name}\n" for name, content in files.items())
    control = {"control": f"Package: {package}\nVersion: {version}\n".encode(), "md5sums": sums.encode()}
    members = {
        "debian-binary": b"2.0\n",
        f"control.tar{suffix}": packed(tar_of(control), suffix),
        f"data.tar{suffix}": packed(tar_of(files, extra), suffix),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ar_of(members))
    return path


def speech_files(package: Package) -> dict[str, bytes]:
    """Twelve prompts of four seconds, and what is to be left out."""
    rng = np.random.default_rng(len(package.person))
    below = f"{SOUNDS}{VOICE}"
    files = {
        f"{below}/prompt-{number}.g722": rng.bytes(int(8_000 * PROMPT_SECONDS)) for number in range(PROMPTS)
    }
    left_out = ("beep", "tt-monkeys", "silence/1", "digits/1", "letters/a", "phonetic/b_p")
    files |= {f"{below}/{name}.g722": rng.bytes(16_000) for name in left_out}
    return files | {f"{below}/too-short.g722": rng.bytes(800), f"{below}/readme.txt": b"prompts"}


def wav_bytes(*, seconds: float, seed: int, rate_hz: int = 8_000, channels: int = 1) -> bytes:
    stream = io.BytesIO()
    samples = 0.1 * np.random.default_rng(seed).standard_normal((int(seconds * rate_hz), channels))
    soundfile.write(stream, samples, rate_hz, format="WAV")
    return stream.getvalue()


def noise_files() -> dict[str, bytes]:
    """Landscapes of every split, a short cry, blows and cows, a human voice, a picture."""
    landscapes = ("autumn/rain", "birch_forest/night", "dark_forest/day", "desert2/rain", "spring/day")
    files = {
        f"{GAME}tilesets/{name.replace('/', '/sounds/')}.wav": wav_bytes(seconds=3.5, seed=seed, channels=2)
        for seed, name in enumerate(landscapes)
    }
    common = f"{GAME}techs/megapack/commondata/sounds/"
    files |= {
        f"{common}{name}.wav": wav_bytes(seconds=1.0, seed=9)
        for name in ("anvil1", "cow_ack1", "worker_ack1")
    }
    files[f"{GAME}tilesets/desert2/sounds/hawk.wav"] = wav_bytes(seconds=1.0, seed=10)
    return files | {f"{GAME}tilesets/spring/spring.png": b"picture"}


def write_debs(folder: Path) -> Path:
    """A small package of every name that `debian-speech` is made of."""
    for package in (*SPEECH, NOISE):
        files = speech_files(package) if package.role == "speech" else noise_files()
        link = f"./{GAME}tilesets/forest/sounds/day.wav"
        links = [member(link, tarfile.SYMTYPE, "../../dark_forest/sounds/day.wav")]
        write_deb(
            folder / f"{package.name}_1-1_all.deb",
            {package.copyright_path: LICENCE, **files},
            package=package.name,
            extra=links if package.role == "noise" else (),
        )
    return folder


def flite_says(seconds: float = 0.5) -> dict[str, bytes]:
    """What each voice of SPEAKING says."""
    return {
        voice: wav_bytes(seconds=seconds, seed=seed, rate_hz=16_000)
        for seed, voice in enumerate(("rms", "awb", "kal16"))
    }


def write_flite(
    folder: Path,
    *,
    program: bytes = SPEAKING,
    says: Mapping[str, bytes] | None = None,
    links: Mapping[str, str] | None = None,
    alsa: str = "",
    version: str = "1-1",
) -> Path:
    """Packages of a small flite, its libraries, named as Debian names them (links to versioned files).

    links : of what name to what, instead of one to each voice.
    """
    said = flite_says() if says is None else says
    if links is None:
        links = {f"libflite_cmu_us_{voice}.so.1": f"libflite_cmu_us_{voice}.so.2.2" for voice in said}
    contents = {
        FLITE.name: {"usr/bin/flite": program},
        LIBFLITE.name: {
            f"{LIBRARIES}/libflite_cmu_us_{voice}.so.2.2": sound for voice, sound in said.items()
        },
    }
    contents |= {alsa: {f"{LIBRARIES}/libasound.so.2.0.0": b"alsa"}} if alsa else {}
    for name, files in contents.items():
        extra = [member(f"./{LIBRARIES}/{link}", tarfile.SYMTYPE, target) for link, target in links.items()]
        write_deb(
            folder / f"{name}_{version}_amd64.deb",
            {f"usr/share/doc/{name}/copyright": LICENCE, **files},
            package=name,
            version=version,
            extra=extra if name == LIBFLITE.name else (),
        )
    return folder
