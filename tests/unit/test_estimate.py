from __future__ import annotations

import json

import numpy as np
import pytest
from cost_cases import dense_case, first_layer_plan, recurrent_case

from npuexplore.compression.plan import CompressionPlan, LayerPlan, batch_plans, uniform_plan
from npuexplore.compression.quantize import integer_weights
from npuexplore.compression.sparsity import apply_masks, layer_masks, shrink
from npuexplore.cost.document import estimate_document
from npuexplore.cost.estimate import estimate
from npuexplore.cost.front_end import front_end_costs
from npuexplore.cost.stored import stored_weight_bytes
from npuexplore.errors import BadInput, UsageError
from npuexplore.hardware.load import list_profiles, load_profile
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.load import list_networks, load_network
from npuexplore.workload.network import Network, gate_count, matrices

TINYLSTM = load_network("tinylstm")
SMALL = load_network("lstm64x2")
MICRONPU = load_profile("micronpu-block16")
M7 = load_profile("stm32f746")
U55 = load_profile("ethos-u55-128")
DENSE = CompressionPlan()


def blocks(sparsity_frac: float, block: tuple[int, int] = (1, 16)) -> LayerPlan:
    return LayerPlan(structure="block", sparsity_frac=sparsity_frac, block=block)


def test_the_papers_network_has_their_counts() -> None:
    macs = estimate(load_profile("micronpu-block16"), TINYLSTM, DENSE).layers.macs[0]

    assert macs.tolist() == [0, 393_216, 524_288, 32_768, 16_384]
    assert macs.sum() == 966_656


@pytest.mark.parametrize("network", list_networks())
@pytest.mark.parametrize("profile", list_profiles())
def test_every_shipped_network_is_estimated_on_every_shipped_part(profile: str, network: str) -> None:
    result = estimate(load_profile(profile), load_network(network), DENSE)

    assert result.cycles[0] > 0
    assert result.assumptions


def test_the_document_has_the_public_keys_and_only_json_values() -> None:
    result = estimate(MICRONPU, TINYLSTM, uniform_plan(TINYLSTM, blocks(0.75)))

    document = json.loads(json.dumps(estimate_document(result, 0), allow_nan=False))

    assert document["schema"] == "npuexplore.estimate/1"
    assert list(document["totals"]) == [
        "macs", "kept_macs", "cycles", "latency_ms", "mean_latency_ms", "flash_bytes", "sram_bytes",
        "weight_bytes", "energy_uj", "average_power_mw", "real_time_factor",
        "cycles_interval", "latency_ms_interval",
    ]  # fmt: skip
    assert [layer["name"] for layer in document["layers"]] == [
        "front_end",
        "lstm_1",
        "lstm_2",
        "fc_1",
        "fc_2",
    ]
    assert set(document["fits"]) == {"flash", "sram", "deadline"}
    for layer in document["layers"]:
        assert {
            "name", "kind", "macs", "kept_macs", "compute_cycles", "memory_cycles", "cycles", "bound_by",
            "weight_bytes",
        } <= set(layer)  # fmt: skip
        assert set(layer["memory_cycles"]) == {"sram", "flash"}
        assert layer["bound_by"] in (
            "mac",
            "decode",
            "activation",
            "overhead",
            "cpu",
            "memory:sram",
            "memory:flash",
        )


def test_cycles_of_a_dense_layer_on_the_microNPU_follow_from_its_rates() -> None:
    network = dense_case(160, 80)

    layer = estimate_document(estimate(MICRONPU, network, DENSE), 0)["layers"][1]

    block_rows = 80 // 8
    assert layer["compute_cycles"] == 160 * 80 // 16 + 8 * block_rows + 100  # decode-bound: 16 B/cycle
    assert layer["memory_cycles"]["flash"] == 160 * 80 // 4 + 16
    assert layer["cycles"] == layer["memory_cycles"]["flash"] + 8 * block_rows + 100
    assert layer["bound_by"] == "memory:flash"
    assert layer["weight_bytes"] == 160 * 80


