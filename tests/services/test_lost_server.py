"""A search whose server goes away ends with one sentence, and goes on when the server is back."""

import pytest
from cluster import PASSWORD
from search_lives import SEED, place, shared_spec
from toy_search import SPACE, evaluator

from npuexplore.errors import EnvironmentLacking
from npuexplore.search.shared_search import search_together

TRIALS = 24


def test_a_lost_server_is_one_sentence_and_the_search_goes_on_later(cluster, database, url, capsys):
    calls = []

    def evaluate(plans):
        calls.append(len(plans))
        if calls.count(1) == 3:
            cluster.sql(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
            cluster.sql(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
            )
        return evaluator()(plans)

    with pytest.raises(EnvironmentLacking) as lost:
        search_together(SPACE, shared_spec(TRIALS), evaluate, place=place(url), seed=SEED, document={})
    assert "\n" not in str(lost.value)
    assert PASSWORD not in str(lost.value)
    assert "s3cr" not in str(lost.value)
    assert "Traceback" not in capsys.readouterr().err

    cluster.sql(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
    gathered = search_together(
        SPACE, shared_spec(TRIALS), evaluator(), place=place(url), seed=SEED, document={}
    )
    assert gathered.recorded == TRIALS
