"""Sensitivities: every case is measured once, whoever measures, wherever it was stopped."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_study

from npuexplore.audio.sources import Recording, Split
from npuexplore.errors import EnvironmentLacking
from npuexplore.pipeline import sensing
from npuexplore.pipeline.checkpoints import TrainedNetwork, write_network
from npuexplore.pipeline.problem import load_problem
from npuexplore.pipeline.quality import Bench, cases_of, measure_sensitivity
from npuexplore.pipeline.row_cache import case_key, kept_rows, known_losses, rows_file
from npuexplore.pipeline.run_directory import RunDirectory
from npuexplore.pipeline.study_job import Request, StudyJob
from npuexplore.search.space import space_for
from npuexplore.train.model import init_params

ROWS = [{"skip_rate_frac": rate, "one_shot_loss_db": 2.0 * rate} for rate in (0.1, 0.2, 0.3)]


@pytest.fixture(scope="module")
def sound():
    voice = Recording("a", "a", tiny_study.syllables(120.0, seconds=2.0), "")
    hiss = Recording("h", "h", 0.1 * np.random.default_rng(3).standard_normal(32_000).astype(np.float32), "")
    split = Split((voice,), (hiss,))
    return SimpleNamespace(read=lambda: SimpleNamespace(validation=split))


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A run in tmp_path/runs that has a baseline, as a function of its name and of changes to the space."""
    monkeypatch.setattr(sensing, "calibration_batch", seen := Spied(sensing.calibration_batch))

    def begin(name, *, workers=1, seed=4, told=None, **space):
        study = tiny_study.write_study(tmp_path / name, space=space)
        problem = load_problem(study)
        run = RunDirectory(tmp_path / "runs" / name)
        params = init_params(problem.network, rng=np.random.default_rng(seed))
        scale = np.ones(problem.network.bands, np.float32)
        write_network(run.baseline, TrainedNetwork(problem.network, params, scale, None, {}))
        request = Request(problem=problem, folder=run.folder, workers=workers)
        progress = [] if told is None else told
        job = StudyJob(
            request,
            run,
            space_for(problem.study.space, problem.network, []),
            {},
            lambda stage, done, total, detail: progress.append((done, total)),
            lambda: 0.0,
        )
        return job

    begin.seen = seen
    return begin


class Spied:
    """A function that counts its calls."""

    def __init__(self, call):
        self.call, self.calls = call, 0

    def __call__(self, *arguments):
        self.calls += 1
        return self.call(*arguments)


def stopping_after(monkeypatch, rows):
    """Lets so many rows be measured, then stops as a full disk would; returns the cases measured."""
    measured, real = [], Bench.measured

    def measure(bench, case):
        if len(measured) == rows:
            raise EnvironmentLacking("stopped")
        measured.append(case_key(case))
        return real(bench, case)

    monkeypatch.setattr(Bench, "measured", measure)
    return measured


def test_the_rows_are_those_of_measuring_in_one_go(begun, sound):
    told = []
    job = begun("whole", told=told)
    rows = sensing.sensitivity_stage(job, sound, job.run.baseline)
    pairs = sensing.calibration_set(job.problem.study, job.problem.network, sound.read())
    geometry = sensing.front_end(job.problem.network)
    network = sensing.read_network(job.run.baseline)
    assert rows == measure_sensitivity(
        network, job.space, sensing.calibration_batch(pairs, geometry), geometry
    )
    assert told == [(done, len(rows)) for done in range(1, len(rows) + 1)]
    assert begun.seen.calls == 2
    assert sensing.sensitivity_stage(job, None, job.run.baseline) == rows


@pytest.mark.parametrize("workers", [2])
def test_how_many_processes_measure_changes_nothing(begun, sound, monkeypatch, workers):
    alone = begun("alone", skip_rate_frac=[0.0, 0.25])
    rows = sensing.sensitivity_stage(alone, sound, alone.run.baseline)
    rows_file(alone.run).unlink()
    monkeypatch.setattr(sensing, "WORTH_A_PROCESS_MACS", 0)
    shared = begun("shared", workers=workers, skip_rate_frac=[0.0, 0.25])
    assert sensing.sensitivity_stage(shared, sound, shared.run.baseline) == rows
    assert begun.seen.calls == 1


