"""Calibration: true coefficients come back, the rest is left alone, intervals hold what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from calibration_boards import ALL_CASES, BLOCKS, FC, LSTM, calibrated, cycles_of, write

from npuexplore.compression.plan import CompressionPlan, LayerPlan, uniform_plan
from npuexplore.cost.estimate import estimate
from npuexplore.errors import BadInput
from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.load import list_profiles, load_profile
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.pipeline.calibrate import EXAMPLE, Said, calibrate
from npuexplore.pipeline.calibrate.coefficients import (
    ELEMENTWISE,
    MEMORY_WAIT,
    PER_LAYER,
    PRODUCT,
    SPARSE,
    named_coefficients,
)
from npuexplore.workload.load import load_network

M7 = load_profile("stm32f746")
TRUTH = {MEMORY_WAIT: 1.3, PER_LAYER: 900.0, ELEMENTWISE: 1.25, SPARSE: 1.4}
STREAMED = ("imxrt1062", "rp2350")
"""Parts whose weights come over a serial bus unless a row names another memory mode."""
CORTEX_M = [name for name in list_profiles() if isinstance(load_profile(name).engine, CortexM)]


def not_fitted(result) -> dict[str, str]:
    return {each.coefficient.key: str(each) for each in result.identified.refusals}


def test_true_coefficients_come_back_from_noisy_cycles(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    path = tmp_path / "board.csv"
    cycles = cycles_of(M7, ALL_CASES, path, TRUTH) * np.exp(0.01 * rng.standard_normal(len(ALL_CASES)))

    result = calibrated(write(ALL_CASES, cycles, path))

    assert set(result.values) == set(TRUTH)
    for each, true in TRUTH.items():
        error = result.errors_of[each] * (true if each.is_ratio else 1.0)
        assert abs(result.values[each] - true) < 3 * error
        assert error < 0.12 * true
    assert result.calibration.mean_error_before_pct > 20
    assert result.calibration.mean_error_left_out_pct < 3


@pytest.mark.parametrize("name", [name for name in CORTEX_M if name not in STREAMED])
def test_our_own_estimates_give_a_profile_its_own_coefficients(tmp_path: Path, name: str) -> None:
    profile = load_profile(name)
    path = tmp_path / "board.csv"
    result = calibrated(write(ALL_CASES, cycles_of(profile, ALL_CASES, path, {}), path), name)

    assert MEMORY_WAIT in result.values
    for each, value in result.values.items():
        assert value == pytest.approx(result.start[each], rel=2e-3, abs=2.0)
    assert result.calibration.mean_error_before_pct == 0
    assert result.calibration.mean_error_after_pct < 0.2
    assert result.remarks == ()


def test_a_network_is_priced_as_an_estimate_prices_its_layers(tmp_path: Path) -> None:
    result = calibrated(write(["network,,,,,,tinylstm", FC[0]], [2_000_000, 3_000], tmp_path / "board.csv"))

    layers = estimate(M7, load_network("tinylstm"), CompressionPlan()).layers.cycles[0, 1:]

    assert result.estimates.before[0] == layers.sum()


def test_one_bad_row_moves_nothing_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    cycles = cycles_of(M7, ALL_CASES, path, TRUTH)
    cycles[3] *= 1.8

    result = calibrated(write(ALL_CASES, cycles, path))

    assert result.values[MEMORY_WAIT] == pytest.approx(TRUTH[MEMORY_WAIT], rel=0.02)
    assert any("line 5 (fc 256->256) lies" in remark for remark in result.remarks)
    assert result.calibration.interval.high_ratio > 1.3


def test_measurements_of_one_shape_tell_the_memory_wait_only(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    cycles = cycles_of(M7, [FC[1]] * 4, path, TRUTH)

    result = calibrated(write([FC[1]] * 4, cycles * [0.99, 1.0, 1.0, 1.01], path))

    assert set(result.values) == {MEMORY_WAIT}
    assert "all measurements are of one layer" in not_fitted(result)[PER_LAYER.key]
    assert "add a fully connected layer under 64x64" in not_fitted(result)[PER_LAYER.key]
    assert any("nothing of others" in remark for remark in result.remarks)


@pytest.mark.parametrize(
    ("cases", "refused", "advice"),
    [
        (["fc,256,256,,,,", "fc,512,512,,,,", "fc,512,256,,,,", "fc,256,512,,,,"], PER_LAYER, "under 64x64"),
        (FC, ELEMENTWISE, "an LSTM with few inputs"),
        ([*FC, *LSTM], SPARSE, "a sparse layer"),
        (["lstm,128,128,,,,", "lstm,160,128,,,,", "lstm,128,160,,,,", FC[0]], ELEMENTWISE, "an LSTM"),
        (FC[:3], PER_LAYER, "can check 1 coefficients"),
    ],
)
def test_what_the_rows_cannot_tell_is_left_alone_with_advice(
    tmp_path: Path, cases: list[str], refused: object, advice: str
) -> None:
    path = tmp_path / "board.csv"
    rng = np.random.default_rng(2)
    cycles = cycles_of(M7, cases, path, TRUTH) * np.exp(0.03 * rng.standard_normal(len(cases)))

    result = calibrated(write(cases, cycles, path))

    assert refused not in result.values
    assert advice in not_fitted(result)[refused.key]


def test_a_named_coefficient_that_cannot_be_told_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    write(FC, cycles_of(M7, FC, path, TRUTH), path)
    with pytest.raises(BadInput, match=r"engine.ratios.sparse: .*; add a sparse layer"):
        calibrated(path, coefficients=named_coefficients("memory_wait_ratio,sparse"))
    alone = calibrated(path, coefficients=named_coefficients("cycles_per_layer"))
    assert set(alone.values) == {PER_LAYER}


def test_a_board_with_faster_kernels_is_fitted_by_their_ratio(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    write(FC, cycles_of(M7, FC, path, {PRODUCT: 0.7}), path)

    result = calibrated(path)

    assert result.values[PRODUCT] == pytest.approx(0.7, rel=0.01)
    assert result.values[MEMORY_WAIT] == 1.0
    assert "it runs other kernels" in result.remarks[0]
    with pytest.raises(BadInput, match="name product in --coefficients"):
        calibrated(path, coefficients=named_coefficients("memory_wait_ratio"))


def test_a_row_that_would_not_be_stored_sparse_is_refused(tmp_path: Path) -> None:
    cases = [*FC, "fc,128,128,weight,0.1,,"]
    with pytest.raises(BadInput, match=r":6: structure: weight at 10 % zeros is stored dense"):
        calibrated(write(cases, [3_000, 9_000, 31_000, 120_000, 60_000], tmp_path / "board.csv"))


def test_sparse_kernels_that_lose_are_fitted_as_they_were_measured(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    slow = {MEMORY_WAIT: 1.3, SPARSE: 6.0}
    cases = [*FC, *BLOCKS]

    result = calibrated(write(cases, cycles_of(M7, cases, path, slow), path))

    assert result.values[SPARSE] == pytest.approx(6.0, rel=0.01)
    assert any("lines 6, 7: the dense kernel is faster" in remark for remark in result.remarks)
    assert result.calibration.mean_error_after_pct < 0.5


def with_memories(bytes_per_cycle: float) -> HardwareProfile:
    rate = {"bytes_per_cycle": bytes_per_cycle}
    memories = {name: each.model_copy(update=rate) for name, each in M7.memories.items()}
    return M7.model_copy(update={"memories": memories})


def test_rows_that_wait_for_a_memory_are_named(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    cycles = cycles_of(M7, [*FC, *LSTM], path, {MEMORY_WAIT: 1.1})

    result = calibrate(write([*FC, *LSTM], cycles, path), with_memories(0.4), said=Said(), today="2026-01-31")

    assert any("waits for the memory that holds the weights" in remark for remark in result.remarks)


@pytest.mark.parametrize("name", STREAMED)
def test_rows_that_all_wait_for_a_memory_tell_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / "board.csv"
    write(ALL_CASES, cycles_of(load_profile(name), ALL_CASES, path, {}), path)

    with pytest.raises(BadInput, match=r"board\.csv: every measurement is estimated to wait for the memory"):
        calibrated(path, name)
    with pytest.raises(BadInput, match=r"board\.csv: .*no measurement spends enough on memory wait to tell"):
        calibrated(path, name, coefficients=(MEMORY_WAIT,))


def test_coefficients_come_back_where_some_layers_wait_for_a_stream(tmp_path: Path) -> None:
    """On this part the estimate of large layers is their stream, until the memory wait makes it longer."""
    part = load_profile("apollo510")
    truth = {MEMORY_WAIT: 1.1, PER_LAYER: 800.0, ELEMENTWISE: 1.2, SPARSE: 1.1}
    path = tmp_path / "board.csv"
    cases = [*FC, *LSTM, *BLOCKS]
    result = calibrated(write(cases, cycles_of(part, cases, path, truth), path), "apollo510")

    assert {each: result.values[each] for each in truth} == pytest.approx(truth, rel=2e-3)


def test_the_interval_holds_rows_that_were_not_measured(tmp_path: Path) -> None:
    """Errors of 4 % that are a layer's own: nine layers are measured, others are asked for."""
    rng = np.random.default_rng(11)
    held_out = [f"fc,{inputs},{outputs},,,," for inputs in (48, 96, 200) for outputs in (40, 120, 180)]
    path = tmp_path / "board.csv"
    truth = cycles_of(M7, ALL_CASES, path, TRUTH), cycles_of(M7, held_out, path, TRUTH)
    inside = []
    for _ in range(6):
        seen, unseen = (cycles * np.exp(0.04 * rng.standard_normal(cycles.size)) for cycles in truth)
        result = calibrated(write(ALL_CASES, seen, path))
        interval = result.calibration.interval
        expected = cycles_of(M7, held_out, path, result.values)
        inside.append((interval.low_ratio * expected < unseen) & (unseen < interval.high_ratio * expected))

    assert 0.8 < np.mean(inside) < 1.0


