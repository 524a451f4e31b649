"""A search in a journal, killed fifty times while it writes, ends with the front of an undisturbed one."""

import os
import random
import time

from search_lives import born, killed, search_alone
from toy_search import search

from npuexplore.search.journal import journal_file

KILLS = 50
TRIALS = 600
PATIENCE_S = 900.0


def lines(journal):
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def tear(journal, rng):
    """Half a line at the end, as a power cut leaves it."""
    content = journal.read_bytes()
    last = content.rstrip(b"\n").rfind(b"\n") + 1
    os.truncate(journal, rng.randrange(last + 1, len(content)))


def test_fifty_kills_and_torn_ends_leave_the_front_as_it_would_have_been(tmp_path, record_property):
    whole = search(tmp_path / "whole.log", trials=TRIALS)
    journal = tmp_path / "search.log"
    rng = random.Random(4)
    began, kills, torn = time.monotonic(), 0, 0
    while kills < KILLS:
        life = born(search_alone, str(journal), TRIALS)
        before = lines(journal)
        goal = before + rng.randrange(8)
        while life.exitcode is None and lines(journal) < goal:
            time.sleep(0.001)
            assert time.monotonic() - began < PATIENCE_S
        kept = journal.read_bytes() if journal.exists() else b""
        kills += killed(life)
        assert life.exitcode in (0, -9)
        assert not kept or journal.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
        if life.exitcode == 0:
            break
        if lines(journal) > before + 1 and rng.random() < 0.2:
            tear(journal, rng)
            torn += 1
    result = search(journal, trials=TRIALS)
    with journal_file(journal) as opened:
        trials = [entry for entry in opened.read_logs(0) if entry["op_code"] == 4]
    counts = {
        "kills": kills,
        "torn": torn,
        "finished": len(trials),
        "seconds": round(time.monotonic() - began),
    }
    print(counts)
    for name, value in counts.items():
        record_property(name, value)
    assert kills == KILLS
    assert torn > 0
    assert len(trials) == TRIALS
    assert result.front_sha256 == whole.front_sha256
