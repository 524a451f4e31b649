"""How folders of sound are laid out: which file is speech, noise, or one side of a pair. Reads no sound.

- `speech/` and `noise/`, mixed on the fly. A speaker (or noise kind) is what `manifest.csv` says, else the
  first subfolder a file lies in, else the file's name without its trailing number (`anna_012.wav` is anna).
- any other subfolder that holds `clean/` and `noisy/` with the same names: pairs, for scoring only.
- `clean/` and `noisy/` alone: pairs without anything to train on.
- the tree of VoiceBank-DEMAND: `clean_trainset*_wav/` is speech, what `noisy_trainset*_wav/` adds to it is
  noise (its kinds from `log_trainset*.txt` where that lies beside), and the test set is pairs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from npuexplore.audio.manifest import Entry, read_manifest
from npuexplore.audio.splits import Item
from npuexplore.audio.wav import SUFFIXES
from npuexplore.errors import BadInput

Kind = Literal["speech_and_noise", "voicebank_demand", "pairs"]

VOICEBANK_SIDE = re.compile(r"clean_(trainset|testset)(.*)")
LOG_LINE = re.compile(r"(\S+) (\S+) -?[\d.]+")
"""A line of VoiceBank-DEMAND's logs: file, kind of noise, SNR."""


@dataclass(frozen=True)
class SoundFile:
    """One file of speech or noise, not yet read."""

    path: Path
    name: str
    """Its path below its part, without the suffix."""
    entry: Entry
    minus: Path | None = None
    """The clean side, where the sound is what the noisy side adds to it."""


@dataclass(frozen=True)
class PairFiles:
    """Both sides of an utterance, not yet read."""

    name: str
    clean: Path
    noisy: Path


@dataclass(frozen=True)
class Layout:
    """What a folder holds."""

    folder: Path
    kind: Kind
    speech: tuple[SoundFile, ...] = ()
    noise: tuple[SoundFile, ...] = ()
    pairs: tuple[PairFiles, ...] = ()
    pairs_name: str = ""
    pairs_evaluation_only: bool = False
    """True: pairs are scored and nothing else; neither trained on nor embedded anywhere."""


def find_layout(folder: Path, *, pairs: str = "") -> Layout:
    """The layout of a folder; `pairs` names one of several subfolders of pairs.

    Pairs beside speech are for evaluation only unless every row of theirs in the manifest says
    `evaluation_only` false; pairs alone are so only where the manifest says true.
    Raises BadInput for a folder or a manifest that cannot be used, OSError for one that cannot be read.
    """
    if not folder.is_dir():
        raise BadInput(
            f"{folder}: no such folder; name one that holds speech/ and noise/, or clean/ and noisy/"
        )
    manifest = read_manifest(folder)
    if trees := _voicebank_sides(folder):
        return _voicebank(folder, trees, manifest)
    pairs_folder = _find_pairs(folder, wanted=pairs)
    speech, noise = folder / "speech", folder / "noise"
    if pairs_folder is None and not (speech.is_dir() and noise.is_dir()):
        raise BadInput(f"{folder}: holds neither speech/ and noise/ nor clean/ and noisy/; sort the files so")
    for part, other in ((speech, noise), (noise, speech)):
        if other.is_dir() and not part.is_dir():
            raise BadInput(f"{folder}: holds {other.name}/ but no {part.name}/; add the missing folder")
    return Layout(
        folder=folder,
        kind="speech_and_noise" if speech.is_dir() else "pairs",
        speech=_part(speech, manifest),
        noise=_part(noise, manifest),
        pairs=paired(pairs_folder / "clean", pairs_folder / "noisy") if pairs_folder else (),
        pairs_name=pairs_folder.name if pairs_folder else "",
        pairs_evaluation_only=_evaluation_only(folder, pairs_folder, manifest, beside_speech=speech.is_dir()),
    )


def items_of(files: Iterable[SoundFile], seconds: Iterable[float], *, by_person: bool) -> list[Item]:
    """What the choice of splits needs to know of every file; what is for evaluation only is for testing."""
    return [
        Item(
            name=file.name,
            group=file.entry.person if by_person else file.entry.group,
            seconds=length,
            split="test" if file.entry.evaluation_only else file.entry.split,
            speaker=file.entry.group,
        )
        for file, length in zip(files, seconds, strict=True)
    ]


def sound_files(folder: Path) -> list[Path]:
    """Sound files below `folder`, hidden ones left out, in the order of their names.

    Raises BadInput for a name that is not UTF-8.
    """
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    visible = [p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts)]
    for path in visible:
        if any("\ud800" <= character <= "\udfff" for character in str(path.relative_to(folder))):
            raise BadInput(f"{folder}: the file name {path.name!a} is not UTF-8; rename it")
    return sorted(visible, key=lambda path: path.relative_to(folder).as_posix())


