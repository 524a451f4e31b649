from __future__ import annotations

from typing import Any

import numpy as np
from drawn_cases import NETWORKS, PROFILES, SPARSITY, layer_plans, networks, plans_for
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from scalar_costs import NearTieError, scalar_micronpu

from npuexplore.compression.plan import CompressionPlan, LayerPlan, batch_plans
from npuexplore.compression.shapes import plan_shapes
from npuexplore.cost.estimate import estimate
from npuexplore.cost.explain import waterfall
from npuexplore.cost.part import part_of
from npuexplore.cost.waterfall import PARTS
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.hardware.profile import FallbackCpu, HardwareProfile
from npuexplore.workload.network import Network

BASE = PROFILES["micronpu-block16"]
FORMATS = {
    "none": [("dense",)],
    "compress_only": [
        ("dense", "bitmap", "block_bitmap"),
        ("dense", "csr_delta8", "block_index", "two_four"),
    ],
    "two_four": [("dense", "two_four"), ("dense", "bitmap", "two_four")],
    "block_skip": [("dense", "block_bitmap"), ("dense", "block_index"), ("dense", "bitmap", "block_bitmap")],
    "zero_skip": [("dense", "bitmap"), ("dense", "csr_delta8", "block_bitmap"), ("bitmap", "block_index")],
}
OPERATORS = ("dense", "conv1x1", "lstm", "gru", "relu", "sigmoid", "tanh")
CPU = FallbackCpu(
    core="Cortex-M4",
    cycles_per_mac=1.5,
    cycles_per_lut_elem=40.0,
    cycles_per_elementwise_op=6.0,
    cycles_per_handover=700,
    engine_cycles_per_cpu_cycle=1.25,
    pj_per_cycle=10.0,
)


@st.composite
def engines(draw: st.DrawFn) -> MicroNpu:
    mode = draw(st.sampled_from(sorted(FORMATS)))
    decode = draw(st.sampled_from([(0.75, None), (16.0, None), (500.0, None), (None, 4.0), (None, 33.5)]))
    tiles = draw(st.sampled_from([("streamed", None), ("before_use", None), ("double_buffered", 100),
                                  ("double_buffered", 4096)]))  # fmt: skip
    rates = draw(st.sampled_from([
        [],
        [{"weight_bits": 4, "mac_rate_factor": 2.0}],
        [{"weight_bits": 2, "mac_rate_factor": 3.75, "decoded_weights_per_cycle": 64.0},
         {"weight_bits": 8, "decoded_weights_per_cycle": 5.5}],
    ]))  # fmt: skip
    given = BASE.engine.model_dump() | {
        "runs": draw(st.sampled_from([OPERATORS, ("dense", "conv1x1", "relu"), OPERATORS[:-1], ("lstm",)])),
        "weight_bits": (2, 3, 4, 8),
        "sparsity_mode": mode,
        "formats": draw(st.sampled_from(FORMATS[mode])),
        "outputs_per_cycle": draw(st.sampled_from([1, 4, 8])),
        "inputs_per_cycle": draw(st.sampled_from([4, 16])),
        "positions_per_cycle": draw(st.sampled_from([1, 3])),
        "granule": draw(st.sampled_from([(1, 16), (4, 4), (8, 8), (2, 5), (16, 2)])),
        "decoded_bytes_per_cycle": decode[0],
        "decoded_weights_per_cycle": decode[1],
        "cycles_per_index": draw(st.sampled_from([0.0, 0.25, 3.0])),
        "mac_passes_16bit_activations": draw(st.integers(1, 4)),
        "weight_rates": rates,
        "map_bits_per_granule": draw(st.integers(0, 12)),
        "lanes": draw(st.sampled_from([None, "own", "shared"])),
        "weight_transfer": tiles[0],
        "weight_tile_bytes": tiles[1],
    }
    return MicroNpu.model_validate(given)


