import os
import signal
import subprocess
import sys

import pytest
import worker_tasks
from processes import PATIENCE_S, gone_within, is_running

from npuexplore.errors import BadInput, EnvironmentLacking, LimitsNotMet, UsageError
from npuexplore.pipeline.workers import Task, run_tasks


def run(*functions_and_arguments, workers=2, on_message=None):
    """Runs tasks named task-0, task-1, ...; returns what they sent as (name, message)."""
    heard = []
    tasks = [Task(f"task-{i}", function, arg) for i, (function, arg) in enumerate(functions_and_arguments)]
    run_tasks(tasks, workers=workers, on_message=on_message or (lambda *message: heard.append(message)))
    return heard


def test_every_message_of_every_task_arrives_in_its_order():
    heard = run((worker_tasks.count_to, 3), (worker_tasks.count_to, 2))
    assert [message for name, message in heard if name == "task-0"] == [0, 1, 2]
    assert [message for name, message in heard if name == "task-1"] == [0, 1]


def test_one_worker_does_one_task_at_a_time():
    heard = run(*[(worker_tasks.tell_start_and_end, 0.01)] * 2, workers=1)
    assert [message for _, message in heard] == ["start", "end", "start", "end"]


@pytest.mark.parametrize("kind", [BadInput, LimitsNotMet, UsageError])
def test_a_refusal_keeps_its_kind_and_its_sentence(kind):
    with pytest.raises(kind, match=f"^{kind.__name__}: a sentence$"):
        run((worker_tasks.refuse, kind.__name__))


def test_a_full_disk_in_a_worker_is_one_sentence():
    with pytest.raises(EnvironmentLacking, match=r"^task-0: /there: No space left on device; "):
        run((worker_tasks.lack_room, "/there"))


def test_too_little_memory_in_a_worker_is_one_sentence():
    with pytest.raises(EnvironmentLacking, match=r"^task-0: not enough memory; "):
        run((worker_tasks.want_memory, None))


def test_a_bug_in_a_worker_shows_its_traceback():
    with pytest.raises(RuntimeError, match="ZeroDivisionError: of this kind"):
        run((worker_tasks.have_a_bug, None))


def test_a_worker_that_dies_is_named_with_its_exit_code_and_the_others_are_stopped():
    sleepers = []
    with pytest.raises(EnvironmentLacking, match=r"^task-1: its process died \(exit code 9; .* --workers 1"):
        run(
            (worker_tasks.sleep_long, None),
            (worker_tasks.die, 9),
            on_message=lambda _, process_id: sleepers.append(process_id),
        )
    assert not any(is_running(process_id) for process_id in sleepers)


def test_a_worker_that_dies_in_the_middle_of_a_message_is_a_dead_worker():
    with pytest.raises(EnvironmentLacking, match=r"^task-0: its process died"):
        run((worker_tasks.die_while_sending, None))


def test_an_interruption_stops_the_workers(tmp_path):
    def interrupt(_, message):
        assert message == "asleep"
        raise KeyboardInterrupt

    trace = tmp_path / "slept"
    with pytest.raises(KeyboardInterrupt):
        run((worker_tasks.sleep_and_leave_a_trace, str(trace)), on_message=interrupt)
    assert not trace.exists()


def test_a_worker_leaves_interrupts_to_its_parent():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert run((worker_tasks.interrupt_yourself, None)) == [("task-0", "still here")]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_a_worker_has_one_blas_thread_and_the_parent_keeps_its_own(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    assert run((worker_tasks.tell_blas_threads, None)) == [("task-0", "1")]
    assert os.environ["OPENBLAS_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_worker_does_not_outlive_a_killed_parent():
    program = [sys.executable, worker_tasks.__file__]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as parent:
        sleeper = int(parent.stdout.readline())
        assert is_running(sleeper)
        parent.kill()
    assert gone_within(sleeper, PATIENCE_S)
