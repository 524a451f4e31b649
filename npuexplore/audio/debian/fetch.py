"""`debian-speech`: from packages to a folder with speech/, noise/, licences/ and manifest.csv.

Everything is made in a hidden folder beside the target and put in its place when it is whole. A file that is
there is whole; a package is finished when its note is written. So a killed fetch goes on where it stopped, to
the same bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from npuexplore.audio.debian.apt import LISTS_MB, Apt
from npuexplore.audio.debian.archive import DebFile, read_deb, sha256_of
from npuexplore.audio.debian.folder import (
    Workplace,
    finish,
    read_note,
    read_papers,
    sole_maker,
    write_papers,
)
from npuexplore.audio.debian.noise import is_noise, noise_sounds
from npuexplore.audio.debian.packages import DATASET, LANGUAGES, Package, packages_for
from npuexplore.audio.debian.sounds import RATE_HZ, Sound, g722_module
from npuexplore.audio.debian.speech import is_prompt, speech_sounds
from npuexplore.audio.manifest import MANIFEST_NAME
from npuexplore.audio.wav import write_wav
from npuexplore.documents.atomic import write_bytes, write_json, write_text
from npuexplore.errors import BadInput, EnvironmentLacking, UsageError

Tell = Callable[[str, int, int, str], None]
"""Called with (stage, done, in all, detail)."""

MB = 1_000_000
WAV_HEADER_BYTES = 44
WORKING_BYTES = 60 * MB
"""Apt's lists, unpacked."""


def fetch_debian_speech(
    target: Path,
    *,
    languages: Sequence[str] = LANGUAGES,
    debs: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
    on_progress: Tell = lambda stage, done, total, detail: None,
) -> bool:
    """Makes `target`; returns False where it was already there, whole, with the same languages.

    languages : of LANGUAGES; debs : folder of .deb files, else apt downloads them. `say` is told the sizes
    before anything large happens.
    Raises BadInput for a folder, package or language that cannot be used, EnvironmentLacking where apt, the
    network, an extra or room on the disk is missing; nothing of that shows at `target`.
    """
    packages = packages_for(_known(languages))
    place = Workplace(Path(target))
    if place.target.name in ("", ".."):
        raise UsageError(f"--output {target}: name the folder to be made, as {place.target / DATASET}")
    if _is_finished(place.target, packages):
        return False
    g722_module()
    with sole_maker(place):
        if _is_finished(place.target, packages):
            return False
        if not ((place.folder / MANIFEST_NAME).is_file() and _is_finished(place.folder, packages)):
            _begin(place, packages)
            _make(place, packages, debs, say=say, on_progress=on_progress)
        finish(place)
    return True


def _known(languages: Sequence[str]) -> tuple[str, ...]:
    for language in languages:
        if language not in LANGUAGES:
            raise BadInput(f"--languages: got {language!r}; allowed are {','.join(LANGUAGES)}")
    if not languages:
        raise BadInput(f"--languages: names none; allowed are {','.join(LANGUAGES)}")
    return tuple(languages)


def _is_finished(target: Path, packages: Sequence[Package]) -> bool:
    """Whether the target holds these packages. Raises BadInput where it holds anything else."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    if not target.is_dir():
        raise BadInput(f"{target}: is a file; name a folder with --output")
    there = [package["package"] for package in read_papers(target)["packages"]]
    if there != [package.name for package in packages]:
        raise BadInput(f"{target}: was made of other packages ({', '.join(there)}); name another folder")
    return True


def _begin(place: Workplace, packages: Sequence[Package]) -> None:
    """Claims the workplace, or goes on in it if it makes the same."""
    wanted = {"packages": [package.name for package in packages]}
    there = read_note(place.request)
    if there is not None and there != wanted:
        raise BadInput(
            f"{place.folder}: holds an unfinished fetch of {', '.join(there.get('packages', []))}; "
            "go on with those languages, or remove that folder"
        )
    if there is None:
        write_json(place.request, wanted)


def _make(
    place: Workplace,
    packages: Sequence[Package],
    debs: Path | None,
    *,
    say: Callable[[str], None],
    on_progress: Tell,
) -> None:
    open_ = [package for package in packages if read_note(place.note(package)) is None]
    files = _found(debs, open_) if debs else _downloaded(place, open_, say=say, on_progress=on_progress)
    if debs:
        say(_sizes([files[package.name].stat().st_size for package in open_], open_, "to be read"))
    _require_room(place, open_, downloads_bytes=0)
    for package in open_:
        note = _unpack(place, package, files[package.name], tell=on_progress)
        write_json(place.note(package), note)
        if not note["known_release"]:
            say(f"{package.name} {note['version']}: not the release known here; its SHA-256 was recorded")
    notes = {package.name: read_note(place.note(package)) or {} for package in packages}
    write_papers(place, packages, notes)


def _sizes(package_bytes: Sequence[int], packages: Sequence[Package], what: str) -> str:
    written = sum(package.written_bytes for package in packages)
    return (
        f"{DATASET}: {len(packages)} packages, {sum(package_bytes) / MB:.1f} MB {what}, about "
        f"{written / MB:.0f} MB of sound to be written (CC-BY-SA-3.0, CC-BY-3.0)"
    )


def _require_room(place: Workplace, packages: Sequence[Package], *, downloads_bytes: int) -> None:
    needed = downloads_bytes + sum(package.written_bytes for package in packages)
    free = shutil.disk_usage(place.folder).free
    if free < needed:
        raise EnvironmentLacking(
            f"{place.target}: needs {needed / MB:.0f} MB there and {free / MB:.0f} MB are free; make room"
        )


def _found(debs: Path, packages: Sequence[Package]) -> dict[str, Path]:
    """The file of every package in a folder of .deb files. Raises BadInput naming those that are missing."""
    if not debs.is_dir():
        raise BadInput(f"--from {debs}: no such folder; give the one that holds the .deb files")
    found: dict[str, Path] = {}
    missing = []
    for package in packages:
        candidates = sorted(debs.glob(f"{package.name}_*.deb")) + sorted(debs.glob(f"{package.name}.deb"))
        if len(candidates) > 1:
            names = ", ".join(path.name for path in candidates)
            raise BadInput(f"--from {debs}: holds {package.name} more than once ({names}); keep one")
        if candidates:
            found[package.name] = candidates[0]
        else:
            missing.append(package.name)
    if missing:
        raise BadInput(
            f"--from {debs}: lacks {', '.join(f'{name}_*.deb' for name in missing)}; get them from "
            "packages.debian.org, or leave languages out with --languages"
        )
    return found


def _downloaded(
    place: Workplace, packages: Sequence[Package], *, say: Callable[[str], None], on_progress: Tell
) -> dict[str, Path]:
    """Every package from apt, whole and of the SHA-256 that apt's signed index says."""
    files = {package.name: place.download(package) for package in packages}
    missing = [package for package in packages if not files[package.name].is_file()]
    if not missing:
        return files
    apt = Apt(place.tools / "apt")
    known_sizes = [package.download_bytes for package in missing]
    say(_sizes(known_sizes, missing, f"to be downloaded, and apt's lists, about {LISTS_MB} MB"))
    _require_room(place, packages, downloads_bytes=sum(known_sizes) + WORKING_BYTES)
    offers = apt.offers(package.name for package in missing)
    sizes = [offers[package.name].bytes for package in missing]
    if sizes != known_sizes:
        say(_sizes(sizes, missing, "in the release that apt offers"))
        _require_room(place, packages, downloads_bytes=sum(sizes))
    for number, package in enumerate(missing):
        before, offer = sum(sizes[:number]), offers[package.name]
        apt.download(offer, files[package.name], on_bytes=_meter(on_progress, package, before, sum(sizes)))
    return files


