"""`debian-speech`: from packages to a folder with speech/, noise/, licences/ and manifest.csv.

Everything is made in a hidden folder beside the target and put in its place when it is whole. A file that is
there is whole; a package is finished when its note is written. So a killed fetch goes on where it stopped, to
the same bytes. Voices of a program that does not run here are left out, and that is written down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from npuexplore.audio.debian.archive import DebFile, read_deb, sha256_of
from npuexplore.audio.debian.flite import SPEAKERS, CannotSpeak, flite_sounds, installed, is_of_program
from npuexplore.audio.debian.folder import (
    Workplace,
    finish,
    read_note,
    read_papers,
    sole_maker,
    write_papers,
)
from npuexplore.audio.debian.noise import is_noise, noise_sounds
from npuexplore.audio.debian.packages import (
    DATASET,
    FLITE,
    LANGUAGES,
    LIBFLITE,
    PROGRAMS,
    Package,
    packages_for,
    programs_for,
)
from npuexplore.audio.debian.sounds import RATE_HZ, Sound, g722_module
from npuexplore.audio.debian.speech import is_speech, speech_sounds
from npuexplore.audio.debian.supply import Say, Tell, downloaded, given
from npuexplore.audio.manifest import MANIFEST_NAME
from npuexplore.audio.wav import write_wav
from npuexplore.documents.atomic import write_bytes, write_json, write_text
from npuexplore.errors import BadInput, UsageError

WAV_HEADER_BYTES = 44


def fetch_debian_speech(
    target: Path,
    *,
    languages: Sequence[str] = LANGUAGES,
    reader: bool = False,
    men: bool = False,
    debs: Path | None = None,
    say: Say = lambda text: None,
    on_progress: Tell = lambda stage, done, total, detail: None,
) -> bool:
    """Makes `target`; returns False where it was already there, whole, with the same voices.

    languages : of LANGUAGES; reader : with the recorded man of READER, who belongs to `ru`; men : whether a
    program is fetched and run that speaks with men's voices, which belong to `en`; debs : folder of .deb
    files, else apt downloads them. `say` is told the sizes before anything large happens.
    Raises BadInput for a folder, package or language that cannot be used, EnvironmentLacking where apt, the
    network, an extra or room on the disk is missing; nothing of that shows at `target`.
    """
    packages = packages_for(_known(languages), reader=reader)
    programs = programs_for(tuple(languages)) if men else ()
    place = Workplace(Path(target))
    if place.target.name in ("", ".."):
        raise UsageError(f"--output {target}: name the folder to be made, as {place.target / DATASET}")
    if _is_finished(place.target, packages, programs):
        return False
    g722_module()
    with sole_maker(place):
        if _is_finished(place.target, packages, programs):
            return False
        whole = (place.folder / MANIFEST_NAME).is_file()
        if not (whole and _is_finished(place.folder, packages, programs)):
            _begin(place, packages, programs)
            _make(place, packages, programs, debs, say=say, on_progress=on_progress)
        finish(place)
    return True


def _known(languages: Sequence[str]) -> tuple[str, ...]:
    for language in languages:
        if language not in LANGUAGES:
            raise BadInput(f"--languages: got {language!r}; allowed are {','.join(LANGUAGES)}")
    if not languages:
        raise BadInput(f"--languages: names none; allowed are {','.join(LANGUAGES)}")
    return tuple(languages)


def _is_finished(target: Path, packages: Sequence[Package], programs: Sequence[Package]) -> bool:
    """Whether the target holds these packages, and voices of these programs or why not.

    Raises BadInput where it holds anything else.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    if not target.is_dir():
        raise BadInput(f"{target}: is a file; name a folder with --output")
    papers = read_papers(target)
    there = [package["package"] for package in papers["packages"]]
    recorded = [name for name in there if name not in {package.name for package in PROGRAMS}]
    if recorded != [package.name for package in packages]:
        raise BadInput(f"{target}: was made of other packages ({', '.join(recorded)}); name another folder")
    with_men = FLITE.name in there or bool(papers.get("left_out"))
    if with_men != bool(programs):
        raise BadInput(
            f"{target}: was made {'with' if with_men else 'without'} --men; ask for the same, or name "
            "another folder"
        )
    return True


def _begin(place: Workplace, packages: Sequence[Package], programs: Sequence[Package]) -> None:
    """Claims the workplace, or goes on in it if it makes the same."""
    wanted = {"packages": [package.name for package in (*packages, *programs)]}
    there = read_note(place.request)
    if there is not None and there != wanted:
        raise BadInput(
            f"{place.folder}: holds an unfinished fetch of {', '.join(there.get('packages', []))}; "
            "go on with those voices, or remove that folder"
        )
    if there is None:
        write_json(place.request, wanted)


