"""Training with plans in which the two matrices of a recurrent layer differ."""

from __future__ import annotations

import numpy as np
import pytest
from test_fit import NETWORK, start
from test_fit import run as fitted

from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.compression.quantize import integer_weights
from npuexplore.compression.sparsity import layer_masks
from npuexplore.train.apply import one_shot

PLAN = CompressionPlan(
    layers={
        "lstm": LayerPlan(
            structure="weight",
            sparsity_frac=0.3,
            w_x={"structure": "two_four", "weight_bits": 3},
            w_h={"structure": "block", "block": (2, 4), "sparsity_frac": 0.75, "weight_bits": 4},
        ),
        "gru": LayerPlan(structure="weight", sparsity_frac=0.25, w_h={"sparsity_frac": 0.8}),
    }
)


def zeros(matrix):
    return int((matrix == 0.0).sum())


def test_each_matrix_of_a_retrained_network_reaches_its_own_target():
    params = fitted(8, start(), plan=PLAN).params
    small = one_shot(params, PLAN, NETWORK)
    lstm, gru = small["lstm"], small["gru"]
    assert zeros(lstm["w_hh"]) >= 0.75 * lstm["w_hh"].size
    blocks = lstm["w_hh"].reshape(4, 4, 2, 2, 4)
    assert int((blocks != 0.0).any(axis=(2, 4)).sum()) == 0.25 * 32
    kept = (lstm["w_ih"] != 0.0).reshape(32, 6)
    assert (kept[:, :4].sum(axis=1) <= 2).all()
    assert zeros(gru["w_ih"]) == pytest.approx(0.25 * gru["w_ih"].size, abs=1)
    assert zeros(gru["w_hh"]) == pytest.approx(0.8 * gru["w_hh"].size, abs=1)


def test_each_matrix_lies_on_its_own_grid():
    small = one_shot(start(), PLAN, NETWORK)
    integers = integer_weights(small, PLAN, NETWORK)
    limits = {
        (layer, name): int(np.abs(values).max())
        for layer in ("lstm", "gru")
        for name, (values, _) in integers[layer].items()
    }
    assert limits == {("lstm", "w_ih"): 3, ("lstm", "w_hh"): 7, ("gru", "w_ih"): 127, ("gru", "w_hh"): 127}
    for gate in np.split(small["lstm"]["w_hh"], 4):
        assert np.unique(np.abs(gate)).size <= 8


def test_matrices_that_differ_in_bits_alone_share_one_threshold():
    params = start()
    plain = LayerPlan(structure="weight", sparsity_frac=0.6)
    narrow = LayerPlan(structure="weight", sparsity_frac=0.6, w_h={"weight_bits": 4})
    one, other = (
        layer_masks(params, CompressionPlan(layers={"lstm": choice}), NETWORK)["lstm"]
        for choice in (plain, narrow)
    )
    assert all(np.array_equal(one[name], other[name]) for name in ("w_ih", "w_hh"))
    assert one["w_ih"].mean() != one["w_hh"].mean()


def test_a_matrix_without_zeros_of_its_own_keeps_every_weight():
    choice = LayerPlan(structure="weight", sparsity_frac=0.6, w_x={"structure": "dense"})
    masks = layer_masks(start(), CompressionPlan(layers={"lstm": choice}), NETWORK)["lstm"]
    assert masks["w_ih"].all()
    assert int((~masks["w_hh"]).sum()) == round(0.6 * masks["w_hh"].size)