def test_decode_binds_a_layer_whose_weights_stream_fast_enough() -> None:
    flash = MICRONPU.memories["flash"].model_copy(update={"bytes_per_cycle": 64.0})
    profile = MICRONPU.model_copy(update={"memories": {**MICRONPU.memories, "flash": flash}})

    layer = estimate_document(estimate(profile, dense_case(160, 80), DENSE), 0)["layers"][1]

    assert layer["bound_by"] == "decode"
    assert layer["cycles"] == layer["compute_cycles"]


def test_zero_blocks_are_neither_stored_nor_decoded() -> None:
    plan = first_layer_plan(structure="block", sparsity_frac=0.75, block=(1, 16))

    layer = estimate_document(estimate(MICRONPU, dense_case(160, 80), plan), 0)["layers"][1]

    assert layer["weight_format"] == "block_bitmap"
    assert (
        layer["weight_bytes"] == 80 * 10 // 4 * 16 + 80 * 10 // 8
    )  # a quarter of the blocks, a bit for each


def test_single_zero_weights_leave_nearly_every_block_and_are_stored_dense() -> None:
    plan = first_layer_plan(structure="weight", sparsity_frac=0.5)

    sparse = estimate_document(estimate(MICRONPU, dense_case(160, 80), plan), 0)["layers"][1]
    dense = estimate_document(estimate(MICRONPU, dense_case(160, 80), DENSE), 0)["layers"][1]

    assert sparse["weight_format"] == "dense"
    assert sparse["cycles"] == dense["cycles"]
    assert sparse["kept_macs"] == dense["macs"] // 2


def test_units_removed_make_this_layer_its_state_and_the_next_layer_smaller() -> None:
    plan = CompressionPlan(layers={"lstm_1": LayerPlan(structure="unit", sparsity_frac=0.5)})

    layers = estimate(M7, TINYLSTM, plan).layers

    assert layers.kept_macs[0].tolist() == [0, 4 * 128 * (128 + 128), 4 * 256 * (128 + 256), 32768, 16384]
    assert layers.weight_bytes[0].tolist() == layers.kept_macs[0].tolist()


def test_four_bit_weights_halve_dense_storage() -> None:
    dense, narrow = estimate(
        MICRONPU, TINYLSTM, [DENSE, uniform_plan(TINYLSTM, LayerPlan(weight_bits=4))]
    ).weight_bytes

    assert dense == 966_656
    assert narrow == 966_656 // 2


def test_wide_activations_take_more_state_and_more_passes() -> None:
    plans = [DENSE, uniform_plan(TINYLSTM, LayerPlan(activation_bits=16))]

    result = estimate(MICRONPU, TINYLSTM, plans)

    assert result.sram_bytes[1] > result.sram_bytes[0]
    assert result.layers.memory_cycles["sram"][1, 1] > result.layers.memory_cycles["sram"][0, 1]
    assert (result.layers.compute_cycles[1] >= result.layers.compute_cycles[0]).all()


def test_a_cortex_m_takes_a_sparse_kernel_only_where_it_is_faster_and_no_larger() -> None:
    plans = [
        first_layer_plan(structure="weight", sparsity_frac=0.55),
        first_layer_plan(structure="weight", sparsity_frac=0.8),
        first_layer_plan(structure="block", sparsity_frac=0.8, block=(4, 16)),
        first_layer_plan(structure="block", sparsity_frac=0.8, block=(2, 16)),
    ]

    result = estimate(M7, recurrent_case("lstm", 128, 128), plans)

    formats = [result.formats[code] for code in result.layers.weight_format[:, 1]]
    assert formats == ["dense", "csr_delta8", "block_index_4x4", "block_index_1x16"]


def test_ethos_u_cycles_do_not_depend_on_zeros_when_weights_are_in_sram() -> None:
    plans = [DENSE, uniform_plan(TINYLSTM, LayerPlan(structure="weight", sparsity_frac=0.9))]

    result = estimate(U55, TINYLSTM, plans, memory_mode="Sram_Only")

    assert result.cycles[0] == result.cycles[1]
    assert result.weight_bytes[1] < result.weight_bytes[0] / 5


