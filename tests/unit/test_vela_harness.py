"""benchmarks/vela_networks.py where Vela is not installed, and for what TFLite cannot hold."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import pytest
from vela_cases import vela_networks

from npuexplore.errors import EnvironmentLacking, UsageError
from npuexplore.workload.network import DenseLayer, FrameClock, GruLayer, Network


@pytest.fixture
def module() -> ModuleType:
    return vela_networks()


def test_a_missing_extra_is_a_sentence_with_its_own_exit_code(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str, *_: Any) -> ModuleType:
        raise ImportError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", missing)

    with pytest.raises(EnvironmentLacking, match=r"npuexplore\[bench\]") as caught:
        module.vela()
    assert caught.value.exit_code == 4


def test_a_gru_is_refused_by_name(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "vela", dict)
    network = Network(
        schema="npuexplore.network/1",
        name="gated",
        frame_clock=FrameClock(window_samples=64, hop_samples=32),
        bands=8,
        layers=(
            GruLayer(kind="gru", name="gru_1", hidden_units=8),
            DenseLayer(kind="dense", name="mask", output_features=8, activation="sigmoid"),
        ),
    )

    with pytest.raises(UsageError, match="gru_1: got kind gru"):
        module.tflite_bytes(network, {})
