"""The mask network: parameters at the start, and the forward pass through the fused primitives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from autograd.tracer import getval, isbox

from npuexplore.compression.plan import CompressionPlan
from npuexplore.compression.quantize import input_grid, output_grid, recurrent_grid, step_count
from npuexplore.compression.sparsity import Masks, Params
from npuexplore.train.params import GATE_BIAS, GATE_WEIGHTS, OBSERVED
from npuexplore.train.primitives.dense import dense
from npuexplore.train.primitives.gru import gru_seq
from npuexplore.train.primitives.lstm import lstm_seq
from npuexplore.train.primitives.prune import mask_fq, mask_only
from npuexplore.train.primitives.quant import fq_act, fq_range
from npuexplore.train.primitives.skip import Skip, Updates
from npuexplore.train.primitives.workspace import Workspace
from npuexplore.train.skipping import gate_layer, is_gated
from npuexplore.train.trainable import refuse_untrainable
from npuexplore.units import FloatArray
from npuexplore.workload.network import (
    DenseLayer,
    Layer,
    Network,
    gate_count,
    input_features,
    matrices,
    unit_count,
)

BOUNDED = ("sigmoid", "tanh")
RECURRENT_ARGUMENTS = {"lstm": ("w_ih", "w_hh", "bias"), "gru": ("w_ih", "w_hh", "bias", "bias_hh")}


@dataclass(frozen=True)
class Treatment:
    """What compression does to a forward pass.

    Activations and states are always rounded as the plan says. Weights are pruned and rounded where
    `masks` are given, and taken as they are (already pruned and rounded) where they are None.
    """

    plan: CompressionPlan
    masks: Masks | None = None
    frozen: bool = False


def init_params(network: Network, *, rng: np.random.Generator) -> Params:
    """Glorot-uniform input weights, orthogonal recurrent weights per gate, forget bias 1, float32.

    Raises BadInput for a network that cannot be trained.
    """
    refuse_untrainable(network)
    params: Params = {}
    for layer, inputs in zip(network.layers, input_features(network), strict=True):
        if isinstance(layer, DenseLayer):
            outputs = layer.output_features
            params[layer.name] = {"w": _glorot(rng, outputs, inputs), "bias": _zeros(outputs)}
            if layer.activation not in BOUNDED:
                params[layer.name][OBSERVED] = np.zeros((), np.float32)
            continue
        units, gates = unit_count(layer), gate_count(layer.kind)
        params[layer.name] = {
            "w_ih": np.concatenate([_glorot(rng, units, inputs) for _ in range(gates)]),
            "w_hh": np.concatenate([_orthogonal(rng, units) for _ in range(gates)]),
            "bias": _zeros(gates * units),
        }
        if layer.kind == "lstm":
            params[layer.name]["bias"][units : 2 * units] = 1.0
        else:
            params[layer.name]["bias_hh"] = _zeros(gates * units)
    return params


def param_shapes(network: Network, *, skips: bool = False) -> dict[str, dict[str, tuple[int, ...]]]:
    """Shape of every array that `init_params` makes, and of the gate of a network that skips frames.

    Raises BadInput for a network that cannot be trained.
    """
    refuse_untrainable(network)
    shapes: dict[str, dict[str, tuple[int, ...]]] = {layer.name: {} for layer in network.layers}
    for name, matrix, rows, columns in matrices(network):
        shapes[name] |= {matrix: (rows, columns), "bias": (rows,)}
    for layer in network.layers:
        if layer.kind == "gru":
            shapes[layer.name]["bias_hh"] = shapes[layer.name]["bias"]
        if isinstance(layer, DenseLayer) and layer.activation not in BOUNDED:
            shapes[layer.name][OBSERVED] = ()
    gate = gate_layer(network)
    if skips and gate is not None:
        units = shapes[gate]["w_hh"][1]
        shapes[gate] |= {GATE_WEIGHTS: (units,), GATE_BIAS: ()}
    return shapes


def _zeros(count: int) -> FloatArray:
    return np.zeros(count, np.float32)


def _glorot(rng: np.random.Generator, outputs: int, inputs: int) -> FloatArray:
    limit = np.sqrt(6.0 / (inputs + outputs))  # Glorot 2010, eq. 16
    return rng.uniform(-limit, limit, (outputs, inputs)).astype(np.float32)


def _orthogonal(rng: np.random.Generator, units: int) -> FloatArray:
    q, r = np.linalg.qr(rng.standard_normal((units, units)))
    return (q * np.sign(np.diag(r))).astype(np.float32)


def forward(
    params: Mapping[str, Mapping[str, Any]],
    features: Any,
    network: Network,
    treatment: Treatment | None = None,
    *,
    workspaces: Mapping[str, Workspace] | None = None,
    observed: dict[str, float] | None = None,
    updates: Updates | None = None,
) -> Any:
    """Mask bands (T, B, F) of scaled features (T, B, F), differentiable in `params`.

    `observed` is filled with the largest magnitude that each unbounded dense layer gave, and `updates` with
    the frames that a network with a gate did not skip.
    """
    values = features
    updates = (updates or Updates()) if is_gated(params) else None
    if treatment is not None:
        first_bits = treatment.plan.of(network.layers[0].name).activation_bits
        values = fq_act(values, grid=input_grid(first_bits))
    for layer in network.layers:
        weights = treat_weights(params[layer.name], layer, treatment)
        workspace = None if workspaces is None else workspaces[layer.name]
        if isinstance(layer, DenseLayer):
            values = _dense_outputs(weights, values, layer, treatment, observed)
            continue
        bits = None if treatment is None else treatment.plan.of(layer.name).activation_bits
        sequence = lstm_seq if layer.kind == "lstm" else gru_seq
        values = sequence(
            values,
            *(weights[name] for name in RECURRENT_ARGUMENTS[layer.kind]),
            grid=None if bits is None else recurrent_grid(bits),
            skip=None
            if updates is None
            else Skip(updates, weights.get(GATE_WEIGHTS), weights.get(GATE_BIAS)),
            workspace=workspace,
        )
    return values


def treat_weights(entry: Mapping[str, Any], layer: Layer, treatment: Treatment | None) -> Mapping[str, Any]:
    """One layer's parameters, pruned and rounded as the treatment says."""
    if treatment is None or treatment.masks is None:
        return entry
    choice = treatment.plan.of(layer.name)
    masks, frozen = treatment.masks.get(layer.name, {}), treatment.frozen
    treated = dict(entry)
    for name, mask in masks.items():
        if name.startswith("w"):
            bits = choice.of_matrix(name).weight_bits
            groups = step_count(layer, choice, rows=mask.shape[0])
            treated[name] = mask_fq(entry[name], mask=mask, bits=bits, groups=groups, frozen=frozen)
        else:
            treated[name] = mask_only(entry[name], mask=mask, frozen=frozen)
    return treated


def _dense_outputs(
    weights: Mapping[str, Any],
    values: Any,
    layer: DenseLayer,
    treatment: Treatment | None,
    observed: dict[str, float] | None,
) -> Any:
    bits = None if treatment is None else treatment.plan.of(layer.name).activation_bits
    outputs = dense(values, weights["w"], weights["bias"], activation=layer.activation)
    largest = 0.0
    if layer.activation not in BOUNDED and (observed is not None or bits is not None):
        largest = float(np.abs(getval(outputs)).max())
        if observed is not None:
            observed[layer.name] = largest
    if bits is None:
        return outputs
    span: Any = weights.get(OBSERVED)
    known = 0.0 if span is None else float(getval(span))
    if isbox(span) and known:
        return fq_range(outputs, span, activation=layer.activation, bits=bits)
    return fq_act(outputs, grid=output_grid(layer.activation, bits, known or largest))
