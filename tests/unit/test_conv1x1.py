from __future__ import annotations

import numpy as np
import pytest
from cost_cases import network_of

from npuexplore.compression.plan import CompressionPlan, LayerPlan, batch_plans, uniform_plan
from npuexplore.compression.shapes import plan_shapes
from npuexplore.compression.sparsity import kept_outputs_of, layer_masks, shrink
from npuexplore.cost.estimate import estimate
from npuexplore.errors import BadInput
from npuexplore.hardware.load import load_profile
from npuexplore.search.space import SpaceSpec, space_for
from npuexplore.train.model import init_params
from npuexplore.workload.counts import network_tables
from npuexplore.workload.network import Network, matrices


def conv(name: str, positions: int, channels: int) -> dict[str, object]:
    return {"kind": "conv1x1", "name": name, "positions": positions, "output_channels": channels}


NETWORK = network_of(conv("first", 4, 6), conv("second", 4, 10), bands=32)


def test_weights_are_shared_by_all_positions() -> None:
    assert [entry[2:] for entry in matrices(NETWORK)] == [(6, 8), (10, 6), (32, 40)]
    assert network_tables(NETWORK).dense_macs.tolist() == [4 * 48, 4 * 60, 1280]


def test_positions_must_divide_what_is_handed_in() -> None:
    with pytest.raises(ValueError, match="positions 5 must divide the 32 values"):
        network_of(conv("first", 5, 6), bands=32)


@pytest.mark.parametrize("profile", ["ethos-u55-128", "stm32f746", "micronpu-block16"])
def test_every_family_does_the_macs_of_every_position(profile: str) -> None:
    result = estimate(load_profile(profile), NETWORK, CompressionPlan())

    assert result.layers.macs[0, 1:].tolist() == [192, 240, 1280]
    assert result.layers.kept_macs[0, 1:].tolist() == [192, 240, 1280]


def test_removed_channels_leave_at_every_position() -> None:
    plan = CompressionPlan(layers={"first": LayerPlan(structure="unit", sparsity_frac=0.5)})

    shapes = plan_shapes(network_tables(NETWORK), batch_plans([plan], NETWORK))

    assert shapes.units[0].tolist() == [12, 40, 32]
    assert shapes.elems[0].tolist() == [3 * 8, 10 * 3, 32 * 40]
    assert shapes.macs[0].tolist() == [4 * 24, 4 * 30, 1280]


def test_masks_of_channels_shrink_every_layer_after_them() -> None:
    rng = np.random.default_rng(1)
    params = {
        layer: {
            "w": rng.standard_normal((rows, columns)).astype(np.float32),
            "bias": np.zeros(rows, np.float32),
        }
        for layer, _, rows, columns in matrices(NETWORK)
    }
    unit = LayerPlan(structure="unit", sparsity_frac=0.5)
    masks = layer_masks(params, CompressionPlan(layers={"first": unit, "second": unit}), NETWORK)

    small = shrink(params, masks, NETWORK)

    assert [small[name]["w"].shape for name in small] == [(3, 8), (5, 3), (32, 20)]
    kept = kept_outputs_of(masks, NETWORK.layers[1])
    assert np.array_equal(small["mask"]["w"], params["mask"]["w"][:, np.tile(kept, 4)])


def test_units_that_a_convolution_needs_all_are_not_removed() -> None:
    network = network_of({"kind": "lstm", "name": "first", "hidden_units": 12}, conv("second", 4, 5), bands=8)
    unit = LayerPlan(structure="unit", sparsity_frac=0.5)

    with pytest.raises(BadInput, match=r"layers.first: structure unit would remove single inputs of conv1x1"):
        estimate(load_profile("micronpu-block16"), network, CompressionPlan(layers={"first": unit}))
    assert uniform_plan(network, unit).of("first").structure == "dense"
    space = space_for(SpaceSpec(structures=("unit",)), network)
    choices = {p.name: p.choices for p in space.parameters if p.kind == "structure"}
    assert choices["first.structure"] == ("dense",)
    assert choices["second.structure"] == ("unit",)


def test_the_trainer_refuses_a_convolution_by_name() -> None:
    with pytest.raises(BadInput, match=r"layers.first: kind conv1x1 can be estimated but not trained"):
        init_params(NETWORK, rng=np.random.default_rng(0))


def test_the_network_reads_back_as_it_was_written() -> None:
    assert Network.model_validate_json(NETWORK.model_dump_json(by_alias=True)) == NETWORK
