"""Schedules against real runs of Vela, operator by operator, on networks that nobody recorded."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from vela_cases import network_of, vela_networks, weights_of

from npuexplore.cost.ethos_u.formats import FORMATS
from npuexplore.cost.ethos_u.real_weights import RealWeights
from npuexplore.cost.ethos_u.schedule import Cost, schedule
from npuexplore.cost.traffic import route_of
from npuexplore.errors import EnvironmentLacking
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.hardware.load import compose_profile
from npuexplore.pipeline.verify.vela_names import Shape
from npuexplore.pipeline.verify.vela_net import layer_of, recorded_matrices

NETWORKS = {
    "one wide LSTM": (Shape("lstm", 161, 512), Shape("dense", 512, 161)),
    "three LSTMs that narrow": (
        Shape("lstm", 80, 192),
        Shape("lstm", 192, 96),
        Shape("lstm", 96, 64),
        Shape("dense", 64, 80),
    ),
    "a dense layer before an LSTM": (Shape("dense", 16, 32), Shape("lstm", 32, 64), Shape("dense", 64, 16)),
    "odd sizes": (Shape("lstm", 33, 100), Shape("lstm", 100, 47), Shape("dense", 47, 33)),
    "a tall perceptron": (
        Shape("dense", 64, 1024),
        Shape("dense", 1024, 1024),
        Shape("dense", 1024, 64),
    ),
}
PLANS = {
    "dense": {"structure": "dense", "sparsity": 0.0, "bits": 8},
    "sparse": {"structure": "unstructured", "sparsity": 0.92, "bits": 8},
    "ternary blocks": {"structure": "8x4", "sparsity": 0.6, "bits": 2},
}
PLACES = (
    ("ethos-u55-128", "Ethos_U55_High_End_Embedded", "Shared_Sram"),
    ("ethos-u65-256", "Ethos_U65_High_End", "Dedicated_Sram_384KB"),
    ("ethos-u65-512", "Ethos_U65_Embedded", "Shared_Sram"),
    ("ethos-u85-256", "Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_384KB"),
    ("ethos-u85-1024", "Ethos_U85_SYS_DRAM_Mid", "Sram_Only"),
    ("ethos-u85-2048", "Ethos_U85_SYS_Flash_High", "Shared_Sram"),
)
FOLDED = ("Sigmoid", "Relu", "LUT")


@pytest.fixture(scope="module")
def vela() -> ModuleType:
    module = vela_networks()
    try:
        module.vela()
    except EnvironmentLacking as missing:
        pytest.skip(str(missing))
    return module


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0]} {place[2]}")
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_operator_costs_what_vela_says(
    vela: ModuleType, name: str, plan: str, place: tuple[str, str, str]
) -> None:
    shapes, accelerator = NETWORKS[name], place[0]
    tflite = vela.tflite_bytes(network_of(shapes), weights_of(shapes, PLANS[plan]), activations=False)

    theirs = vela.vela_estimate(tflite, *place)
    profile = compose_profile(accelerator, place[1].lower())
    assert isinstance(profile.engine, EthosU)
    layers = [layer_of(shape) for shape in shapes]
    weights = RealWeights(profile.engine, layers, recorded_matrices(shapes, **PLANS[plan]))
    ours = schedule(profile.engine, route_of(profile, place[2]), layers, weights)

    assert [_ours(cost) for cost in ours.costs] == _theirs(theirs["operators"])
    constant = int(ours.constant_bytes[0]) if place[2] == "Sram_Only" else 0
    assert int(ours.alive_bytes["sram"][0]) + constant == theirs["sram_used_bytes"]


def _ours(cost: Cost) -> tuple[int, int, str, str]:
    sliced = "" if cost.staged is None else "|".join(map(str, np.unique(cost.staged.bounds[0])))
    stored = "" if cost.format_index is None else FORMATS[int(cost.format_index[0])]
    return int(cost.op_cycles[0]), int(cost.npu_cycles[0]), sliced, stored


def _theirs(operators: Sequence[dict[str, Any]]) -> list[tuple[int, int, str, str]]:
    return [
        (
            int(row["op_cycles"]),
            int(row["npu_cycles"]),
            row["ofm_depth_slices"] if row["weight_format"] else "",
            row["weight_format"],
        )
        for row in operators
        if row["operator"] not in FOLDED and int(row["op_cycles"]) > 0
    ]
