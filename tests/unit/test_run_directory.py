import fcntl
import json

import pytest

import npuexplore
from npuexplore.errors import BadInput, EnvironmentLacking, UsageError
from npuexplore.pipeline.run_directory import (
    RunDirectory,
    claim,
    digest,
    is_new,
    read_manifest,
    read_stage,
    sole_writer,
    write_stage,
)

INPUTS = {
    "study": {"name": "tiny", "seed": 1, "search": {"trials": 24}},
    "profile": {"name": "p"},
    "network": {"name": "n"},
    "data": {"kind": "demo"},
}


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "tiny"
    folder.mkdir(parents=True)
    return RunDirectory(folder)


def filled(run):
    """The run claimed, with something of every kind in it."""
    claim(run, INPUTS, fresh=False)
    files = [run.baseline, run.journal, run.results, run.report, run.timings]
    files += [run.pick("knee"), run.training_state("baseline"), run.stage("sensitivity")]
    for path in [*files, run.cache / "segments" / "speech.npy"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return run


def names(run):
    return sorted(path.name for path in run.folder.iterdir())


def test_the_same_inputs_claim_a_run_again_and_change_nothing(run):
    filled(run)
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    claim(run, json.loads(json.dumps(INPUTS)), fresh=False)
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == before


def test_other_inputs_are_refused_and_the_difference_is_named(run):
    filled(run)
    other = {**INPUTS, "study": {"name": "tiny", "seed": 2, "search": {"trials": 48}}}
    with pytest.raises(UsageError) as caught:
        claim(run, other, fresh=False)
    sentence = str(caught.value)
    assert "study.seed: 1 -> 2" in sentence
    assert "study.search.trials: 24 -> 48" in sentence
    assert "--name" in sentence
    assert "--fresh" in sentence
    assert read_manifest(run)["inputs"] == INPUTS


def test_a_key_that_is_new_or_gone_is_a_difference_too(run):
    claim(run, INPUTS, fresh=False)
    with pytest.raises(UsageError, match=r"data\.sha256: null -> .*abc"):
        claim(run, {**INPUTS, "data": {"kind": "demo", "sha256": "abc"}}, fresh=False)
    with pytest.raises(UsageError, match=r"data: .* -> null"):
        claim(run, {key: INPUTS[key] for key in ("study", "profile", "network")}, fresh=False)


def test_a_run_of_another_version_is_refused(run, monkeypatch):
    claim(run, INPUTS, fresh=False)
    before = npuexplore.__version__
    monkeypatch.setattr(npuexplore, "__version__", "99.0")
    with pytest.raises(UsageError, match=rf'npuexplore: "{before}" -> "99\.0"'):
        claim(run, INPUTS, fresh=False)
    claim(run, INPUTS, fresh=True)
    assert read_manifest(run)["npuexplore"] == "99.0"


def test_a_long_difference_is_cut_short(run):
    claim(run, INPUTS, fresh=False)
    with pytest.raises(UsageError) as caught:
        claim(run, dict.fromkeys(INPUTS, "x" * 1_000), fresh=False)
    assert len(str(caught.value)) < 500 + len(str(run.folder))


def test_fresh_removes_what_a_study_made_and_nothing_else(run):
    filled(run)
    (run.folder / "notes.txt").write_text("mine")
    (run.folder / "picks" / "knee.npz").chmod(0o444)
    claim(run, {**INPUTS, "data": {"kind": "other"}}, fresh=True)
    assert names(run) == ["manifest.json", "notes.txt"]
    assert read_manifest(run)["inputs"]["data"] == {"kind": "other"}


def test_fresh_leaves_what_a_linked_folder_holds(run, tmp_path):
    filled(run)
    elsewhere = tmp_path / "elsewhere"
    run.cache.rename(elsewhere)
    run.cache.symlink_to(elsewhere, target_is_directory=True)
    claim(run, INPUTS, fresh=True)
    assert names(run) == ["manifest.json"]
    assert (elsewhere / "segments" / "speech.npy").is_file()


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_with_other_things_is_never_taken(run, fresh):
    (run.folder / "picks").mkdir()
    (run.folder / "picks" / "holiday.jpg").write_text("mine")
    with pytest.raises(UsageError, match="holds 'picks' but no run of a study"):
        claim(run, INPUTS, fresh=fresh)
    assert (run.folder / "picks" / "holiday.jpg").is_file()
    assert not run.manifest.exists()


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema": "npuexplore.run/1"}', '{"schema": "app", "inputs": {}, "sha256": ""}']
)
def test_a_torn_or_foreign_manifest_is_refused_and_its_folder_left_alone(run, text, fresh):
    filled(run)
    run.manifest.write_text(text)
    with pytest.raises(BadInput, match="not a whole run manifest"):
        claim(run, INPUTS, fresh=fresh)
    assert run.baseline.exists()