@st.composite
def micronpus(draw: st.DrawFn) -> HardwareProfile:
    """The shipped microNPU with other rates, modes, formats, shapes and a fallback CPU."""
    flash = BASE.memories["flash"].model_copy(
        update={"bytes_per_cycle": draw(st.sampled_from([0.3, 4.0, 500.0]))}
    )
    return BASE.model_copy(
        update={
            "engine": draw(engines()),
            "memories": {**BASE.memories, "flash": flash},
            "fallback_cpu": CPU,
        }
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[HardwareProfile, Network, CompressionPlan]:
    profile, network = draw(micronpus()), draw(networks)
    return profile, network, draw(plans_for(network, profile))


Case = tuple[HardwareProfile, Network, CompressionPlan]


def with_engine(profile: HardwareProfile, **changes: Any) -> HardwareProfile:
    return profile.model_copy(update={"engine": profile.engine.model_copy(update=changes)})


def cycles(case: Case) -> np.ndarray:
    return estimate(*case).layers.cycles[0, 1:]


@given(cases())
@settings(max_examples=300)
def test_the_fast_model_agrees_with_its_scalar_twin(case: Case) -> None:
    try:
        twin = scalar_micronpu(*case)
    except NearTieError:
        reject()

    layers = estimate(*case).layers

    assert layers.kept_macs[0, 1:].tolist() == [layer.kept_macs for layer in twin]
    assert layers.weight_bytes[0, 1:].tolist() == [layer.weight_bytes for layer in twin]
    assert layers.cycles[0, 1:].tolist() == [layer.cycles for layer in twin]


@given(cases())
def test_cycles_stay_above_the_roofline_of_array_and_memories(case: Case) -> None:
    profile, network, _ = case
    layers = estimate(*case).layers

    engine = profile.engine
    per_cycle = engine.outputs_per_cycle * engine.inputs_per_cycle * engine.positions_per_cycle
    fastest = max([rate.mac_rate_factor for rate in engine.weight_rates], default=1.0)
    on_engine = [layer.kind in engine.runs for layer in network.layers]
    busy = layers.cycles[0, 1:] * per_cycle * max(fastest, 1.0)
    assert (busy >= layers.kept_macs[0, 1:])[on_engine].all()
    assert (layers.cycles >= layers.compute_cycles).all()
    for memory in layers.memory_cycles.values():
        assert (layers.cycles >= memory).all()


@given(cases())
def test_the_waterfall_adds_up_to_the_cycles_and_no_part_is_negative(case: Case) -> None:
    profile, network, plan = case
    part = part_of(profile, network)
    shapes = plan_shapes(part.tables, batch_plans([plan], network))

    parts = waterfall(part, shapes)

    assert sum(parts[name] for name in PARTS).tolist() == estimate(*case).layers.cycles.tolist()
    assert all((parts[name] >= 0).all() for name in PARTS)


@given(micronpus(), networks, st.data())
def test_more_zeros_never_take_more_cycles_and_in_one_format_never_more_bytes(
    profile: HardwareProfile, network: Network, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([layer.name for layer in network.layers]))
    drawn = layer_plans(keeps_units=True, profile=profile)
    choice = data.draw(drawn.filter(lambda plan: plan.structure in ("weight", "block")))
    fewer, more = sorted(data.draw(st.tuples(SPARSITY, SPARSITY)))

    sparse, sparser = (
        estimate(
            profile,
            network,
            CompressionPlan(layers={name: choice.model_copy(update={"sparsity_frac": sparsity})}),
        )
        for sparsity in (fewer, more)
    )

    assert sparser.cycles[0] <= sparse.cycles[0]
    same = (sparse.layers.weight_format == sparser.layers.weight_format)[0]
    assert (sparser.layers.weight_bytes <= sparse.layers.weight_bytes)[0][same].all()


@given(cases(), st.sampled_from(["outputs_per_cycle", "inputs_per_cycle"]))
def test_an_array_twice_as_large_is_never_slower_on_dense_weights(case: Case, side: str) -> None:
    profile, network, _ = case
    dense = CompressionPlan()

    larger = with_engine(profile, **{side: 2 * getattr(profile.engine, side)})

    assert (cycles((larger, network, dense)) <= cycles((profile, network, dense))).all()


@given(cases())
def test_a_faster_decoder_and_cheaper_indices_are_never_slower(case: Case) -> None:
    profile, network, plan = case
    engine = profile.engine
    rate = "decoded_bytes_per_cycle" if engine.decoded_bytes_per_cycle else "decoded_weights_per_cycle"

    faster = with_engine(profile, **{rate: 2 * getattr(engine, rate)})
    cheaper = with_engine(profile, cycles_per_index=engine.cycles_per_index / 2)

    assert (cycles((faster, network, plan)) <= cycles(case)).all()
    assert (cycles((cheaper, network, plan)) <= cycles(case)).all()


@given(cases())
def test_overlap_never_costs_and_waiting_for_all_weights_never_gains(case: Case) -> None:
    profile, network, plan = case

    streamed, buffered, waiting = (
        with_engine(profile, weight_transfer=transfer, weight_tile_bytes=tile)
        for transfer, tile in (("streamed", None), ("double_buffered", 512), ("before_use", None))
    )
    free = BASE.memories["flash"].model_copy(update={"read_latency_cycles": 0})
    streamed, buffered, waiting = (
        part.model_copy(update={"memories": {**part.memories, "flash": free}})
        for part in (streamed, buffered, waiting)
    )

    assert (cycles((streamed, network, plan)) <= cycles((buffered, network, plan))).all()
    assert (cycles((buffered, network, plan)) <= cycles((waiting, network, plan)) + 1).all()


@given(cases())
def test_uneven_lanes_are_never_faster_than_even_ones_of_single_weights(case: Case) -> None:
    profile, network, plan = case
    formats = {"sparsity_mode": "zero_skip", "formats": ("dense", "bitmap")}

    own = with_engine(profile, lanes="own", **formats)
    shared = with_engine(profile, lanes="shared", **formats)

    assert (cycles((own, network, plan)) >= cycles((shared, network, plan))).all()


def test_a_network_of_every_kind_falls_back_only_where_the_engine_lacks_something() -> None:
    profile = BASE.model_copy(update={"fallback_cpu": CPU})
    plan = CompressionPlan(layers={"first": LayerPlan(weight_bits=4)})
    for network in NETWORKS.values():
        name = network.layers[0].name
        choice = CompressionPlan(layers={name: plan.layers["first"]})
        assert (cycles((profile, network, choice)) == cycles((BASE, network, choice))).all()