def _make(
    place: Workplace,
    packages: Sequence[Package],
    programs: Sequence[Package],
    debs: Path | None,
    *,
    say: Say,
    on_progress: Tell,
) -> None:
    open_ = [package for package in packages if read_note(place.note(package)) is None]
    programs = () if read_note(place.note(FLITE)) else programs
    if debs:
        files = given(place, open_, programs, debs=debs, say=say)
    else:
        files = downloaded(place, open_, programs, say=say, on_progress=on_progress)
    for package in open_:
        write_json(place.note(package), _unpack(place, package, files[package.name], tell=on_progress))
    reason = ""
    if programs:
        there = {package: files[package.name] for package in programs if package.name in files}
        reason = _synthesise(place, there, are_users=debs is not None, say=say, tell=on_progress)
    found = {p: note for p in (*packages, *PROGRAMS) if (note := read_note(place.note(p)))}
    for package, note in found.items():
        if package in (*open_, *programs) and not note["known_release"]:
            say(f"{package.name} {note['version']}: not a release known here; its SHA-256 was recorded")
    write_papers(
        place,
        list(found),
        {package.name: note for package, note in found.items()},
        left_out=[{"package": FLITE.name, "speakers": list(SPEAKERS), "reason": reason}] if reason else [],
    )


def _synthesise(
    place: Workplace, files: Mapping[Package, Path], *, are_users: bool, say: Say, tell: Tell
) -> str:
    """Runs the program flite for its voices' sounds; returns why there are none, else an empty text.

    are_users : whether the files are the user's own, whose programs are run only where they are known.
    """
    try:
        if not {FLITE, LIBFLITE} <= files.keys():
            raise CannotSpeak(f"{FLITE.name} and {LIBFLITE.name} are not among the packages")
        unknown = [path.name for package, path in files.items() if not package.is_known(sha256_of(path))]
        if are_users and unknown:
            raise CannotSpeak(f"programs of unknown SHA-256 are not run: {', '.join(unknown)}")
        contents = {package: _opened(package, path) for package, path in files.items()}
        with installed(place.tools / "program", contents.values()) as program:
            whose = files[FLITE].name if are_users else "apt's package"
            say(f"{FLITE.name} {contents[FLITE].version}: the program of {whose} is run, to speak")
            for package in reversed(list(files)):  # flite's own note is the last: with it, all are there
                sounds = flite_sounds(program) if package is FLITE else []
                note = _written(place, package, files[package], contents[package], sounds, tell=tell)
                write_json(place.note(package), note)
    except CannotSpeak as error:
        _take_back(place)
        return str(error)
    return ""


def _take_back(place: Workplace) -> None:
    """Removes what was made of the programs."""
    for package in PROGRAMS:
        for path in (place.note(package), place.begun(package), place.folder / _licence_file(package)):
            path.unlink(missing_ok=True)
    for speaker in SPEAKERS:
        for path in (place.folder / "speech").glob(f"{speaker}_*.wav"):
            path.unlink()


def _unpack(place: Workplace, package: Package, file: Path, *, tell: Tell) -> dict[str, Any]:
    """Writes the sounds and the licence of a package, those that are not yet there; returns its note."""
    content = _opened(package, file)
    return _written(place, package, file, content, _sounds(content, package), tell=tell)


def _opened(package: Package, file: Path) -> DebFile:
    """What is wanted of a package. Raises BadInput where it is another, or without a licence."""
    content = read_deb(file, wanted=_wanted(package))
    if content.package != package.name:
        raise BadInput(f"{file}: is the package {content.package}; {package.name} is needed")
    if not content.files.get(package.copyright_path):
        raise BadInput(f"{file}: holds no licence at /{package.copyright_path}; it cannot be used")
    return content


def _written(
    place: Workplace, package: Package, file: Path, content: DebFile, sounds: Sequence[Sound], *, tell: Tell
) -> dict[str, Any]:
    digest = sha256_of(file)
    _claim(place, package, digest)
    if sounds:
        tell(package.name, 0, len(sounds), "")
    for done, sound in enumerate(sounds):
        path = place.folder / sound.file
        if not path.is_file():
            write_wav(path, sound.samples(), rate_hz=RATE_HZ)
        tell(package.name, done + 1, len(sounds), "")
    licence_file = _licence_file(package)
    write_bytes(place.folder / licence_file, content.files[package.copyright_path])
    return {
        "package": package.name,
        "version": content.version,
        "bytes": file.stat().st_size,
        "sha256": digest,
        "known_release": package.is_known(digest),
        "licence": package.licence,
        "licence_file": licence_file,
        "licence_sha256": sha256_of(place.folder / licence_file),
        "files": [_row(place, package, sound) for sound in sounds],
    }


def _licence_file(package: Package) -> str:
    return f"licences/{package.name}.copyright"


def _claim(place: Workplace, package: Package, digest: str) -> None:
    """Refuses to go on with files that were made of another release of the package."""
    begun = place.begun(package)
    if begun.is_file() and begun.read_text(encoding="ascii").strip() != digest:
        raise BadInput(
            f"{place.folder}: was begun with another {package.name}; remove that folder and start over"
        )
    if not begun.is_file():
        write_text(begun, f"{digest}\n")


WANTED = {"speech": is_speech, "noise": is_noise, "program": is_of_program}


def _wanted(package: Package) -> Callable[[str], bool]:
    of_role = WANTED[package.role]
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
        "person": sound.person or package.person,
        "split": sound.split,
        "language": package.language,
        "seconds": f"{(count - WAV_HEADER_BYTES) / 2 / RATE_HZ:.2f}",
        "source_package": package.name,
        "bytes": count,
        "sha256": sha256_of(path),
    }
