"""Batches that another process mixes are those of this one, in time, and no process is left behind."""

import multiprocessing
import os
import signal

import numpy as np
import pytest
import tiny_study
import worker_tasks
from processes import gone_within, is_running

from npuexplore.audio.mixtures import MixtureRecipe
from npuexplore.errors import EnvironmentLacking
from npuexplore.pipeline import ahead
from npuexplore.pipeline.ahead import SLOTS, BatchSource, batches_ahead
from npuexplore.pipeline.workers import start_process
from npuexplore.workload.network import Network

NETWORK = Network.model_validate(tiny_study.NETWORK)
RECIPE = MixtureRecipe(segment_frames=16, pool_segments=16)


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setattr(ahead, "LEAST_STEPS", 1)
    rng = np.random.default_rng(1)
    for name in ("speech", "noise"):
        np.save(tmp_path / f"{name}.npy", rng.integers(-9_000, 9_000, (16, 15 * 256)).astype(np.int16))
    return BatchSource(NETWORK, RECIPE, tmp_path, batch=2, seed=3)


def same(left, right):
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in vars(left))


def test_batches_from_another_process_are_those_of_this_one(source):
    expected = source.batches()
    with batches_ahead(source, start=5, stop=5 + 3 * SLOTS) as batch_at:
        before = None
        for step in range(5, 5 + 3 * SLOTS):
            batch = batch_at(step)
            assert same(batch, expected(step))
            assert before is None or same(before, expected(step - 1)), "overwritten while still in use"
            before = batch
    assert multiprocessing.active_children() == []


def test_a_training_that_stops_early_leaves_no_process(source):
    with batches_ahead(source, start=0, stop=1_000) as batch_at:
        batch_at(0)
        assert len(multiprocessing.active_children()) == 1
    assert multiprocessing.active_children() == []


def test_batches_wait_for_a_training_that_is_slower(source):
    expected = source.batches()
    with batches_ahead(source, start=0, stop=SLOTS) as batch_at:
        batch_at(0)
        multiprocessing.active_children()[0].join(0.8)
        for step in range(1, SLOTS):
            assert same(batch_at(step), expected(step))


def test_batches_are_asked_for_in_order(source):
    with batches_ahead(source, start=0, stop=1_000) as batch_at:
        batch_at(0)
        with pytest.raises(ValueError, match="out of turn"):
            batch_at(2)


def test_a_mixing_process_that_dies_is_one_sentence(source):
    with batches_ahead(source, start=0, stop=1_000) as batch_at:
        batch_at(0)
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        with pytest.raises(EnvironmentLacking, match=r"its process died \(exit code -9"):
            list(map(batch_at, range(1, 9)))


def test_short_trainings_mix_for_themselves(source, monkeypatch):
    monkeypatch.setattr(ahead, "LEAST_STEPS", 100)
    with batches_ahead(source, start=0, stop=99) as batch_at:
        assert multiprocessing.active_children() == []
        assert same(batch_at(7), source.batches()(7))


def test_the_mixing_process_ends_with_a_killed_training(source):
    training, line = start_process(worker_tasks.mix_ahead_for_ever, source)
    assert line.poll(60)
    (mixing,) = line.recv()
    assert is_running(mixing)
    training.kill()
    training.join()
    assert gone_within(mixing, 10)
