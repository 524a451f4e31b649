"""Speech that was recorded, Asterisk's prompts and a reader's sentences, and how it becomes files."""

from __future__ import annotations

from collections.abc import Mapping

from npuexplore.audio.debian.packages import READER, READINGS, SOUNDS, Package
from npuexplore.audio.debian.sounds import Clip, Sound, g722_clip, gathered, numbered, sound_clip
from npuexplore.errors import BadInput

NO_SENTENCES = ("silence", "digits", "letters", "phonetic")
"""Folders of single words, of letters and of nothing."""

NO_SPEECH = (
    "ascending-2tone",
    "beep",
    "beeperr",
    "confbridge-join",
    "confbridge-leave",
    "descending-2tone",
    "tt-monkeys",
)
"""Tones and a troop of monkeys; the same recording in every language, so also in the test voice's."""

SHORTEST_SECONDS = 0.3
FILE_SECONDS = 20.0
"""Prompts are put together until a file lasts so long: a training segment is rarely longer than a prompt."""


def is_prompt(name: str) -> bool:
    """Whether a path in a package is a spoken sentence.

    >>> is_prompt(SOUNDS + "it_IT_m_Carlo/vm-goodbye.g722"), is_prompt(SOUNDS + "it_IT_m_Carlo/digits/1.g722")
    (True, False)
    """
    if not name.startswith(SOUNDS) or not name.endswith(".g722"):
        return False
    _voice, *folders, file = name.removeprefix(SOUNDS).split("/")
    return not (folders and folders[0] in NO_SENTENCES) and file.removesuffix(".g722") not in NO_SPEECH


def is_speech(name: str) -> bool:
    """Whether a path in a package is a spoken sentence of any of them.

    >>> is_speech(READINGS + "ru_0001.wav"), is_speech(READINGS + "../lab/ru_0001.lab")
    (True, False)
    """
    return is_prompt(name) or (name.startswith(READINGS) and name.endswith(".wav"))


def speech_sounds(files: Mapping[str, bytes], package: Package) -> list[Sound]:
    """The files to be written of a speech package, sentences in the order of their names.

    Raises BadInput where there is no sentence in it.
    """
    found = [_clip(name, files[name]) for name in sorted(files) if is_speech(name)]
    clips = [clip for clip in found if clip.seconds >= SHORTEST_SECONDS]
    if not clips:
        below = READINGS if package is READER else SOUNDS
        raise BadInput(f"{package.name}: holds no prompt below /{below}; it is not the package of that name")
    groups = gathered(clips, seconds=FILE_SECONDS)
    return numbered(f"speech/{package.speaker}", groups, group=package.speaker, split=package.split)


def _clip(name: str, content: bytes) -> Clip:
    return g722_clip(name, content) if name.endswith(".g722") else sound_clip(name, content)
