"""`profile check`: what is doubtful about a profile of the right form, with the line it stands in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from npuexplore.hardware.lint import check_located, check_profile
from npuexplore.hardware.load import load_located, load_profile

On = Callable[[str, str], Path]
EVERYTHING = (
    "[clock_hz, peak_ops_per_s, engine, memories, memory_modes, front_end, fallback_cpu, runtime, energy]"
)
BASES = {"m7": "stm32f746", "npu": "micronpu-block16"}
MODE = "memory_modes: {weights_in_sram: "
NO_ENERGY_APART = """
memories: {sram: {pj_per_byte: 0.0}, flash: {pj_per_byte: 0.0}}
energy: {pj_per_mac: 0.0}
"""
NO_LSTM = "engine: {runs: [dense, relu]}\n"
ROM = "memories: {rom: {kind: flash, capacity_bytes: 2048, bytes_per_cycle: 1.0}}\n"
CPU = (
    "fallback_cpu: {core: m33, cycles_per_mac: 3.0, cycles_per_lut_elem: 50.0, "
    "cycles_per_elementwise_op: 5.0, cycles_per_handover: 500"
)


@pytest.fixture
def on(tmp_path: Path) -> On:
    """A profile that changes a shipped one by a few lines, every figure of it with a source."""

    def writer(base: str, lines: str) -> Path:
        path = tmp_path / "mine.yaml"
        sources = f"sources:\n  - {{of: {EVERYTHING}, source: assumed, cite: a test}}\n"
        head = f"schema: npuexplore.profile/1\nname: mine\nbased_on: [{BASES[base]}]\n"
        path.write_text(head + lines + sources)
        return path

    return writer


@pytest.mark.parametrize(
    ("base", "lines", "finding"),
    [
        ("m7", "", None),
        ("m7", "memories: {flash: {bytes_per_cycle: 64.0}}\n", "memories.flash.bytes_per_cycle: flash at 64"),
        ("m7", "clock_hz: 216000\n", "clock_hz: 216000 is outside 1 MHz to 3 GHz"),
        ("m7", "runtime: {stack_bytes: 400000}\n", "runtime.stack_bytes leaves nothing of sram"),
        ("m7", "runtime: {code_bytes: 600000}\n", "runtime.code_bytes leaves nothing of flash"),
        ("m7", MODE + "{storage: sram}}\n", "is SRAM and forgets"),
        ("m7", MODE + "{activations: flash}}\n", "cannot be written"),
        ("m7", MODE + "{network_io: flash}}\n", "network_io: flash is flash"),
        ("m7", MODE + "{staging: sram}}\n", "weights are read from sram anyway"),
        ("m7", MODE + "{arena_limit_bytes: 999999}}\n", "more than sram holds"),
        ("m7", MODE + "{arena_limit_bytes: 100000}}\n", None),
        ("m7", ROM, "memories.rom: no memory mode uses it"),
        ("m7", "engine: {ratios: {product: 0.2}}\n", "engine.ratios.product: 0.2 of what CMSIS-NN takes"),
        ("m7", "engine: {ratios: {product: 0.5, sparse: 2.0}}\n", None),
        ("m7", "peak_ops_per_s: 1000000000.0\n", None),
        ("npu", "engine: {map_bits_per_granule: 0}\n", "0 bits cannot say"),
        ("npu", "engine: {formats: [block_index], index_bits_per_stored_granule: 0}\n", "0 bits cannot"),
        ("npu", "engine: {block_row_outputs: 1}\n", None),
        ("npu", "engine: {granule: [16, 16]}\n", "more than block_row_outputs"),
        ("npu", "engine: {sparsity_mode: compress_only, formats: [dense]}\n", "smaller than dense"),
        ("npu", "engine: {decoded_bytes_per_cycle: 129.0}\n", "129 weights decoded for 128 MACs"),
        ("npu", "engine: {weight_rates: [{weight_bits: 4, mac_rate_factor: 3.0}]}\n", "than 8 bits over 4"),
        ("npu", "engine: {weight_rates: [{weight_bits: 4, mac_rate_factor: 2.0}]}\n", None),
        ("npu", "engine: {lut_elems_per_cycle: 500.0}\n", "more than the 128 MACs"),
        ("npu", NO_LSTM, "engine.runs: without conv1x1, lstm, gru, sigmoid, tanh, and there is no"),
        ("npu", NO_LSTM + CPU + "}\n", None),
        ("npu", CPU + "}\n", "fallback_cpu: never used"),
        ("npu", NO_LSTM + CPU + ", engine_cycles_per_cpu_cycle: 0.002}\n", "0.002 engine cycles in a CPU"),
        ("npu", NO_LSTM + CPU.replace("3.0", "0.001") + "}\n", "faster than the engine itself"),
        ("npu", "peak_ops_per_s: 51200000000.0\n", None),
        ("npu", "peak_ops_per_s: 600000000000.0\n",
         "peak_ops_per_s: 600 GOPS stated, but 128 MACs per cycle at 200 MHz are 51.2 GOPS"),
        ("npu", "memories: {flash: {read_latency_cycles: 900000}}\n", "4.5 ms is longer than any"),
        ("npu", "memories: {flash: {burst_bytes: 24}}\n", "24 is no power of two"),
        ("npu", "memories: {flash: {burst_bytes: 2}}\n", "2 is less than one cycle moves"),
        ("npu", "memories: {sram: {bytes_per_cycle: 4096.0}}\n", "wider than any bus"),
        ("npu", "memories: {flash: {pj_per_byte: 1.0}}\n", "costs less than an SRAM byte"),
        ("npu", "memories: {sram: {pj_per_byte: 0.0}}\n", "0 is no energy"),
        ("npu", "energy: {pj_per_mac: 0.0}\n", "0 is no energy"),
        ("npu", NO_ENERGY_APART, None),
        ("npu", "energy: {idle_power_mw: 20.0}\n", "is more than active_power_mw"),
        ("npu", "front_end: {engine_cycles_per_cpu_cycle: 900.0}\n", "900 engine cycles in a CPU"),
    ],
)  # fmt: skip
def test_doubtful_physics_is_found(on: On, base: str, lines: str, finding: str | None) -> None:
    findings = check_profile(load_profile(on(base, lines)))

    assert any(finding in sentence for sentence in findings) if finding else findings == []


def test_a_finding_names_file_line_and_key(on: On) -> None:
    path = on("m7", "clock_hz: 100000000\nmemories:\n  flash:\n    bytes_per_cycle: 64.0\n")

    assert [str(finding) for finding in check_located(load_located(path))][:1] == [
        f"{path}:7: memories.flash.bytes_per_cycle: flash at 64 is faster than the SRAM at 8"
    ]


def test_a_source_that_speaks_of_nothing_is_found(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    entry = "sources:\n  - of: [memories.rom]\n    source: assumed\n    cite: a test\n"
    path.write_text(f"schema: npuexplore.profile/1\nname: mine\nbased_on: [stm32f746]\n{entry}")

    (finding,) = check_located(load_located(path))

    assert finding.problem == "memories.rom is no key of this profile"
    assert (finding.file, finding.line) == (str(path), 5)


def test_a_figure_changed_under_the_source_of_another_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("schema: npuexplore.profile/1\nname: mine\nbased_on: [stm32f746]\nclock_hz: 100000000\n")

    (finding,) = check_located(load_located(path))

    assert (finding.file, finding.line, finding.key) == (str(path), 4, "clock_hz")
    assert "stm32f746.yaml; add an entry to sources" in finding.problem
