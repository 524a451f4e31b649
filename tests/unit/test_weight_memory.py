from __future__ import annotations

from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.cost.estimate import estimate
from npuexplore.hardware.load import load_profile
from npuexplore.workload.load import load_network

TINYLSTM = load_network("tinylstm")
DENSE = CompressionPlan()


def test_weights_of_layers_that_a_cpu_runs_do_not_fill_the_engines_memory() -> None:
    result = estimate(load_profile("max78000"), TINYLSTM, DENSE)

    assert result.weight_capacity_bytes == 442_368
    assert result.engine_weight_bytes.tolist() == [32_768 + 16_384]
    assert result.fits_weights.all()


def test_weights_too_large_for_their_memory_do_not_fit() -> None:
    profile = load_profile("max78000")
    smaller = profile.memories["weight_ram"].model_copy(update={"capacity_bytes": 40_000})
    tight = profile.model_copy(update={"memories": {**profile.memories, "weight_ram": smaller}})
    halved = CompressionPlan(layers={"fc_1": LayerPlan(weight_bits=4)})

    result = estimate(tight, TINYLSTM, [DENSE, halved])

    assert result.fits_weights.tolist() == [False, True]
    assert not result.fits[0]


def test_weights_in_flash_have_no_limit_of_their_own() -> None:
    result = estimate(load_profile("stm32f746"), TINYLSTM, DENSE)

    assert result.weight_capacity_bytes is None
    assert result.fits_weights.all()
