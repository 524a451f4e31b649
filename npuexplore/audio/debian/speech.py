"""Speech of the Asterisk prompts: which are sentences, and how they become files."""

from __future__ import annotations

from collections.abc import Mapping

from npuexplore.audio.debian.packages import SOUNDS, Package
from npuexplore.audio.debian.sounds import Clip, Sound, g722_clip, gathered, numbered
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


def speech_sounds(files: Mapping[str, bytes], package: Package) -> list[Sound]:
    """The files to be written of a speech package, prompts in the order of their names.

    Raises BadInput where there is no prompt in it.
    """
    clips: list[Clip] = [
        clip
        for name in sorted(files)
        if is_prompt(name) and (clip := g722_clip(name, files[name])).seconds >= SHORTEST_SECONDS
    ]
    if not clips:
        raise BadInput(f"{package.name}: holds no prompt below /{SOUNDS}; it is not the package of that name")
    groups = gathered(clips, seconds=FILE_SECONDS)
    return numbered(f"speech/{package.speaker}", groups, group=package.speaker, split=package.split)