def paired(clean: Path, noisy: Path) -> tuple[PairFiles, ...]:
    """Every pair of two folders, which must hold the same names. Raises BadInput where they do not."""
    cleans, noisies = (
        {path.relative_to(folder).with_suffix("").as_posix(): path for path in sound_files(folder)}
        for folder in (clean, noisy)
    )
    if lonely := sorted(cleans.keys() ^ noisies.keys()):
        here, there = (clean, noisy) if lonely[0] in cleans else (noisy, clean)
        raise BadInput(f"{here}: {lonely[0]} has no partner in {there}; pairs bear the same name in both")
    if not cleans:
        raise BadInput(f"{clean} and {noisy}: hold no {', '.join(SUFFIXES)} file; put recordings there")
    return tuple(PairFiles(name, cleans[name], noisies[name]) for name in sorted(cleans))


def _part(part: Path, manifest: Mapping[str, Entry]) -> tuple[SoundFile, ...]:
    """The files of `speech/` or `noise/`; none where there is no such folder."""
    if not part.is_dir():
        return ()
    found = tuple(_sound_file(path, part, manifest) for path in sound_files(part))
    if not found:
        raise BadInput(f"{part}: holds no {', '.join(SUFFIXES)} file; put recordings there")
    return found


def _sound_file(path: Path, part: Path, manifest: Mapping[str, Entry]) -> SoundFile:
    local = path.relative_to(part)
    entry = manifest.get(f"{part.name}/{local.as_posix()}") or _guessed(local)
    return SoundFile(path=path, name=local.with_suffix("").as_posix(), entry=entry)


def _guessed(local: Path) -> Entry:
    """What a file's place and name say where the manifest says nothing."""
    group = local.parts[0] if len(local.parts) > 1 else re.sub(r"[_\-. ]*\d+$", "", local.stem) or local.stem
    return Entry(licence="not stated", group=group, person=group, split="", evaluation_only=None)


def _find_pairs(folder: Path, *, wanted: str) -> Path | None:
    """The folder that holds `clean/` and `noisy/`: `folder` itself or one of its subfolders."""
    candidates = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    found = [path for path in candidates if (path / "clean").is_dir() and (path / "noisy").is_dir()]
    names = ", ".join(path.name for path in found)
    if wanted:
        found = [path for path in found if path.name == wanted]
        if not found:
            raise BadInput(
                f"{folder}: split.pairs: got {wanted!r}; folders of pairs there: {names or 'none'}"
            )
    if len(found) > 1:
        raise BadInput(f"{folder}: holds several folders of pairs ({names}); name one as split.pairs")
    return found[0] if found else None


def _evaluation_only(
    folder: Path, pairs: Path | None, manifest: Mapping[str, Entry], *, beside_speech: bool
) -> bool:
    if pairs is None:
        return False
    prefix = "" if pairs == folder else f"{pairs.name}/"
    sides = (f"{prefix}clean/", f"{prefix}noisy/")
    said = {entry.evaluation_only for name, entry in manifest.items() if name.startswith(sides)}
    return True in said or (beside_speech and said != {False})


def _voicebank_sides(folder: Path) -> dict[str, list[tuple[Path, Path]]]:
    """(clean, noisy) folders of `trainset` and of `testset`; empty for any other layout."""
    sides: dict[str, list[tuple[Path, Path]]] = {}
    for clean in sorted(folder.iterdir()):
        noisy = folder / clean.name.replace("clean_", "noisy_", 1)
        if (match := VOICEBANK_SIDE.fullmatch(clean.name)) and clean.is_dir() and noisy.is_dir():
            sides.setdefault(match[1], []).append((clean, noisy))
    return sides


def _voicebank(
    folder: Path, sides: Mapping[str, list[tuple[Path, Path]]], manifest: Mapping[str, Entry]
) -> Layout:
    speech, noise = [], []
    kinds = _noise_kinds(folder)
    for clean, noisy in sides.get("trainset", []):
        for pair in paired(clean, noisy):
            voice = _sound_file(pair.clean, clean, manifest)
            kind = kinds.get(pair.clean.stem, "noise")
            added = Entry(voice.entry.licence, group=kind, person=kind, split="", evaluation_only=None)
            speech.append(voice)
            noise.append(SoundFile(pair.noisy, f"{noisy.name}/{pair.name}", added, minus=pair.clean))
    tests = [pair for clean, noisy in sides.get("testset", []) for pair in paired(clean, noisy)]
    return Layout(
        folder=folder,
        kind="voicebank_demand",
        speech=tuple(speech),
        noise=tuple(noise),
        pairs=tuple(tests),
        pairs_name="testset" if tests else "",
        pairs_evaluation_only=bool(tests),
    )


def _noise_kinds(folder: Path) -> dict[str, str]:
    """Kind of noise by file name, from the logs that come with VoiceBank-DEMAND."""
    kinds: dict[str, str] = {}
    for log in sorted(folder.glob("**/log_*set*.txt")):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        kinds |= {match[1]: match[2] for line in lines if (match := LOG_LINE.match(line))}
    return kinds
