"""Training on shares of a batch side by side, in processes."""

import numpy as np
import pytest
from test_fit import NETWORK, SCALE, batch_at
from test_skip_training import SKIPPING, SYNTHESIS, run, start

from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.errors import NpuexploreError
from npuexplore.train import team
from npuexplore.train.fit import FitRecipe
from npuexplore.train.run import Task, fresh_run, train_step


@pytest.mark.parametrize("plan", [None, SKIPPING, CompressionPlan(layers={"fc": LayerPlan(weight_bits=4)})])
def test_two_processes_train_as_one_but_for_rounding(plan):
    # a plan rounds, so that later steps may differ by whole integers: the first loss is what both share
    steps = 6 if plan is None else 1
    alone, shared = run(steps, plan=plan), run(steps, plan=plan, threads=2)
    np.testing.assert_allclose(shared.losses, alone.losses, rtol=1e-4 if plan is None else 5e-3)
    again = run(steps, plan=plan, threads=2)
    assert np.array_equal(again.losses, shared.losses)


def test_more_processes_than_utterances_do_no_harm():
    assert np.isfinite(run(2, plan=None, threads=9).losses).all()


def task_of(processes):
    return Task(NETWORK, FitRecipe(steps=9, blas_threads=processes), SYNTHESIS, 1.0 / SCALE)


def test_a_batch_of_another_shape_is_shared_as_well():
    moving, task = fresh_run(start(), NETWORK), task_of(2)
    longer = batch_at(0)
    shorter = type(longer)(*(getattr(longer, name)[:5] for name in team.SPECTRA))
    with team.team_of(task) as shared:
        losses = [train_step(moving, task, batch, None, team=shared) for batch in (longer, shorter)]
    alone, task = fresh_run(start(), NETWORK), task_of(1)
    assert losses == pytest.approx(
        [train_step(alone, task, batch, None) for batch in (longer, shorter)], rel=1e-4
    )


def test_a_member_that_was_killed_ends_the_run_with_a_sentence():
    moving, task = fresh_run(start(), NETWORK), task_of(2)
    with team.team_of(task) as shared:
        train_step(moving, task, batch_at(0), None, team=shared)
        (member,) = shared._members
        member._process.kill()
        member._process.join()
        with pytest.raises(NpuexploreError, match="a process that computed a share of the batch ended"):
            train_step(moving, task, batch_at(1), None, team=shared)


def test_a_process_that_may_not_start_others_gets_the_same_bits(monkeypatch):
    wanted = run(3, threads=2)
    monkeypatch.setitem(team.multiprocessing.current_process()._config, "daemon", True)
    alone = run(3, threads=2)
    assert np.array_equal(alone.losses, wanted.losses)
    for layer, entry in wanted.params.items():
        for name, array in entry.items():
            assert np.array_equal(array, alone.params[layer][name]), (layer, name)
