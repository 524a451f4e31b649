"""A comparison of structures as the versioned document that `compare-structures --json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from npuexplore.cost.break_even import Comparison, Curve, compare, scopes
from npuexplore.cost.part import Part, part_of
from npuexplore.cost.what_if import Factors, refuse_unchanged

Document = dict[str, Any]

SCHEMA = "npuexplore.compare-structures/1"
NOTES = (
    "zeros are weights that are zero or gone, over all weights of the dense network (or layer)",
    "unit: removing a share u of the units takes the rows of a layer, the columns of its state and the "
    "inputs of the next layer, so that about (1 - u)^2 of the weights stay; sparsity_frac is the u that "
    "comes nearest to the zeros wanted",
    "the network has one amount of zeros in all layers (unit: the mask layer keeps its outputs); each layer "
    "is compared with all others dense",
    "cycles and latency are those of the network's layers, without the front end",
    "break-even: fewest zeros at which cycles, or weight bytes, fall below dense; null: never",
)


def comparison_document(
    part: Part, *, weight_bits: int, activation_bits: int, what_ifs: Sequence[Factors] = ()
) -> Document:
    """Structures on a network and each of its layers, and on the network for every what-if."""
    whole, *layers = scopes(part, weight_bits=weight_bits, activation_bits=activation_bits)
    return {
        "schema": SCHEMA,
        "profile": part.profile.name,
        "network": part.network.name,
        "memory_mode": part.memory_mode,
        "weight_bits": weight_bits,
        "activation_bits": activation_bits,
        **_comparison(compare(whole)),
        "layers": [
            {"name": layer.name, "kind": layer.kind, **_comparison(compare(scope))}
            for layer, scope in zip(part.network.layers, layers, strict=True)
        ],
        "what_if": [
            _what_if(part, factors, weight_bits=weight_bits, activation_bits=activation_bits)
            for factors in what_ifs
        ],
        "notes": list(NOTES),
    }


def _what_if(part: Part, factors: Factors, *, weight_bits: int, activation_bits: int) -> Document:
    changed = part_of(refuse_unchanged(part.profile, factors), part.network, memory_mode=part.memory_mode)
    whole, *_ = scopes(changed, weight_bits=weight_bits, activation_bits=activation_bits)
    return {"cost_factors": dict(factors), **_comparison(compare(whole))}


def _comparison(found: Comparison) -> Document:
    return {
        "dense": {
            "cycles": found.dense_cycles,
            "latency_ms": found.dense_latency_ms,
            "weight_bytes": found.dense_weight_bytes,
        },
        "structures": [_curve(curve) for curve in found.curves],
    }


def _curve(curve: Curve) -> Document:
    block = curve.candidate.block
    return {
        "structure": curve.candidate.structure,
        "block": None if block is None else list(block),
        "break_even": {
            "cycles_zeros_frac": curve.faster_from_zeros_frac,
            "weight_bytes_zeros_frac": curve.smaller_from_zeros_frac,
        },
        "points": [vars(point).copy() for point in curve.points],
    }
