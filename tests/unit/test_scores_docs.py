"""docs/scores.md names every metric, key, extra, loss and window as they are."""

import re
import tomllib

from npuexplore.audio.augment import Augmentation
from npuexplore.audio.mixtures import MixtureRecipe
from npuexplore.audio.perception import NEEDS
from npuexplore.documents.shipped import shipped_folder
from npuexplore.pipeline.ahead import LEAST_STEPS
from npuexplore.train.evaluate import METRICS
from npuexplore.train.losses import LOSSES
from npuexplore.train.recipe import FitRecipe
from npuexplore.workload.load import load_network

ROOT = shipped_folder("hw_profiles").parent
PAGE = (ROOT / "docs" / "scores.md").read_text()


def section(title):
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def first_cells(text):
    return re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)


def test_every_metric_is_there_with_its_keys():
    text = section("What `evaluate` measures")
    assert first_cells(text) == list(METRICS)
    for measure in METRICS.values():
        for stem in measure.stems:
            assert f"`{stem}_in{measure.unit}`" in text


def test_every_extra_that_a_metric_needs_can_be_installed():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name, (modules, _) in NEEDS.items():
        assert f"pip install 'npuexplore[{name}]'" in PAGE
        assert {re.split("[<>=]", each)[0] for each in extras[name]} == set(modules)


def test_every_loss_is_there_and_the_default_is_the_default():
    assert first_cells(section("Losses")) == list(LOSSES)
    default = FitRecipe.model_fields["loss"].default
    assert re.search(rf"^\| `{default}` .*the default \|$", PAGE, re.MULTILINE)


def test_the_windows_are_those_of_the_shipped_networks():
    for name in ("tinylstm", "tinylstm-25ms"):
        clock = load_network(name).frame_clock
        window_ms, hop_ms = (
            1000 * n / clock.sample_rate_hz for n in (clock.window_samples, clock.hop_samples)
        )
        text = " ".join(section("Windows").split())
        assert re.search(rf"`{name}` (has )?{window_ms:g} ms every {hop_ms:g} ms", text)


def test_the_pitches_and_steps_are_those_of_the_defaults():
    text = " ".join(section("How mixtures are made").split())
    settings = MixtureRecipe().augmentation
    assert settings == Augmentation()
    for low, high in (settings.lowered_f0_hz, settings.raised_f0_hz):
        assert f"{low:g}..{high:g} Hz" in text
    assert f"A training of {LEAST_STEPS} steps or more" in text