def _meter(tell: Tell, package: Package, before: int, total: int) -> Callable[[int], None]:
    return lambda there: tell("download, MB", (before + there) // MB, -(-total // MB), package.name)


def _unpack(place: Workplace, package: Package, file: Path, *, tell: Tell) -> dict[str, Any]:
    """Writes the sounds and the licence of a package, those that are not yet there; returns its note."""
    digest = sha256_of(file)
    content = read_deb(file, wanted=_wanted(package))
    if content.package != package.name:
        raise BadInput(f"{file}: is the package {content.package}; {package.name} is needed")
    licence = content.files.get(package.copyright_path)
    if not licence:
        raise BadInput(f"{file}: holds no licence at /{package.copyright_path}; it cannot be used")
    sounds = _sounds(content, package)
    _claim(place, package, digest)
    tell(package.name, 0, len(sounds), "")
    for done, sound in enumerate(sounds):
        path = place.folder / sound.file
        if not path.is_file():
            write_wav(path, sound.samples(), rate_hz=RATE_HZ)
        tell(package.name, done + 1, len(sounds), "")
    licence_file = f"licences/{package.name}.copyright"
    write_bytes(place.folder / licence_file, licence)
    return {
        "package": package.name,
        "version": content.version,
        "bytes": file.stat().st_size,
        "sha256": digest,
        "known_release": digest == package.sha256,
        "licence": package.licence,
        "licence_file": licence_file,
        "licence_sha256": sha256_of(place.folder / licence_file),
        "files": [_row(place, package, sound) for sound in sounds],
    }


def _claim(place: Workplace, package: Package, digest: str) -> None:
    """Refuses to go on with files that were made of another release of the package."""
    begun = place.begun(package)
    if begun.is_file() and begun.read_text(encoding="ascii").strip() != digest:
        raise BadInput(
            f"{place.folder}: was begun with another {package.name}; remove that folder and start over"
        )
    if not begun.is_file():
        write_text(begun, f"{digest}\n")


def _wanted(package: Package) -> Callable[[str], bool]:
    of_role = is_prompt if package.role == "speech" else is_noise
    return lambda name: name == package.copyright_path or of_role(name)


def _sounds(content: DebFile, package: Package) -> list[Sound]:
    make = speech_sounds if package.role == "speech" else noise_sounds
    sounds = make(content.files, package)
    if len({sound.file for sound in sounds}) < len(sounds):
        raise BadInput(f"{package.name}: holds two sounds of one name; it is not a release that can be used")
    return sounds


def _row(place: Workplace, package: Package, sound: Sound) -> dict[str, Any]:
    """The manifest's row of a written file; `sha256` and `bytes` are of what is on the disk."""
    path = place.folder / sound.file
    count = path.stat().st_size
    return {
        "file": sound.file,
        "licence": package.licence,
        "speaker_or_kind": sound.group,
        "person": package.person,
        "split": sound.split,
        "language": package.language,
        "seconds": f"{(count - WAV_HEADER_BYTES) / 2 / RATE_HZ:.2f}",
        "source_package": package.name,
        "bytes": count,
        "sha256": sha256_of(path),
    }
