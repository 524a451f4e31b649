from __future__ import annotations

import numpy as np
import pytest
from cost_cases import dense_case, first_layer_plan, network_of

from npuexplore.compression.given import plan_of_flags
from npuexplore.compression.plan import CompressionPlan, LayerPlan, batch_plans
from npuexplore.compression.shapes import plan_shapes, two_four_kept
from npuexplore.compression.sparsity import layer_masks, two_four_mask
from npuexplore.errors import UsageError
from npuexplore.search.space import SpaceSpec, all_choices, plans_from, space_for
from npuexplore.train.apply import one_shot
from npuexplore.train.model import init_params
from npuexplore.workload.counts import network_tables

TWO_FOUR = LayerPlan(structure="two_four")


def _params(network):
    return init_params(network, rng=np.random.default_rng(3))


def test_two_four_says_its_sparsity_itself() -> None:
    assert TWO_FOUR.sparsity_frac == 0.5
    assert LayerPlan.model_validate_json('{"structure": "two_four"}') == TWO_FOUR


def test_another_sparsity_than_one_half_is_refused() -> None:
    with pytest.raises(ValueError, match=r"two_four has sparsity_frac 0.5, got 0.4"):
        LayerPlan(structure="two_four", sparsity_frac=0.4)


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5, 8, 11, 16])
def test_no_aligned_four_keeps_more_than_its_two_largest(columns: int) -> None:
    weights = np.random.default_rng(columns).standard_normal((6, columns))

    mask = two_four_mask(weights)

    assert (mask.sum(axis=1) == two_four_kept(columns)).all()
    for start in range(0, columns, 4):
        part, kept = np.abs(weights[:, start : start + 4]), mask[:, start : start + 4]
        smallest_kept = np.where(kept, part, np.inf).min(axis=1)
        assert (np.where(kept, -np.inf, part).max(axis=1) <= smallest_kept).all()


def test_a_plan_counts_what_the_mask_leaves() -> None:
    network = network_of({"kind": "gru", "name": "first", "hidden_units": 7}, bands=18)
    plan = CompressionPlan(layers={"first": TWO_FOUR, "mask": TWO_FOUR})

    shapes = plan_shapes(network_tables(network), batch_plans([plan], network))

    masks = layer_masks(_params(network), plan, network)
    kept = [int(mask.sum()) for entry in masks.values() for mask in entry.values()]
    assert shapes.kept_elems[0].tolist() == kept
    assert shapes.kept_weights[0].tolist() == [kept[0] + kept[1], kept[2]]


def test_masks_on_the_way_are_subsets_of_what_leaves_in_the_end() -> None:
    network = dense_case(13, 9)
    plan, params = first_layer_plan(structure="two_four"), _params(dense_case(13, 9))
    last = layer_masks(params, plan, network)["first"]["w"]

    before = last.size
    for ramp_frac in (0.0, 0.2, 0.7, 1.0):
        mask = layer_masks(params, plan, network, ramp_frac=ramp_frac)["first"]["w"]
        assert (mask >= last).all()
        assert mask.sum() <= before
        before = mask.sum()
    assert before == last.sum() == 9 * 7


def test_one_shot_compression_keeps_the_pattern() -> None:
    network = dense_case(16, 8)
    weights = one_shot(_params(network), first_layer_plan(structure="two_four"), network)["first"]["w"]

    assert ((weights.reshape(8, 4, 4) != 0).sum(axis=2) == 2).all()


def test_flags_give_two_four_without_a_sparsity() -> None:
    network = dense_case(16, 8)

    assert plan_of_flags(network, structure="two_four").of("first") == TWO_FOUR
    with pytest.raises(UsageError, match=r"got 0.7"):
        plan_of_flags(network, structure="two_four", sparsity_frac=0.7)


def test_a_search_over_two_four_holds_one_sparse_plan_per_layer() -> None:
    spec = SpaceSpec(structures=("two_four",), sparsity_frac=(0.0, 0.5, 0.9), weight_bits=(8,))
    space = space_for(spec, dense_case(16, 8))

    plans = plans_from(space, all_choices(space))

    assert set(plans.sparsity_frac.ravel()) == {0.0, 0.5}
    assert space.structures == ("two_four",)


def test_neighbours_survive_as_the_pattern_says() -> None:
    network = dense_case(16, 8)
    shapes = plan_shapes(
        network_tables(network), batch_plans([first_layer_plan(structure="two_four")], network)
    )

    weights = np.random.default_rng(0).standard_normal((4000, 16))
    kept = two_four_mask(weights)
    for granule in ((1, 1), (1, 2), (2, 2), (1, 4), (3, 16)):
        rows = kept[: 4000 // granule[0] * granule[0]].reshape(-1, granule[0], 16 // granule[1], granule[1])
        assert shapes.surviving_frac(granule)[0, 0] == pytest.approx(rows.any(axis=(1, 3)).mean(), abs=0.01)
