import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.compression.sparsity import (
    apply_masks,
    group_scores,
    keep_largest,
    kept_outputs_of,
    layer_masks,
    shrink,
    unit_scores,
)
from npuexplore.train.apply import mask_of
from npuexplore.train.model import init_params
from npuexplore.workload.network import Network, gate_count

BLOCKS = [(1, 4), (1, 16), (2, 2), (3, 5), (8, 1)]
FRACTIONS = st.floats(0.0, 0.99)


def network_of(sizes, kinds, bands=7):
    layers = []
    for index, (kind, size) in enumerate(zip(kinds, sizes, strict=True)):
        key = "output_features" if kind == "dense" else "hidden_units"
        activation = {"activation": ("relu", "sigmoid", "tanh", "none")[index % 4]} if kind == "dense" else {}
        layers.append({"kind": kind, "name": f"{kind}_{index}", key: size, **activation})
    layers.append({"kind": "dense", "name": "mask", "output_features": bands, "activation": "sigmoid"})
    clock = {"window_samples": 32, "hop_samples": 16}
    return Network.model_validate(
        {
            "schema": "npuexplore.network/1",
            "name": "drawn",
            "frame_clock": clock,
            "bands": bands,
            "layers": layers,
        }
    )


@st.composite
def networks(draw):
    kinds = draw(st.lists(st.sampled_from(["lstm", "gru", "dense"]), min_size=1, max_size=3))
    sizes = [draw(st.integers(1, 11)) for _ in kinds]
    return network_of(sizes, kinds)


def noisy_params(network, seed):
    """Random weights, biases too, so that a leak through a bias shows."""
    rng = np.random.default_rng(seed)
    params = init_params(network, rng=rng)
    for entry in params.values():
        for name in entry:
            if name.startswith("bias"):
                entry[name] = rng.standard_normal(entry[name].shape).astype(np.float32)
    return params


def zeros_and_total(masks):
    weights = [mask for name, mask in masks.items() if name.startswith("w")]
    return sum(int((~mask).sum()) for mask in weights), sum(mask.size for mask in weights)


@given(networks(), FRACTIONS, st.integers(0, 9))
def test_weight_pruning_hits_the_sparsity_to_within_one_weight(network, fraction, seed):
    plan = CompressionPlan(
        layers={n.name: LayerPlan(structure="weight", sparsity_frac=fraction) for n in network.layers}
    )
    for layer, masks in layer_masks(noisy_params(network, seed), plan, network).items():
        zeros, total = zeros_and_total(masks)
        assert zeros == min(round(fraction * total), total - 1), layer


@given(networks(), FRACTIONS, st.sampled_from(BLOCKS), st.integers(0, 9))
def test_block_pruning_hits_the_sparsity_to_within_one_block_even_at_ragged_edges(
    network, fraction, block, seed
):
    choice = LayerPlan(structure="block", sparsity_frac=fraction, block=block)
    plan = CompressionPlan(layers={layer.name: choice for layer in network.layers})
    params = noisy_params(network, seed)
    found = layer_masks(params, plan, network)
    for layer in network.layers:
        zeros, total = zeros_and_total(found[layer.name])
        one_block = block[0] * block[1]
        only_one_is_left = total - zeros <= one_block
        assert zeros < total
        assert abs(zeros - fraction * total) <= one_block or only_one_is_left


@given(networks(), st.sampled_from(BLOCKS), st.integers(0, 9))
def test_blocks_are_kept_or_removed_whole_and_never_cross_a_gate(network, block, seed):
    choice = LayerPlan(structure="block", sparsity_frac=0.5, block=block)
    plan = CompressionPlan(layers={layer.name: choice for layer in network.layers})
    found = layer_masks(noisy_params(network, seed), plan, network)
    for layer in network.layers:
        for mask in found[layer.name].values():
            for gate in np.split(mask, gate_count(layer.kind)):
                for row in range(0, gate.shape[0], block[0]):
                    for column in range(0, gate.shape[1], block[1]):
                        piece = gate[row : row + block[0], column : column + block[1]]
                        assert piece.all() or not piece.any()