def test_weights_in_sram_count_against_sram() -> None:
    streamed = estimate(MICRONPU, TINYLSTM, DENSE)
    staged = estimate(MICRONPU, TINYLSTM, DENSE, memory_mode="weights_in_sram")

    assert staged.sram_bytes[0] - streamed.sram_bytes[0] == 966_656 + 4 * 4352  # weights and biases
    assert staged.flash_bytes[0] == streamed.flash_bytes[0]
    assert not staged.fits_sram[0]
    assert staged.memory_mode == "weights_in_sram"


def test_the_dense_network_of_tinylstms_misses_flash_and_keeps_the_deadline_on_its_part() -> None:
    result = estimate(M7, TINYLSTM, DENSE)

    assert (result.fits_flash[0], result.fits_sram[0], result.fits_deadline[0]) == (False, True, True)
    assert not result.fits[0]
    assert result.real_time_factor[0] == pytest.approx(result.latency_ms[0] / 10.0)


def test_skipping_scales_the_network_but_not_the_front_end() -> None:
    plan = CompressionPlan(skip_rate_frac=0.25)

    result = estimate(MICRONPU, SMALL, plan)

    front_end = result.layers.cycles[0, 0]
    mean_cycles = front_end + 0.75 * (result.cycles[0] - front_end)
    assert result.mean_latency_ms[0] == pytest.approx(1000.0 * mean_cycles / MICRONPU.clock_hz)
    assert any("skipped frame" in sentence for sentence in result.assumptions)


def test_energy_is_the_sum_of_its_parts() -> None:
    network = dense_case(64, 32)
    period_ms = network.frame_clock.frame_period_ms

    result = estimate(MICRONPU, network, DENSE)

    weights = 2 * 64 * 32
    activations = 2 * (64 + 32)
    macs_pj = weights * 0.3
    bytes_pj = weights * 25.0 + activations * 6.25
    sigmoid_pj = 64 * 1.0
    front_end_pj = front_end_costs(network, MICRONPU.front_end).cpu_cycles * 157.0
    busy_ms = float(result.latency_ms[0])
    expected = (
        1e-6 * (macs_pj + bytes_pj + sigmoid_pj + front_end_pj) + 2.0 * busy_ms + 0.2 * (period_ms - busy_ms)
    )
    assert result.energy_uj is not None
    assert result.average_power_mw is not None
    assert result.energy_uj[0] == pytest.approx(expected)
    assert result.average_power_mw[0] == pytest.approx(expected / period_ms)


def test_skipped_frames_save_the_network_s_energy_but_not_the_front_end_s() -> None:
    always, skipping = (
        estimate(MICRONPU, SMALL, CompressionPlan(skip_rate_frac=rate)) for rate in (0.0, 0.5)
    )
    assert always.energy_uj is not None
    assert skipping.energy_uj is not None

    front_end_uj = front_end_costs(SMALL, MICRONPU.front_end).cpu_cycles * 157.0e-6
    saved_ms = float(always.mean_latency_ms[0] - skipping.mean_latency_ms[0])
    busy_ms = float(always.latency_ms[0])
    power_uj = 2.0 * busy_ms + 0.2 * (SMALL.frame_clock.frame_period_ms - busy_ms)
    network_uj = always.energy_uj[0] - front_end_uj - power_uj
    expected_saving = 0.5 * network_uj + saved_ms * (2.0 - 0.2)
    assert always.energy_uj[0] - skipping.energy_uj[0] == pytest.approx(expected_saving)


def test_energy_is_unknown_and_said_so_where_a_figure_has_no_source() -> None:
    result = estimate(M7, SMALL, DENSE)

    assert result.energy_uj is None
    assert result.average_power_mw is None
    assert estimate_document(result, 0)["totals"]["energy_uj"] is None
    assert any("energy unknown" in sentence and "pj_per_mac" in sentence for sentence in result.assumptions)