def test_a_measurement_that_was_stopped_goes_on_with_what_is_missing(begun, sound, monkeypatch):
    job = begun("stopped")
    with monkeypatch.context() as patch:
        first = stopping_after(patch, 5)
        with pytest.raises(EnvironmentLacking, match="stopped"):
            sensing.sensitivity_stage(job, sound, job.run.baseline)
    with rows_file(job.run).open("a") as stream:
        stream.write('{"row": {"layer": "ls')
    with monkeypatch.context() as patch:
        then = stopping_after(patch, 10_000)
        rows = sensing.sensitivity_stage(job, sound, job.run.baseline)
    assert [*first, *then] == [case_key(row) for row in rows]
    assert [json.loads(line) for line in rows_file(job.run).read_text().splitlines()]


def test_a_wider_space_measures_only_what_is_new(begun, sound, monkeypatch):
    narrow = begun("narrow")
    sensing.sensitivity_stage(narrow, sound, narrow.run.baseline)
    wide = begun("wide", sparsity_frac=[0.0, 0.5, 0.75])
    measured = stopping_after(monkeypatch, 10_000)
    rows = sensing.sensitivity_stage(wide, sound, wide.run.baseline)
    assert {row["sparsity_frac"] for row in rows if case_key(row) in measured} == {0.75}
    assert len(measured) == len(rows) - len(cases_of(narrow.space))


def test_another_baseline_is_measured_anew(begun, sound, monkeypatch):
    one, other = begun("one"), begun("other", seed=5)
    rows = sensing.sensitivity_stage(one, sound, one.run.baseline)
    measured = stopping_after(monkeypatch, 10_000)
    assert sensing.sensitivity_stage(other, sound, other.run.baseline) != rows
    assert len(measured) == len(rows)


def test_other_calibration_sound_or_frames_are_measured_anew(begun, sound):
    job = begun("frames")
    network, path = job.problem.network, job.run.baseline
    pairs = sensing.calibration_set(job.problem.study, network, sound.read())
    hop = network.frame_clock.model_copy(update={"hop_samples": 128})
    later = network.frame_clock.model_copy(update={"deadline_ms": 99.0})
    digests = [
        sensing._measured_on(path, pairs, network, "log_error_ratio"),
        sensing._measured_on(path, pairs[:1], network, "log_error_ratio"),
        sensing._measured_on(path, pairs, network, "si_sdr"),
        sensing._measured_on(path, pairs, network.model_copy(update={"frame_clock": hop}), "log_error_ratio"),
    ]
    assert len(set(digests)) == len(digests)
    patient = network.model_copy(update={"frame_clock": later})
    assert sensing._measured_on(path, pairs, patient, "log_error_ratio") == digests[0]


def test_edited_and_torn_rows_count_as_not_measured(tmp_path):
    run = RunDirectory(tmp_path / "runs" / "one")
    with kept_rows(run, "here", ROWS[:1]) as keep:
        keep(ROWS[1])
        keep(ROWS[2])
    text = rows_file(run).read_text()
    assert known_losses(run, "here") == {case_key(row): row["one_shot_loss_db"] for row in ROWS}
    assert known_losses(run, "elsewhere") == {}
    rows_file(run).write_text(text.replace(": 0.4}", ": 0.1}")[:-30])
    assert known_losses(run, "here") == {case_key(ROWS[0]): 0.2}
    rows_file(run).write_bytes(b"\xff\n")
    assert known_losses(run, "here") == {}


def test_runs_side_by_side_read_each_others_rows(tmp_path):
    with kept_rows(RunDirectory(tmp_path / "one"), "here", ROWS):
        pass
    assert known_losses(RunDirectory(tmp_path / "two"), "here").keys() == {case_key(row) for row in ROWS}
    assert known_losses(RunDirectory(tmp_path / "elsewhere" / "two"), "here") == {}
