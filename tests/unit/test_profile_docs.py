"""docs/profiles.md: its example is a sound profile, and what it names exists."""

from __future__ import annotations

import re
from pathlib import Path

from npuexplore.documents.shipped import shipped_folder
from npuexplore.hardware.lint import check_located
from npuexplore.hardware.load import list_profiles, load_located

PAGE = shipped_folder("hw_profiles").parent / "docs" / "profiles.md"


def test_the_example_loads_and_passes_the_check(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    path = tmp_path / "our-board.yaml"
    path.write_text(example, encoding="utf-8")

    loaded = load_located(path)

    assert check_located(loaded) == []
    assert loaded.profile.memories["flash"].bytes_per_cycle == 0.5


def test_the_named_profiles_are_shipped() -> None:
    assert {"gap9", "nuvoton-m55m1", "max78000", "nrf54lm20b"} <= set(list_profiles())
    assert PAGE.read_text(encoding="utf-8").count("nuvoton-m55m1") == 1