def test_assumed_figures_are_named_with_every_estimate() -> None:
    result = estimate(MICRONPU, SMALL, DENSE)

    assert any(
        sentence.startswith("figures without a source: clock_hz, engine") for sentence in result.assumptions
    )


def test_an_unknown_memory_mode_is_refused_with_the_modes_there_are() -> None:
    with pytest.raises(UsageError, match="weights_in_flash, weights_in_sram"):
        estimate(MICRONPU, SMALL, DENSE, memory_mode="Sram_Only")


def test_plans_of_another_network_are_refused() -> None:
    plans = batch_plans([CompressionPlan()], dense_case(8, 8))

    with pytest.raises(BadInput, match="network lstm64x2 needs"):
        estimate(MICRONPU, SMALL, plans)


@pytest.mark.parametrize("profile", [MICRONPU, M7, U55], ids=lambda profile: profile.name)
@pytest.mark.parametrize(
    "choice",
    [
        LayerPlan(),
        blocks(0.75),
        blocks(0.6, (4, 16)),
        LayerPlan(structure="unit", sparsity_frac=0.5),
        LayerPlan(structure="weight", sparsity_frac=0.8),
        LayerPlan(weight_bits=4),
    ],
    ids=lambda choice: f"{choice.structure}-{choice.weight_bits}-{choice.block}",
)
def test_real_weights_take_the_bytes_that_were_expected_of_them(
    profile: HardwareProfile, choice: LayerPlan
) -> None:
    plan = uniform_plan(SMALL, choice)
    params = _gaussian_weights(SMALL)
    masks = layer_masks(params, plan, SMALL)
    integers = integer_weights(shrink(apply_masks(params, masks), masks, SMALL), plan, SMALL)
    result = estimate(profile, SMALL, plan)
    # Entropy-coded sizes depend on the levels too: here the largest weights are kept, on a wider grid.
    tolerance_frac = 0.12 if profile is U55 else 0.05

    for column, layer in enumerate(SMALL.layers, start=1):
        stored = stored_weight_bytes(
            profile,
            plan.of(layer.name),
            {name: matrix for name, (matrix, _) in integers[layer.name].items()},
            weight_format=result.formats[result.layers.weight_format[0, column]],
        )

        assert stored == pytest.approx(result.layers.weight_bytes[0, column], rel=tolerance_frac), layer.name


def test_blocks_of_real_weights_do_not_cross_from_one_gate_into_the_next() -> None:
    weights = {"w_hh": np.ones((4 * 6, 6), np.int8)}

    stored = stored_weight_bytes(M7, LayerPlan(), weights, weight_format="block_index_4x4")

    block_rows = 4 * 2  # two for the six rows of each gate
    assert stored == block_rows * 2 * (16 + 1) + block_rows * 2


def test_a_format_that_the_part_does_not_store_is_refused() -> None:
    weights = {"w": np.ones((4, 4), np.int8)}

    with pytest.raises(BadInput, match="stores dense, block_bitmap"):
        stored_weight_bytes(MICRONPU, LayerPlan(), weights, weight_format="mlw")


def test_the_smallest_format_is_taken_where_none_is_named() -> None:
    weights = {"w": np.eye(16, 64, dtype=np.int8)}

    assert stored_weight_bytes(MICRONPU, LayerPlan(), weights) == 16 * 16 + 16 * 4 // 8


def _gaussian_weights(network: Network) -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng([7])
    params: dict[str, dict[str, np.ndarray]] = {}
    for layer, name, rows, columns in matrices(network):
        params.setdefault(layer, {})[name] = rng.standard_normal((rows, columns)).astype(np.float32)
    for layer in network.layers:
        rows = next(iter(params[layer.name].values())).shape[0]
        assert rows % gate_count(layer.kind) == 0
        params[layer.name]["bias"] = np.zeros(rows, np.float32)
    return params