@given(networks(), FRACTIONS, st.integers(0, 9))
def test_unit_pruning_removes_exactly_the_planned_units_with_all_their_weights(network, fraction, seed):
    hidden = network.layers[:-1]
    choice = LayerPlan(structure="unit", sparsity_frac=fraction)
    plan = CompressionPlan(layers={layer.name: choice for layer in hidden})
    masks = layer_masks(noisy_params(network, seed), plan, network)
    for layer, following in zip(network.layers, network.layers[1:], strict=False):
        kept = kept_outputs_of(masks, layer)
        assert kept.sum() == max(1, kept.size - round(fraction * kept.size))
        rows = np.tile(kept, gate_count(layer.kind))
        first = "w" if layer.kind == "dense" else "w_ih"
        assert not masks[layer.name][first][~rows].any()
        if layer.kind != "dense":
            assert not masks[layer.name]["w_hh"][:, ~kept].any()
        after = masks[following.name]["w" if following.kind == "dense" else "w_ih"]
        assert not after[:, ~kept].any()


@given(networks(), FRACTIONS, st.integers(0, 9))
def test_a_shrunk_network_computes_what_the_masked_one_computes(network, fraction, seed):
    choice = LayerPlan(structure="unit", sparsity_frac=fraction)
    plan = CompressionPlan(layers={layer.name: choice for layer in network.layers[:-1]})
    params = noisy_params(network, seed)
    masks = layer_masks(params, plan, network)
    small = shrink(params, masks, network)
    sizes = [int(kept_outputs_of(masks, layer).sum()) for layer in network.layers[:-1]]
    smaller = network_of(sizes, [layer.kind for layer in network.layers[:-1]])
    features = np.random.default_rng(seed).standard_normal((6, 2, 7)).astype(np.float32)
    masked = mask_of(apply_masks(params, masks), features, network)
    np.testing.assert_allclose(mask_of(small, features, smaller), masked, rtol=1e-5, atol=1e-6)


@given(networks(), FRACTIONS, FRACTIONS, st.integers(0, 9))
def test_weight_pruning_after_unit_pruning_counts_what_the_units_left(network, units, weights, seed):
    plans = {network.layers[0].name: LayerPlan(structure="unit", sparsity_frac=units)}
    plans |= {n.name: LayerPlan(structure="weight", sparsity_frac=weights) for n in network.layers[1:]}
    params = noisy_params(network, seed)
    masks = layer_masks(params, CompressionPlan(layers=plans), network)
    small = shrink(masks, masks, network)
    for layer in network.layers[1:]:
        zeros, total = zeros_and_total(small[layer.name])
        assert zeros == min(round(weights * total), total - 1)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=40), FRACTIONS)
def test_no_removed_group_scores_above_a_kept_one(scores, fraction):
    values = np.array(scores)
    kept = keep_largest(values, None, fraction)
    assert kept.any()
    if not kept.all():
        assert values[~kept].max() <= values[kept].min()


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(BLOCKS), st.integers(0, 5))
def test_block_scores_equal_the_root_mean_square_written_out(rows, columns, block, seed):
    w = np.random.default_rng(seed).standard_normal((2 * rows, columns))
    scores = group_scores(w, "block", block=block, gates=2)
    for gate in range(2):
        part = w[gate * rows : (gate + 1) * rows]
        for r in range(scores.shape[1]):
            for c in range(scores.shape[2]):
                piece = part[r * block[0] : (r + 1) * block[0], c * block[1] : (c + 1) * block[1]]
                np.testing.assert_allclose(scores[gate, r, c], np.sqrt((piece**2).mean()))


@given(networks(), st.integers(0, 5))
def test_unit_scores_equal_the_root_mean_square_of_what_the_unit_takes_away(network, seed):
    params = noisy_params(network, seed)
    for layer, following in zip(network.layers, network.layers[1:], strict=False):
        entry = params[layer.name]
        after = params[following.name]["w" if following.kind == "dense" else "w_ih"]
        scores = unit_scores(entry, layer, after)
        for unit in range(scores.size):
            rows = np.arange(gate_count(layer.kind)) * scores.size + unit
            parts = [matrix[rows].ravel() for name, matrix in entry.items() if name.startswith("w")]
            parts += [matrix[:, unit] for name, matrix in entry.items() if name == "w_hh"]
            gone = np.concatenate([*parts, after[:, unit]]).astype(np.float64)
            np.testing.assert_allclose(scores[unit], np.sqrt((gone**2).mean()))
