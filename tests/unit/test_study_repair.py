"""`study repair`: what it finds in a run, what it does about it, and that no finished trial is lost."""

import fcntl
import json
import os
import random

import pytest
import toy_search
from toy_search import search

from npuexplore.errors import BadInput, UsageError
from npuexplore.pipeline.repair import repair_run
from npuexplore.pipeline.run_directory import RunDirectory, claim
from npuexplore.search.journal_repair import repair_journal
from npuexplore.search.record import Trial, open_record
from npuexplore.search.storage import quiet_optuna

STUDY = {"directions": ["minimize"] * 2, "fingerprint": "f"}


def trials(count):
    return [
        Trial(n, "mixed", n // 2, {"bits": 4 + 4 * (n % 2)}, (1.0 + n, 2.0), (-0.1,)) for n in range(count)
    ]


def journal_of(path, count):
    from optuna.distributions import CategoricalDistribution

    with open_record(path, **STUDY) as record:
        record.store(
            trials(count), distributions={"bits": CategoricalDistribution([4, 8])}, constraint_names=["flash"]
        )
    return path


def finished(path):
    with open_record(path, **STUDY) as record:
        return record.finished_trials()


def append(path, content):
    path.write_bytes(path.read_bytes() + content)


def lines_of(path):
    return path.read_bytes().splitlines(keepends=True)


@pytest.fixture
def run(tmp_path):
    """A run directory with a search of five trials."""
    run = RunDirectory(tmp_path / "tiny")
    run.folder.mkdir()
    claim(run, {"study": {"name": "tiny"}}, fresh=False)
    journal_of(run.journal, 5)
    return run


def contents(run):
    return {path.name: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}


def test_a_whole_run_needs_no_repair_and_is_left_as_it_is(run):
    before = contents(run)
    assert repair_run(run.folder)["repairs"] == []
    assert {**contents(run), ".lock": b""} == {**before, ".lock": b""}


def kept_of(whole, length):
    """What should be left of a journal that was cut to a length: every entry whose last brace is there."""
    ends = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n") and at <= length]
    return whole[: ends[-1]]


def cuts(whole, step):
    """Lengths that cut a journal somewhere in its last three records."""
    last = sum(map(len, whole.splitlines(keepends=True)[-3:]))
    return range(len(whole) - last, len(whole) + 1, step)


def test_repair_keeps_every_whole_record_wherever_a_journal_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    whole, torn = journal_of(tmp_path / "whole.log", 5).read_bytes(), tmp_path / "torn.log"
    for length in cuts(whole, 1):
        torn.write_bytes(whole[:length])
        said = repair_journal(torn, salvage=False, dry_run=False)
        assert torn.read_bytes() == kept_of(whole, length)
        assert len(said) == (len(kept_of(whole, length)) < length)


def test_opening_keeps_every_whole_record_wherever_a_journal_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    whole, torn = journal_of(tmp_path / "whole.log", 5).read_bytes(), tmp_path / "torn.log"
    for length in [*cuts(whole, 11), len(whole) - 1]:
        torn.write_bytes(whole[:length])
        count = kept_of(whole, length).count(b'"island"')
        assert finished(torn) == trials(5)[:count]
        assert torn.read_bytes() == kept_of(whole, length)


def test_a_torn_end_is_cut_off_and_said(run):
    whole = run.journal.read_bytes()
    run.journal.write_bytes(whole + b'{"op_code":4,"wor')
    assert repair_run(run.folder)["repairs"] == [f"{run.journal}: cut off a torn end of 17 bytes"]
    assert run.journal.read_bytes() == whole


def test_half_written_files_are_removed_and_said(run):
    (run.folder / "picks").mkdir()
    litter = run.folder / "picks" / ".knee.npz.abc.part"
    litter.write_text("half")
    assert repair_run(run.folder)["repairs"] == [f"{litter}: removed, written by half"]
    assert not litter.exists()


def running(path, count):
    with open_record(path, **STUDY) as record:
        for _ in range(count):
            record.study.ask()


def test_trials_of_a_dead_process_become_failed_ones(run):
    from optuna.trial import TrialState

    running(run.journal, 2)
    (said,) = repair_run(run.folder)["repairs"]
    assert said == f"{run.journal}: 2 trials left running by a dead process now failed"
    assert repair_run(run.folder)["repairs"] == []
    with open_record(run.journal, **STUDY) as record:
        assert record.finished_trials() == trials(5)
        assert [trial.state for trial in record.study.trials[5:]] == [TrialState.FAIL] * 2


def test_a_dry_run_says_the_same_and_changes_nothing(run):
    running(run.journal, 1)
    append(run.journal, b"torn")
    (run.folder / ".results.json.x.part").write_text("half")
    before = contents(run)
    said = repair_run(run.folder, dry_run=True)
    assert contents(run) == before
    assert said["dry_run"]
    assert said["repairs"] == repair_run(run.folder)["repairs"]
    assert len(said["repairs"]) == 3


def damage(path, *numbers):
    lines = lines_of(path)
    for number in numbers:
        lines[number - 1] = lines[number - 1][:60] + b"\x00\r\xff" + lines[number - 1][63:]
    path.write_bytes(b"".join(lines))


def test_damaged_lines_are_named_and_nothing_is_done_without_being_asked(run):
    damage(run.journal, 4, 6)
    append(run.journal, b"torn")
    before = run.journal.read_bytes()
    with pytest.raises(
        BadInput, match=r"search\.log: damaged in lines 4, 6; `--salvage` keeps 3 finished trials "
    ):
        repair_run(run.folder)
    assert run.journal.read_bytes() == before


def test_salvage_keeps_a_copy_and_every_trial_of_whole_generations(run):
    damage(run.journal, 6)
    before = run.journal.read_bytes()
    (said,) = repair_run(run.folder, salvage=True)["repairs"]
    assert said.startswith(
        f"{run.journal}: 1 damaged line removed, 4 finished trials kept; search.log.damaged "
    )
    assert (run.folder / "search.log.damaged").read_bytes() == before
    assert [trial.objectives[0] for trial in finished(run.journal)] == [1.0, 2.0, 3.0, 5.0]
    damage(run.journal, 3)
    repair_run(run.folder, salvage=True)
    assert (run.folder / "search.log.damaged").read_bytes() == before
    assert (run.folder / "search.log.damaged-2").exists()


def test_a_line_that_was_appended_to_a_torn_one_is_not_lost(run):
    lines = lines_of(run.journal)
    remark = b'{"op_code":2,"worker_id":"dashboard","study_id":0,"user_attr":{"remark":"good"}}\n'
    run.journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:50] + remark + lines[-1])
    repair_run(run.folder, salvage=True)
    with open_record(run.journal, **STUDY) as record:
        assert record.study.user_attrs["remark"] == "good"


