"""Who is trained on and who is kept back: speaker-disjoint speech, file-disjoint noise."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, model_validator

from npuexplore.documents.model import Model
from npuexplore.errors import BadInput

Names = Annotated[tuple[str, ...], Field(strict=False)]

HELD_OUT_FRAC = 0.1
"""Share of the people, and of the files of a noise kind, that goes to validation and again to test."""

LEAST_HELD_OUT_SECONDS = 60.0
"""Speech that validation and test hold at least, in a corpus of ten minutes or more."""

STRATUM_FILES = 4
"""A noise kind with at least so many files gives one to validation and one to test."""


TESTING_ONLY = "testing only"
"""What a manifest keeps for testing and a study that names others does not test on: it is in no split."""


class SplitSpec(Model):
    """What is kept back from training; whatever is not named here is chosen, always in the same way.

    What is named here goes before what a manifest says, except that nothing a manifest keeps for testing is
    ever trained on or chosen with. A manifest that keeps voices back itself counts alone where the folder has
    none of the voices named here: they are another folder's.
    """

    test_speakers: Names = ()
    """Speakers for testing only; empty: the smallest that make up a tenth of the people and a minute."""
    validation_speakers: Names = ()
    """Speakers for validation only; empty: the next smallest."""
    same_speaker: Annotated[tuple[Names, ...], Field(strict=False)] = ()
    """Groups of speaker names that are one person and so never part, as [[en_allison, es_allison]]."""
    test_noise: Names = ()
    """File-name prefixes of noise for testing only; empty: the last files of every kind with enough files."""
    validation_noise: Names = ()
    """File-name prefixes of noise for validation only; empty: the first files of those kinds."""
    pairs: str = ""
    """The subfolder of clean/noisy pairs to score on, where the folder holds several."""

    @model_validator(mode="after")
    def held_out_sets_differ(self) -> SplitSpec:
        """What is tested on is not what was chosen with."""
        for what in ("speakers", "noise"):
            test, validation = getattr(self, f"test_{what}"), getattr(self, f"validation_{what}")
            if common := sorted(set(test) & set(validation)):
                raise ValueError(f"{common[0]} is in both test_{what} and validation_{what}; name it once")
        return self


@dataclass(frozen=True)
class Item:
    """One recording as the choice sees it."""

    name: str
    group: str
    """Person of a speech file, kind of a noise file."""
    seconds: float
    split: str
    """What the manifest says: train, validation, test or empty."""
    speaker: str = ""
    """Speaker name as the user knows it; several speakers may be one person."""


def one_person(items: Sequence[Item], same_speaker: Iterable[Sequence[str]], *, where: str) -> list[Item]:
    """`items` with every group of `same_speaker` joined under one person."""
    from dataclasses import replace

    owner = {item.speaker: item.group for item in items}
    for names in same_speaker:
        for name in names:
            _refuse_unknown(name, owner, where=where, key="same_speaker")
        joined = {owner[name] for name in names}
        person = min(joined) if joined else ""
        owner = {speaker: person if group in joined else group for speaker, group in owner.items()}
    return [replace(item, group=owner[item.speaker]) for item in items]


def split_speech(items: Sequence[Item], spec: SplitSpec, *, where: str) -> list[str]:
    """train, validation or test for every speech item; a person is never in two.

    Raises BadInput for unknown names, a person asked for in two splits, or too few people to keep apart.
    """
    people = one_person(items, spec.same_speaker, where=where)
    chosen = _splits_of_people(people, where=where)
    owner = {item.speaker: item.group for item in people}
    held_out = {"test": spec.test_speakers, "validation": spec.validation_speakers}
    if set(held_out) <= set(chosen.values()) and not set().union(*held_out.values()) & set(owner):
        held_out = {}
    for split, names in held_out.items():
        for name in names:
            _refuse_unknown(name, owner, where=where, key=f"{split}_speakers")
        if names:
            chosen = _renamed(chosen, split, {owner[name] for name in names})
    for split, names in held_out.items():
        for name in names:
            _assign(chosen, owner[name], split, where=where)
    seconds = _seconds_per_group(people)
    for split, later in (("test", {"validation", "train"}), ("validation", {"train"})):
        if split not in chosen.values():
            left_over = len(later - set(chosen.values()))
            chosen |= dict.fromkeys(_smallest(seconds, taken=chosen, left_over=left_over), split)
    splits = [chosen.get(item.group, "train") for item in people]
    if missing := {"train", "validation", "test"} - set(splits):
        raise BadInput(
            f"{where}: {len(seconds)} people leave none for {min(missing)}; at least 3 people are needed, "
            "and files of one speaker are named SPEAKER_NUMBER.wav, lie in a folder of their own, or are "
            "listed in manifest.csv"
        )
    return splits


def split_noise(items: Sequence[Item], spec: SplitSpec, *, where: str) -> list[str]:
    """train, validation or test for every noise file, test and validation drawn from many kinds.

    Neighbours in name are often cuts of one recording, so held-out files come from the two ends of a kind.
    Raises BadInput for a prefix that matches nothing or for fewer than 3 files.
    """
    splits = {item.name: item.split for item in items} | _named_noise(items, spec, where=where)
    wanted = [split for split in ("validation", "test") if split not in splits.values()]
    for names in _strata([item for item in items if not splits[item.name]]):
        count = max(1, int(len(names) * HELD_OUT_FRAC + 0.5))
        if "validation" in wanted:
            splits |= dict.fromkeys(names[:count], "validation")
        if "test" in wanted:
            splits |= dict.fromkeys(names[-count:], "test")
    result = [splits[item.name] or "train" for item in items]
    if missing := {"train", "validation", "test"} - set(result):
        raise BadInput(
            f"{where}: {len(items)} noise files leave none for {min(missing)}; at least 3 files are needed"
        )
    return result


def _named_noise(items: Sequence[Item], spec: SplitSpec, *, where: str) -> dict[str, str]:
    """Split of the noise files that `spec` names; it replaces what the manifest says of that split."""
    kept_for_testing = {item.name for item in items if item.split == "test"}
    named: dict[str, str] = {}
    for split, prefixes in (("test", spec.test_noise), ("validation", spec.validation_noise)):
        if prefixes:
            free = TESTING_ONLY if split == "test" else ""
            named |= {item.name: free for item in items if item.split == split and item.name not in named}
        for prefix in prefixes:
            for name in _matching(prefix, [item.name for item in items], where=where, key=f"{split}_noise"):
                before = named.get(name, "test" if name in kept_for_testing else "")
                if split == "validation" and before in ("test", TESTING_ONLY):
                    raise BadInput(f"{where}: noise {name} is both in {before} and in validation_noise")
                named[name] = split
    return named


def _splits_of_people(people: Sequence[Item], *, where: str) -> dict[str, str]:
    """Split of every person the manifest gives one to."""
    chosen: dict[str, str] = {}
    for item in people:
        if item.split:
            _assign(chosen, item.group, item.split, where=where)
    return chosen


def _renamed(chosen: Mapping[str, str], split: str, people: Collection[str]) -> dict[str, str]:
    """A manifest's choice without what a study names anew: `people`, and who else was in `split`.

    Who was kept for testing stays out of everything else.
    """
    kept: dict[str, str] = {}
    for person, old in chosen.items():
        if person in people:
            kept |= {person: old} if old in ("test", TESTING_ONLY) and split != "test" else {}
        elif old != split:
            kept[person] = old
        elif old == "test":
            kept[person] = TESTING_ONLY
    return kept


def _assign(chosen: dict[str, str], person: str, split: str, *, where: str) -> None:
    if chosen.setdefault(person, split) != split:
        raise BadInput(
            f"{where}: speaker {person} is both in {chosen[person]} and in {split}; "
            "one person belongs to one split"
        )


def _seconds_per_group(items: Sequence[Item]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for item in items:
        seconds[item.group] = seconds.get(item.group, 0.0) + item.seconds
    return seconds


def _smallest(seconds: Mapping[str, float], *, taken: Mapping[str, str], left_over: int) -> list[str]:
    """The smallest people not yet taken that make up a tenth of all people and of all speech.

    A minute of speech is enough; `left_over` people at least are not chosen.
    """
    free = sorted((name for name in seconds if name not in taken), key=lambda name: (seconds[name], name))
    people = max(1, round(HELD_OUT_FRAC * len(seconds)))
    enough = min(LEAST_HELD_OUT_SECONDS, HELD_OUT_FRAC * sum(seconds.values()))
    total, chosen = 0.0, list[str]()
    for name in free[: max(0, len(free) - left_over)]:
        if len(chosen) >= people and total >= enough:
            break
        chosen.append(name)
        total += seconds[name]
    return chosen


def _strata(items: Sequence[Item]) -> list[list[str]]:
    """Sorted names of every kind with enough files to give some away; all in one where no kind has."""
    kinds: dict[str, list[str]] = {}
    for item in sorted(items, key=lambda item: item.name):
        kinds.setdefault(item.group, []).append(item.name)
    large = [names for _, names in sorted(kinds.items()) if len(names) >= STRATUM_FILES]
    if large:
        return large
    everything = sorted(item.name for item in items)
    return [everything] if len(everything) >= 3 else []


def _matching(prefix: str, names: Iterable[str], *, where: str, key: str) -> list[str]:
    found = [name for name in names if name.startswith(prefix)]
    if not found:
        _refuse_unknown(prefix, names, where=where, key=key)
    return found


def _refuse_unknown(name: str, known: Iterable[str], *, where: str, key: str) -> None:
    names = sorted(set(known))
    if name in names:
        return
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    raise BadInput(
        f"{where}: {key}: {name!r} is not there; the nearest of {len(names)} names is {', '.join(nearest)}"
    )
