"""Drawn parts, networks and plans that property tests of the cost model share."""

from __future__ import annotations

from cost_cases import network_of
from hypothesis import strategies as st

from npuexplore.compression.plan import CompressionPlan, LayerPlan, unit_keepers
from npuexplore.hardware.engines import activation_widths, weight_widths
from npuexplore.hardware.load import list_profiles, load_profile
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.load import load_network
from npuexplore.workload.network import Network

PROFILES = {name: load_profile(name) for name in list_profiles()}
NETWORKS = {
    "tinylstm": load_network("tinylstm"),
    "lstm64x2": load_network("lstm64x2"),
    "odd": network_of(
        {"kind": "dense", "name": "first", "output_features": 37, "activation": "tanh"},
        {"kind": "gru", "name": "second", "hidden_units": 50},
        {"kind": "lstm", "name": "third", "hidden_units": 23},
        bands=41,
    ),
    "convolutions": network_of(
        {"kind": "conv1x1", "name": "first", "positions": 5, "output_channels": 9, "activation": "relu"},
        {"kind": "conv1x1", "name": "second", "positions": 5, "output_channels": 6, "activation": "tanh"},
        {"kind": "gru", "name": "third", "hidden_units": 13},
        bands=35,
    ),
    "tiny": network_of({"kind": "lstm", "name": "first", "hidden_units": 1}, bands=1),
}
BLOCKS = [(1, 4), (1, 16), (4, 4), (4, 16), (16, 1), (3, 5), (2, 24)]
SPARSITY = st.floats(0.0, 0.999).map(lambda value: round(value, 3))

profiles = st.sampled_from(sorted(PROFILES)).map(PROFILES.__getitem__)
networks = st.sampled_from(sorted(NETWORKS)).map(NETWORKS.__getitem__)


@st.composite
def layer_plans(
    draw: st.DrawFn, *, keeps_units: bool, profile: HardwareProfile = PROFILES["micronpu-block16"]
) -> LayerPlan:
    structure = draw(st.sampled_from(["dense", "weight", "block", "two_four"] + ["unit"] * (not keeps_units)))
    return LayerPlan(
        structure=structure,
        sparsity_frac={"dense": 0.0, "two_four": 0.5}.get(structure)
        or draw(SPARSITY) * (structure != "dense"),
        block=draw(st.sampled_from(BLOCKS)) if structure == "block" else None,
        weight_bits=draw(st.sampled_from(weight_widths(profile.engine))),
        activation_bits=draw(st.sampled_from(activation_widths(profile.engine))),
    )


@st.composite
def plans_for(
    draw: st.DrawFn, network: Network, profile: HardwareProfile = PROFILES["micronpu-block16"]
) -> CompressionPlan:
    whole = unit_keepers(network)
    layers = {
        layer.name: draw(layer_plans(keeps_units=layer.name in whole, profile=profile))
        for layer in network.layers
    }
    return CompressionPlan(layers=layers, skip_rate_frac=draw(SPARSITY))


@st.composite
def cases(draw: st.DrawFn) -> tuple[HardwareProfile, Network, CompressionPlan]:
    network, profile = draw(networks), draw(profiles)
    return profile, network, draw(plans_for(network, profile))
