"""The main job from the command line, small: what it leaves, and that it survives being killed."""

import json
import os
import platform
import shutil
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from command_line import output_of, program, run_program
from processes import PATIENCE_S, marked, none_within

from npuexplore.compression.plan import CompressionPlan
from npuexplore.compression.quantize import integer_weights
from npuexplore.pipeline.checkpoints import read_network
from npuexplore.report.page import render_page

TOTALS = {
    "macs", "kept_macs", "cycles", "latency_ms", "mean_latency_ms", "flash_bytes", "sram_bytes",
    "weight_bytes", "energy_uj", "average_power_mw", "real_time_factor",
    "cycles_interval", "latency_ms_interval",
}  # fmt: skip


@pytest.fixture(scope="module")
def results(finished):
    return json.loads((finished / "results.json").read_text())


def snapshot(folder):
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_finished_run_holds_results_report_and_networks_and_nothing_half_done(finished, results):
    picks = {f"picks/{pick['name']}.npz" for pick in results["picks"]}
    stages = {
        f"stages/evaluation-{name}.json" for name in ["baseline", *(p["name"] for p in results["picks"])]
    }
    curves = {f"curves/{name}.csv" for name in ["baseline", *(pick["name"] for pick in results["picks"])]}
    assert set(snapshot(finished)) == {
        ".lock", "manifest.json", "timings.json", "search.log", "stages/sensitivity.json",
        "stages/sensitivity-rows.jsonl",
        "stages/search.json", "baseline.npz", "results.json", "report.html", *picks, *stages, *curves,
    }  # fmt: skip


def test_a_study_leaves_alone_what_it_reserves(finished, results):
    memories, mode = results["profile"]["memories"], results["profile"]["memory_modes"]["weights_in_flash"]
    limits = {
        "flash_bytes": memories[mode["storage"]]["capacity_bytes"] - 100_000,
        "sram_bytes": memories[mode["activations"]]["capacity_bytes"] - 20_000,
        "latency_ms": 16.0 / 2,
    }
    assert {name: results["limits"][name] for name in limits} == limits
    for point in results["front"]:
        assert all(point["estimates"][name] <= limit for name, limit in limits.items())
    sentence = "kept for what else runs on the part: 100,000 bytes of flash, 20,000 bytes of SRAM, 0.5 of the"
    assert any(assumption.startswith(sentence) for assumption in results["assumptions"])
    assert sentence in (finished / "report.html").read_text()


def test_results_have_the_documented_keys(results):
    assert results["schema"] == "npuexplore.results/1"
    assert set(results) >= {
        "study", "profile", "network", "data", "environment", "seeds", "engine", "search", "objectives",
        "evaluations",
        "baseline", "sensitivity", "front", "picks", "agreement",
    }  # fmt: skip
    assert set(results["baseline"]["estimates"]) == TOTALS
    for point in results["front"]:
        assert set(point) >= {"id", "plan", "estimates", "quality_loss_db", "feasible", "knee", "pick"}
        assert set(point["estimates"]) == TOTALS
    for pick in results["picks"]:
        assert set(pick) >= {
            "name",
            "why",
            "structure",
            "plan",
            "estimates",
            "fits",
            "layers",
            "predicted",
            "achieved",
            "steps",
            "checkpoint",
        }
        assert set(pick["achieved"]["quality"]["unseen"]) == set(results["baseline"]["quality"]["unseen"])
        assert pick["checkpoint"] == f"picks/{pick['name']}.npz"


def test_every_pick_is_on_the_disk_as_its_plan_says(finished, results):
    for pick in results["picks"]:
        trained = read_network(finished / pick["checkpoint"])
        assert trained.plan == CompressionPlan.model_validate_json(json.dumps(pick["plan"]))
        integers = integer_weights(trained.params, trained.plan, trained.network)
        for layer in (layer for layer in pick["layers"] if "zeros_frac" in layer):
            matrices = integers[layer["name"]]
            for name, (steps, scale) in matrices.items():
                rows = trained.params[layer["name"]][name].reshape(np.size(scale), -1)
                np.testing.assert_allclose(
                    rows, steps.reshape(rows.shape) * np.reshape(scale, (-1, 1)), atol=1e-6
                )
            kept = sum(int(np.count_nonzero(steps)) for steps, _ in matrices.values())
            size = sum(steps.size for steps, _ in matrices.values())
            assert layer["kept_weights"] == kept
            if layer["structure"] in ("weight", "block"):
                assert kept <= size * (1.0 - layer["sparsity_frac"]) + 1


def test_every_structure_has_a_pick_or_a_sentence_why_not(results):
    structures = {pick["structure"] for pick in results["picks"]}
    explained = {
        name for name in ("weight", "block", "unit") if any(name in text for text in results["missing"])
    }
    assert structures | explained >= {"weight", "block", "unit"}
    assert structures
    assert not structures & explained


def test_neither_results_nor_report_tell_where_when_or_by_whom(finished):
    for name in ("results.json", "report.html"):
        text = (finished / name).read_text()
        for secret in (
            "pytest-of-",
            "study.yaml",
            "net.yaml",
            str(Path.home()) + "/",
            f'"{platform.node()}"',
        ):
            assert secret not in text
        assert f"{datetime.now(UTC):%Y-%m-%d}" not in text
    timings = json.loads((finished / "timings.json").read_text())
    assert set(timings["seconds"]) == {
        "data", "baseline", "sensitivity", "search", "proof", "retraining", "evaluation"
    }  # fmt: skip


