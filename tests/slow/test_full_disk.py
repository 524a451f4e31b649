"""A disk that is full ends a search with one sentence; with room again it goes on from what was finished."""

import pytest
from search_lives import born, open_search, place, refused, search_alone
from toy_search import search

from npuexplore.search.record import open_record

TRIALS = 40


def refusal(tmp_path, life, full_bytes, *arguments):
    process = born(refused, life, str(tmp_path / "said"), full_bytes, arguments)
    process.join(300)
    assert process.exitcode == 4
    return (tmp_path / "said").read_text()


def test_a_journal_on_a_full_disk(tmp_path):
    whole = search(tmp_path / "whole.log", trials=TRIALS)
    journal = tmp_path / "search.log"
    sentence = refusal(tmp_path, search_alone, 40_000, str(journal), TRIALS)
    assert "cannot be written" in sentence
    assert "\n" not in sentence
    assert 10_000 < journal.stat().st_size <= 40_000
    assert search(journal, trials=TRIALS).front_sha256 == whole.front_sha256


@pytest.mark.parametrize("full_bytes", [20_000, 180_000, 200_000], ids=["at once", "soon", "later"])
def test_a_shared_database_on_a_full_disk(tmp_path, full_bytes):
    url = f"sqlite:///{tmp_path}/search.db"
    sentence = refusal(tmp_path, open_search, full_bytes, url, TRIALS)
    assert sentence.startswith(url)
    assert "\n" not in sentence
    process = born(open_search, url, TRIALS)
    process.join(300)
    assert process.exitcode == 0
    with open_record(
        url, study_name=place(url).study_name, directions=["minimize"] * 3, fingerprint=None
    ) as record:
        states = [trial.state.name for trial in record.study.trials]
    assert states.count("COMPLETE") == TRIALS
    assert "RUNNING" not in states