def test_rows_that_repeat_a_layer_do_not_narrow_the_interval(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    cycles = cycles_of(M7, FC, path, {MEMORY_WAIT: 1.3}) * [1.05, 0.95, 1.05, 0.95]
    once = calibrated(write(FC, cycles, path)).calibration
    thrice = calibrated(write(FC * 3, np.tile(cycles, 3), path)).calibration

    assert (once.rows, thrice.rows, once.cases, thrice.cases) == (4, 12, 4, 4)
    assert thrice.interval.high_ratio == pytest.approx(once.interval.high_ratio, rel=0.02)


def test_boards_that_differ_widen_the_interval(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    cycles = cycles_of(M7, FC, path, {MEMORY_WAIT: 1.3})
    write(FC * 2, np.concatenate([cycles, 1.3 * cycles]), path)
    plain = calibrated(path)
    lines = path.read_text().splitlines()
    boards = ["board", *["A"] * 4, *["B"] * 4]
    path.write_text("\n".join(f"{line},{board}" for line, board in zip(lines, boards, strict=True)))

    result = calibrated(path)

    assert set(result.estimates.left_out) == {"cases", "boards"}
    assert result.calibration.board == "A; B"
    assert result.calibration.interval.high_ratio > 1.5 * plain.calibration.interval.high_ratio


def test_the_example_fits_well_and_tells_every_coefficient(tmp_path: Path) -> None:
    path = tmp_path / "example.csv"
    path.write_text(EXAMPLE)

    result = calibrated(path)

    assert set(result.values) == {MEMORY_WAIT, PER_LAYER, ELEMENTWISE, SPARSE}
    assert result.identified.refusals == ()
    assert result.remarks == ()
    assert result.calibration.mean_error_left_out_pct < 2
    assert result.calibration.measured == ("dense", "lstm", "sparse")


def test_estimates_say_what_was_not_measured(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    result = calibrated(write(FC, cycles_of(M7, FC, path, TRUTH), path))
    profile = M7.model_copy(update={"calibration": result.calibration})
    network = load_network("tinylstm")

    dense = estimate(profile, network, CompressionPlan()).assumptions
    sparse = uniform_plan(network, LayerPlan(structure="weight", sparsity_frac=0.8))

    assert any("no lstm layer was measured" in sentence for sentence in dense)
    said = estimate(profile, network, sparse).assumptions
    assert any("no lstm and no sparse layer was measured" in sentence for sentence in said)