def test_an_edited_manifest_is_refused(run):
    filled(run)
    document = json.loads(run.manifest.read_text())
    document["inputs"]["study"]["seed"] = 7
    run.manifest.write_text(json.dumps(document))
    with pytest.raises(BadInput, match="not a whole run manifest"):
        read_manifest(run)


def test_a_folder_without_a_manifest_is_no_run(run):
    with pytest.raises(BadInput, match=r"no run directory \(manifest.json is missing\)"):
        read_manifest(run)
    assert is_new(run)


def test_a_first_claim_that_was_killed_leaves_a_new_run(run):
    (run.folder / ".manifest.json.abc.part").write_text("{")
    assert is_new(run)


def test_a_second_writer_gets_one_sentence(run):
    with (
        sole_writer(run),
        pytest.raises(UsageError, match="another process is running this study"),
        sole_writer(run),
    ):
        raise AssertionError


def test_a_lock_that_was_removed_meanwhile_counts_as_held(run, monkeypatch):
    flock = fcntl.flock

    def removed_in_between(stream, operation):
        (run.folder / ".lock").unlink()
        flock(stream, operation)

    monkeypatch.setattr(fcntl, "flock", removed_in_between)
    with pytest.raises(UsageError, match="another process is running"), sole_writer(run):
        raise AssertionError


def test_a_run_in_which_nothing_was_begun_is_removed(run):
    with pytest.raises(BadInput, match="the data"), sole_writer(run):
        raise BadInput("the data are bad")
    assert not run.folder.exists()
    assert run.folder.parent.is_dir()


def test_a_runs_folder_made_for_nothing_is_removed_too(tmp_path):
    with sole_writer(RunDirectory(tmp_path / "new" / "tiny")):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_begun_stays(run):
    with sole_writer(run):
        claim(run, INPUTS, fresh=False)
    assert names(run) == [".lock", "manifest.json"]


def test_half_written_files_of_a_killed_writer_are_swept_up(run):
    filled(run)
    litter = run.folder / "picks" / ".knee.npz.x1y2.part"
    litter.write_text("half")
    with sole_writer(run):
        assert not litter.exists()
    assert run.pick("knee").exists()


def test_in_a_foreign_folder_nothing_is_swept_up(run):
    (run.folder / ".download.part").write_text("mine")
    with sole_writer(run):
        pass
    assert (run.folder / ".download.part").exists()


def test_a_run_folder_below_a_file_is_one_sentence(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with (
        pytest.raises(EnvironmentLacking, match="cannot be written"),
        sole_writer(RunDirectory(tmp_path / "runs" / "tiny")),
    ):
        raise AssertionError


def test_a_file_system_without_locks_is_one_sentence(run, monkeypatch):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(EnvironmentLacking, match="No locks available"), sole_writer(run):
        raise AssertionError


def test_a_stage_comes_back_as_it_was_written(run):
    write_stage(run, "sensitivity", {"rows": [{"layer": "lstm_1", "one_shot_loss_db": 0.25}]})
    assert read_stage(run, "sensitivity") == {"rows": [{"layer": "lstm_1", "one_shot_loss_db": 0.25}]}


@pytest.mark.parametrize(
    "text", [None, "", '{"sha256": "0", "content": {', "[1]", "{}", '{"content": {}}', "3"]
)
def test_a_stage_that_is_torn_or_missing_is_not_finished(run, text):
    run.stage("sensitivity").parent.mkdir()
    if text is not None:
        run.stage("sensitivity").write_text(text)
    assert read_stage(run, "sensitivity") is None


def test_a_stage_that_was_edited_is_not_finished(run):
    write_stage(run, "sensitivity", {"rows": [0.25]})
    run.stage("sensitivity").write_text(run.stage("sensitivity").read_text().replace("0.25", "0.24"))
    assert read_stage(run, "sensitivity") is None


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [2, "ü"]}) == digest({"b": [2, "ü"], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
