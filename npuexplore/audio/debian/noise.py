"""Noise of the game MegaGlest: what surrounds its landscapes, and its animals, machines, blows and music.

Voices of its people are left out: they are speech. Landscapes ("tilesets") decide the split: a recording is
in one split only, and links from one landscape to another's recordings are never followed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from npuexplore.audio.debian.packages import Package
from npuexplore.audio.debian.sounds import Sound, gathered, numbered, sound_clip
from npuexplore.errors import BadInput

GAME = "usr/share/games/megaglest/"
TILESET = re.compile(GAME + r"tilesets/([a-z0-9_]+)/sounds/([a-z0-9_]+)\.(?:ogg|wav)")

TEST_TILESETS = ("dark_forest", "desert2")
VALIDATION_TILESETS = ("autumn", "mediterran")

TILESET_KINDS = (("rain", "rain"), ("wind", "wind"), ("ni?ght", "night"), ("day", "day"), ("", "other"))
"""(pattern in the file's name, kind of noise), the first that fits."""

SHORTEST_SECONDS = 3.0
"""Cries of single animals are shorter; a training segment lasts 3 s."""

NOT_USED = ("hell/good_morning", "winter_forest/wind")
"""A voice; the same recording as winter/wind (correlation 1.00)."""


@dataclass(frozen=True)
class Collection:
    """Short recordings of one kind that are put together into longer files; for training only."""

    kind: str
    pattern: re.Pattern[str]
    """Fits the path below GAME."""
    longest_seconds: float = 60.0
    file_seconds: float = 20.0


COMMON = "techs/megapack/commondata/sounds/"
UNITS = "techs/megapack/factions/[a-z]+/units/"
COLLECTIONS = (
    Collection(
        "animals", re.compile(rf"{COMMON}cow_|{UNITS}(?:beehive|bull|chicken|elephant|sheep|wild_sow)/")
    ),
    Collection(
        "machines", re.compile(rf"{COMMON}(?:catapult|orni)_|{UNITS}(?:airship|battle_machine|ornithopter)/")
    ),
    Collection(
        "blows",
        re.compile(
            rf"{COMMON}(?:air_attack|air_hit|anvil|arrow_hit|golem_hit|golem_walk|tech_building_fall|tower_attack"
            rf"|tower_hit|worker_harvest_wood|worker_mine)|{UNITS}archmage_tower/sounds/magic_building_fall"
        ),
    ),
    Collection("water", re.compile("data/core/water_sounds/"), file_seconds=3.0),
    Collection(
        "music",
        re.compile(r"data/core/menu/music/|techs/megapack/factions/(?:magic|norsemen|romans|tech)/music/"),
    ),
)


def is_noise(name: str) -> bool:
    """Whether a path in the package is one of the recordings used here.

    >>> is_noise(GAME + "tilesets/spring/sounds/day.ogg"), is_noise(GAME + "tilesets/spring/spring.xml")
    (True, False)
    """
    return bool(TILESET.fullmatch(name)) or _collection(name) is not None


def noise_sounds(files: Mapping[str, bytes], package: Package) -> list[Sound]:
    """The files to be written of the noise package. Raises BadInput where there is no noise in it."""
    sounds = [*_landscapes(files), *_collected(files)]
    if not sounds:
        raise BadInput(f"{package.name}: holds no sound below /{GAME}; it is not the package of that name")
    return sounds


def _landscapes(files: Mapping[str, bytes]) -> list[Sound]:
    sounds = []
    for name in sorted(files):
        if not (match := TILESET.fullmatch(name)):
            continue
        tileset, what = match.groups()
        clip = sound_clip(name, files[name])
        if clip.seconds < SHORTEST_SECONDS or f"{tileset}/{what}" in NOT_USED:
            continue
        kind = next(kind for pattern, kind in TILESET_KINDS if re.search(pattern, what))
        file = f"noise/{tileset}_{what}.wav"
        sounds.append(Sound(file=file, group=kind, split=split_of(tileset), clips=(clip,)))
    return sounds


def split_of(tileset: str) -> str:
    """train, validation or test.

    >>> split_of("desert2"), split_of("autumn"), split_of("spring")
    ('test', 'validation', 'train')
    """
    if tileset in TEST_TILESETS:
        return "test"
    return "validation" if tileset in VALIDATION_TILESETS else "train"


def _collected(files: Mapping[str, bytes]) -> list[Sound]:
    sounds: list[Sound] = []
    for collection in COLLECTIONS:
        clips = [
            sound_clip(name, files[name], longest_seconds=collection.longest_seconds)
            for name in sorted(files)
            if _collection(name) is collection
        ]
        groups = gathered(clips, seconds=collection.file_seconds)
        sounds += numbered(f"noise/{collection.kind}", groups, group=collection.kind, split="train")
    return sounds


def _collection(name: str) -> Collection | None:
    """The first collection that a path belongs to."""
    if not name.startswith(GAME) or not name.endswith((".wav", ".ogg")):
        return None
    local = name.removeprefix(GAME)
    return next((one for one in COLLECTIONS if one.pattern.match(local)), None)