@pytest.fixture
def own_run(finished, tmp_path):
    """A copy of the finished run, for a test that starts it: a run belongs to one process at a time."""
    return Path(shutil.copytree(finished, tmp_path / "runs" / finished.name))


def test_a_second_run_returns_at_once_and_touches_nothing(own_run, tiny, recordings, cli):
    before = snapshot(own_run)
    outcome = cli("study", "run", tiny, "--data", recordings, "--runs", own_run.parent)
    assert outcome.code == 0
    assert f"Report: {own_run / 'report.html'}" in outcome.err
    assert snapshot(own_run) == before


def test_json_of_a_finished_run_is_its_results_and_nothing_else(own_run, results, tiny, recordings, cli):
    for verb in (("run", tiny, "--runs", own_run.parent), ("resume", own_run)):
        outcome = cli("study", *verb, "--data", recordings, "--json")
        assert outcome.code == 0
        assert json.loads(outcome.out) == results


def test_the_state_of_a_finished_run_is_finished(finished, cli):
    document = json.loads(cli("study", "status", finished, "--json").out)
    assert document["schema"] == "npuexplore.status/1"
    assert document["finished"] is True
    assert "to do" not in document["stages"].values()


def test_a_report_is_drawn_again_from_the_results(finished, results, tmp_path, cli):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    (copy / "report.html").unlink()
    assert cli("report", copy).code == 0
    assert (copy / "report.html").read_bytes() == (finished / "report.html").read_bytes()
    assert (copy / "report.html").read_text() == render_page(results)


def test_the_run_of_another_study_is_refused_with_the_difference(own_run, tiny, recordings, tmp_path, cli):
    text = tiny.read_text().replace("trials: 24", "trials: 25")
    (tmp_path / "study.yaml").write_text(text)
    shutil.copy(tiny.parent / "net.yaml", tmp_path)
    before = snapshot(own_run)
    outcome = cli("study", "run", tmp_path / "study.yaml", "--data", recordings, "--runs", own_run.parent)
    assert outcome.code == 2
    assert "study.search.trials: 24 -> 25" in outcome.sentence
    assert snapshot(own_run) == before


def test_the_run_of_other_data_is_refused_with_the_difference(own_run, tiny, recordings, tmp_path, cli):
    shutil.copytree(recordings, tmp_path / "data")
    (tmp_path / "data" / "noise" / "hiss_3.wav").rename(tmp_path / "data" / "noise" / "hiss_4.wav")
    outcome = cli("study", "run", tiny, "--data", tmp_path / "data", "--runs", own_run.parent)
    assert outcome.code == 2
    assert "data.sha256" in outcome.sentence


def test_stages_of_a_finished_run_have_nothing_to_do(own_run, tiny, recordings, cli):
    before = snapshot(own_run)
    for verb in ("train", "search", "retrain"):
        assert cli(verb, tiny, "--data", recordings, "--runs", own_run.parent).code == 0
    assert snapshot(own_run) == before


def test_picks_can_be_heard_and_scored(own_run, recordings, inside, cli):
    source = recordings / "speech" / "anna_0.wav"
    outcome = cli("enhance", "tiny:baseline", source, "out.wav", "--runs", own_run.parent)
    assert outcome.code == 0
    assert (inside / "out.wav").stat().st_size == source.stat().st_size
    for name in ("clean", "noisy"):
        (inside / name).mkdir()
        shutil.copy(source, inside / name / "a.wav")
    scored = cli("evaluate", f"{own_run}:baseline", "--clean", "clean", "--noisy", "noisy", "--json")
    document = json.loads(scored.out)
    assert [item["name"] for item in document["files"]] == ["a"]
    assert document["mean"]["sdr_in_db"] == 100.0


def wait_for(path, process, seconds=60):
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.002)


def test_a_run_killed_after_its_baseline_goes_on_without_it_and_ends_in_the_same_bytes(
    finished, tiny, recordings, tmp_path
):
    command = ("study", "run", tiny, "--data", recordings, "--runs", tmp_path, "--workers", "1")
    mark = f"kill-{tmp_path.name}"
    killed = program(*command, environment={"NPUEXPLORE_TEST": mark})
    run = tmp_path / "tiny"
    wait_for(run / "baseline.npz", killed)
    assert marked(mark)
    killed.kill()
    killed.communicate()
    assert none_within(lambda: marked(mark), seconds=PATIENCE_S)
    baseline = snapshot(run)["baseline.npz"]
    assert run_program(*command).code == 0
    assert snapshot(run)["baseline.npz"] == baseline
    for name in ("results.json", "report.html", "baseline.npz"):
        assert (run / name).read_bytes() == (finished / name).read_bytes()


def test_ctrl_c_is_one_sentence_and_leaves_no_process(tiny, recordings, tmp_path):
    mark = f"interrupt-{tmp_path.name}"
    process = program(
        "study", "run", tiny, "--data", recordings, "--runs", tmp_path,
        environment={"NPUEXPLORE_TEST": mark}, start_new_session=True,
    )  # fmt: skip
    wait_for(tmp_path / "tiny" / "cache", process)
    os.killpg(process.pid, signal.SIGINT)
    outcome = output_of(process)
    assert outcome.code == 130
    assert outcome.sentence == "interrupted; the same command goes on where it stopped"
    assert none_within(lambda: marked(mark), seconds=PATIENCE_S)
