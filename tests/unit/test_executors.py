"""Who runs trainings: what a user may name, and whether a process elsewhere can work in a folder."""

import sys
from dataclasses import replace

import pytest

from npuexplore.errors import EnvironmentLacking, UsageError
from npuexplore.pipeline import dask_cluster
from npuexplore.pipeline.executors import LocalProcesses, executor_of
from npuexplore.pipeline.shared_folder import meeting_place, what_hinders


@pytest.mark.parametrize("name", [None, "processes"])
def test_without_a_cluster_trainings_run_here(name, tmp_path):
    assert executor_of(name, workers=3, folder=tmp_path) == LocalProcesses(3)


def test_a_cluster_is_named_by_its_scheduler_and_a_folder_by_its_whole_path(inside):
    named = executor_of("tls://lab:8786", workers=3, folder=inside.relative_to(inside))
    assert named == dask_cluster.DaskCluster("tls://lab:8786", inside)


@pytest.mark.parametrize(
    "name",
    ["", "dask", "dask://", "dask://lab", "dask://lab:none", "dask://lab:8786/x", "dask://:8786", "dask://a:0",
     "dask://me:secret@lab:8786", "tcp://lab:8786", "spark://lab:7077", "dask://lab:99999", "dask://[:1"],
)  # fmt: skip
def test_any_other_name_is_refused(name, tmp_path):
    with pytest.raises(UsageError, match=r"^--executor: .*write dask://HOST:PORT"):
        executor_of(name, workers=1, folder=tmp_path)


def test_a_name_that_is_refused_does_not_show_a_password(tmp_path):
    with pytest.raises(UsageError) as caught:
        executor_of("dask://me:secret@lab:8786", workers=1, folder=tmp_path)
    assert "secret" not in str(caught.value)


def test_without_the_extra_nothing_is_begun(monkeypatch, tiny, recordings, inside, cli):
    monkeypatch.setitem(sys.modules, "distributed", None)
    for verb in ("train", "retrain"):
        outcome = cli(verb, tiny, "--data", recordings, "--executor", "dask://lab:8786")
        assert outcome.code == 4
        assert outcome.sentence == (
            '--executor: Dask (distributed) is not installed; run pip install "npuexplore[dask]", or leave '
            "--executor out"
        )
    assert not list(inside.iterdir())


@pytest.mark.parametrize("address", ["dask://127.0.0.1:9", "tls://127.0.0.1:9"])
def test_a_scheduler_that_does_not_answer_is_one_sentence(
    monkeypatch, tiny, recordings, inside, cli, address
):
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 0.2)
    outcome = cli("study", "run", tiny, "--data", recordings, "--executor", address)
    assert outcome.code == 4
    wanted = "no Dask scheduler answers there" if address.startswith("dask") else "no certificates"
    assert wanted in outcome.sentence
    assert not list(inside.iterdir())


def test_a_wrong_name_is_told_before_anything_is_done(tiny, recordings, inside, cli):
    assert cli("study", "run", tiny, "--data", recordings, "--executor", "dask").code == 2
    assert not list(inside.iterdir())


def test_a_process_that_sees_the_folder_and_has_the_versions_can_work_there(tmp_path):
    with meeting_place(tmp_path) as meeting:
        assert what_hinders(meeting) is None
    assert not list(tmp_path.iterdir())


def test_another_version_of_what_decides_the_last_bits_hinders(tmp_path):
    with meeting_place(tmp_path) as meeting:
        for name in ("npuexplore", "python", "numpy", "scipy", "autograd"):
            other = replace(meeting, versions={**meeting.versions, name: "0.0.1"})
            assert f"has {name} {meeting.versions[name]}, and 0.0.1 is asked for" in what_hinders(other)


def test_another_folder_under_the_same_path_hinders(tmp_path):
    with meeting_place(tmp_path / "one") as meeting:
        (tmp_path / "one").rename(tmp_path / "two")
        assert f"does not see {tmp_path / 'one'}; the run directory" in what_hinders(meeting)
        (tmp_path / "two").rename(tmp_path / "one")
        meeting.token.write_text("somebody else's")
        assert "does not see" in what_hinders(meeting)


def test_a_folder_that_cannot_be_written_hinders(tmp_path, monkeypatch):
    def refuse(path, _):
        raise EnvironmentLacking(f"{path}: cannot be written (Read-only file system)")

    with meeting_place(tmp_path) as meeting:
        monkeypatch.setattr("npuexplore.pipeline.shared_folder.write_text", refuse)
        assert what_hinders(meeting) == f"cannot write to {tmp_path}; give it the rights there"
