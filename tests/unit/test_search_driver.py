import errno
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import toy_search
from toy_search import evaluator, search

from npuexplore.errors import BadInput, EnvironmentLacking, UsageError
from npuexplore.search.evaluation import Evaluation
from npuexplore.search.pareto import nondominated
from npuexplore.search.space import dominant_structures, plan_keys


def same(left, right):
    arrays = ("objectives", "violations", "front")
    return plan_keys(left.plans) == plan_keys(right.plans) and all(
        np.array_equal(getattr(left, name), getattr(right, name)) for name in arrays
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search that nobody interrupted, and its journal."""
    journal = tmp_path_factory.mktemp("whole") / "journal.log"
    return search(journal), journal


def trial_lines(journal):
    """The whole lines of finished trials."""
    lines = journal.read_bytes().splitlines(keepends=True)
    return [line for line in lines if b'"island"' in line and line.endswith(b"\n")]


def test_a_search_runs_the_trials_asked_for_and_none_twice(whole):
    result, journal = whole
    assert len(result.plans) == 120 == len(trial_lines(journal))
    assert len(set(plan_keys(result.plans))) == 120


def test_the_front_is_what_no_feasible_trial_dominates(whole):
    result, _ = whole
    feasible = np.flatnonzero(result.feasible)
    assert result.front.tolist() == feasible[nondominated(result.objectives[feasible])].tolist()
    assert 0 < len(result.front) < len(feasible) < len(result.plans)


def test_values_in_the_journal_are_those_of_the_plans(whole):
    result, _ = whole
    fresh = evaluator()(result.plans)
    assert np.array_equal(fresh.objectives, result.objectives)
    assert np.array_equal(fresh.violations, result.violations)


def test_every_structure_is_searched_on_its_own(whole):
    result, journal = whole
    islands = [json.loads(line)["user_attrs"]["island"] for line in trial_lines(journal)]
    assert {name: islands.count(name) for name in set(islands)} == {
        "weight": 20,
        "block": 20,
        "unit": 20,
        "mixed": 60,
    }
    structures = dominant_structures(result.plans, toy_search.NETWORK)
    for island in ("weight", "block", "unit"):
        own = {structures[i] for i in range(120) if islands[i] == island}
        assert own <= {island, "dense"}
        assert island in own


def test_the_same_seed_gives_the_same_search_and_another_seed_another(whole, tmp_path):
    result, _ = whole
    assert same(result, search(tmp_path / "again.log"))
    assert not same(result, search(tmp_path / "other.log", seed=4))


def test_a_finished_search_is_read_back_without_evaluating_anything(whole):
    result, journal = whole

    def forbidden(plans):
        raise AssertionError(f"{len(plans)} plans evaluated again")

    assert same(result, search(journal, evaluate=forbidden))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.55, 0.999])
def test_a_journal_cut_in_the_middle_of_a_line_goes_on_to_the_same_result(whole, tmp_path, share):
    result, journal = whole
    content = journal.read_bytes()
    torn = tmp_path / "torn.log"
    torn.write_bytes(content[: int(share * len(content))])
    kept = len(trial_lines(torn))
    stored = []

    def counting(plans):
        stored.append(len(plans))
        return evaluator()(plans)

    assert same(result, search(torn, evaluate=counting))
    assert sum(count for count in stored if count <= 10) == 120 - kept
    assert len(trial_lines(torn)) == 120


def test_a_search_killed_at_work_goes_on_to_the_same_result(whole, tmp_path):
    result, _ = whole
    journal = tmp_path / "killed.log"
    command = [sys.executable, toy_search.__file__, str(journal), "120", "0.02"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (journal.exists() and len(trial_lines(journal)) > 33):
        assert process.poll() is None, "the search ended before it was killed"
        assert time.monotonic() < deadline, "the search does not get on"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = trial_lines(journal)
    assert 33 < len(before) < 120
    assert same(result, search(journal))
    assert trial_lines(journal)[: len(before)] == before


def test_a_full_disk_is_said_and_the_search_goes_on_when_there_is_room(whole, tmp_path, monkeypatch):
    result, _ = whole
    room = 40_000

    def filling(descriptor, data):
        nonlocal room
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = write(descriptor, bytes(data)[:room])
        room -= taken
        return taken

    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", filling)
        with pytest.raises(EnvironmentLacking, match=r"No space left on device.*trials are kept"):
            search(tmp_path / "full.log")
    assert same(result, search(tmp_path / "full.log"))


def test_tpe_drives_a_search_that_resumes_too(tmp_path):
    whole = search(tmp_path / "whole.log", sampler="tpe", trials=40)
    lines = (tmp_path / "whole.log").read_bytes().splitlines(keepends=True)
    (tmp_path / "part.log").write_bytes(b"".join(lines[: len(lines) - 13]))
    assert same(whole, search(tmp_path / "part.log", sampler="tpe", trials=40))


def test_nsga2_gets_better_with_more_trials_than_random_screening_does(tmp_path):
    few, many = search(tmp_path / "a.log", trials=40), search(tmp_path / "b.log", trials=300)
    best = np.concatenate([few.objectives[few.front], many.objectives[many.front]])
    undominated = nondominated(best)
    assert undominated[len(few.front) :].sum() > 2 * undominated[: len(few.front)].sum()


def test_a_space_smaller_than_the_trials_is_searched_completely(tmp_path):
    space = toy_search.space_for(
        toy_search.SpaceSpec(structures=("weight",), sparsity_frac=(0.0, 0.5), weight_bits=(8,)),
        toy_search.NETWORK,
    )
    result = toy_search.run_search(
        space, toy_search.spec(), evaluator(), journal=tmp_path / "small.log", seed=1
    )
    assert len(result.plans) == 2**3


def test_progress_counts_up_to_the_trials(tmp_path):
    told = []
    toy_search.run_search(
        toy_search.SPACE,
        toy_search.spec(trials=40),
        evaluator(),
        journal=tmp_path / "journal.log",
        seed=1,
        on_trials=lambda done, planned: told.append((done, planned)),
    )
    assert told[-1] == (40, 40)
    assert told == sorted(told)


def test_a_journal_of_another_search_is_refused(whole):
    _, journal = whole
    for change in ({"seed": 9}, {"trials": 121}, {"population": 12}, {"context": "another part"}):
        with pytest.raises(UsageError, match="holds another search"):
            search(journal, **change)


def test_a_journal_in_use_is_refused(whole):
    _, journal = whole
    with journal.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(UsageError, match="another process is searching"):
            search(journal)


def test_a_journal_damaged_before_its_end_is_refused_with_its_line(whole, tmp_path):
    _, journal = whole
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[6] = b'{"op_code": 4, "gar\n'
    (tmp_path / "bad.log").write_bytes(b"".join(lines))
    with pytest.raises(BadInput, match=r"bad\.log:7: this line of the search journal is damaged"):
        search(tmp_path / "bad.log")


@pytest.mark.parametrize("content", [b'{"a": 1}\n{"b": 2}\n', b'{"op_code": 99, "worker_id": "x"}\n'])
def test_a_file_that_is_no_journal_is_refused(tmp_path, content):
    (tmp_path / "other.log").write_bytes(content)
    with pytest.raises((BadInput, UsageError), match=r"other\.log: "):
        search(tmp_path / "other.log")


def test_a_journal_that_cannot_be_opened_is_said_to_be_an_environment_fault(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(EnvironmentLacking, match="cannot be opened"):
        search(tmp_path / "folder")


def test_an_objective_that_is_not_finite_is_refused_by_name(tmp_path):
    def broken(plans):
        good = evaluator()(plans)
        return Evaluation(good.objectives * [1.0, np.nan, 1.0], good.violations, good.constraints)

    with pytest.raises(BadInput, match=r"search\.objectives: flash_bytes is not a finite number"):
        search(tmp_path / "journal.log", evaluate=broken, screened_plans=0)


def test_optuna_reads_the_journal_with_constraints_old_and_new(whole):
    import optuna

    _, journal = whole
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        trial = optuna.load_study(study_name="npuexplore", storage=storage).trials[5]
    finally:
        optuna.logging.set_verbosity(level)
    assert {"flash_bytes", "latency_ms"} <= set(trial.constraints)
    assert len(trial.system_attrs["constraints"]) == 2
    assert trial.params["lstm_1.structure"] in ("weight", "block 1x16", "unit")


def test_a_search_is_silent_and_leaves_optunas_logging_as_it_was(tmp_path):
    logger, heard = logging.getLogger("optuna"), []
    listener = logging.Handler()
    listener.emit = heard.append
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(listener)
    try:
        search(tmp_path / "journal.log", trials=10)
        assert logger.level == logging.INFO
    finally:
        logger.removeHandler(listener)
        logger.setLevel(before)
    assert heard == []


def test_importing_the_search_does_not_import_optuna():
    code = "import sys, npuexplore.search; sys.exit('optuna' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_search_leaves_nothing_but_its_journal(whole):
    assert [path.name for path in whole[1].parent.iterdir()] == ["journal.log"]