def test_where_a_generation_cannot_be_read_both_of_its_neighbours_are_searched_again(run):
    lines = lines_of(run.journal)
    run.journal.write_bytes(b"".join(lines[:-2]) + lines[-2][:50] + b"\n" + lines[-1])
    repair_run(run.folder, salvage=True)
    assert [trial.objectives[0] for trial in finished(run.journal)] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("line", [1, 2])
def test_without_the_head_of_a_journal_the_search_starts_again(run, line):
    damage(run.journal, line)
    (said,) = repair_run(run.folder, salvage=True)["repairs"]
    assert "0 finished trials kept" in said
    assert finished(run.journal) == []


def test_trials_keep_their_numbers_where_later_entries_name_them(tmp_path):
    import optuna

    path = tmp_path / "search.log"
    with open_record(path, **STUDY) as record:
        for number in range(4):
            trial = record.study.ask({"x": optuna.distributions.IntDistribution(0, 9)})
            record.study.tell(trial, [float(number), trial.params["x"]])
    lines = lines_of(path)
    made = [number for number, line in enumerate(lines, start=1) if b'"op_code":4' in line]
    damage(path, made[1])
    before = {trial.number: trial.values for trial in told(tmp_path, b"".join(lines))}
    repair_journal(path, salvage=True, dry_run=False)
    assert {trial.number: trial.values for trial in told(tmp_path, path.read_bytes())} == {
        number: values for number, values in before.items() if number != 1
    }


def told(folder, content):
    (folder / "look.log").write_bytes(content)
    with open_record(folder / "look.log", **STUDY) as record, quiet_optuna():
        return [trial for trial in record.study.trials if trial.state.name == "COMPLETE"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search that nobody interrupted, and its journal."""
    journal = tmp_path_factory.mktemp("whole") / "journal.log"
    return search(journal), journal


@pytest.mark.parametrize("seed", range(4))
def test_a_search_goes_on_from_a_salvaged_journal_to_the_same_result(whole, tmp_path, seed):
    result, journal = whole
    torn = tmp_path / "torn.log"
    torn.write_bytes(journal.read_bytes())
    damage(torn, *random.Random(seed).sample(range(5, 120), 1 + seed))
    repair_journal(torn, salvage=True, dry_run=False)
    again = search(torn)
    assert again.front_sha256 == result.front_sha256
    assert (again.objectives == result.objectives).all()
    assert (search(torn, evaluate=toy_search.evaluator()).objectives == result.objectives).all()


def test_a_run_in_use_is_not_touched(run):
    before = run.journal.read_bytes()
    with run.journal.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(UsageError, match="another process is searching"):
            repair_run(run.folder)
    assert run.journal.read_bytes() == before


def test_a_folder_that_is_no_run_is_refused_and_stays_as_it_is(tmp_path):
    with pytest.raises(BadInput, match=r"manifest\.json is missing"):
        repair_run(tmp_path / "absent")
    assert os.listdir(tmp_path) == []


def test_notes_in_a_run_are_no_journals(run):
    (run.folder / "notes.log").write_text("half a line")
    assert repair_run(run.folder)["repairs"] == []
    assert (run.folder / "notes.log").read_text() == "half a line"


def test_the_journal_of_every_round_is_mended(run):
    journal_of(run.folder / "search-2.log", 2)
    append(run.folder / "search-2.log", b"torn")
    assert repair_run(run.folder)["repairs"] == [
        f"{run.folder / 'search-2.log'}: cut off a torn end of 4 bytes"
    ]


def test_the_verb_prints_a_line_for_each_repair_or_a_document(run, cli):
    assert cli("study", "repair", run.folder).out == f"{run.folder}: nothing to repair\n"
    append(run.journal, b"torn")
    said = cli("study", "repair", run.folder, "--json", "--dry-run")
    assert json.loads(said.out)["repairs"] == [f"{run.journal}: cut off a torn end of 4 bytes"]
    assert cli("study", "repair", run.folder).out == f"{run.journal}: cut off a torn end of 4 bytes\n"
    damage(run.journal, 5)
    refused = cli("study", "repair", run.folder)
    assert refused.code == 3
    assert "damaged in line 5" in refused.err
