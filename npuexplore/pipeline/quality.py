"""What compression costs in quality: measured one-shot, layer by layer, then summed for any plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.audio.mixtures import SpectralBatch, spectral_batch
from npuexplore.audio.sources import Pair
from npuexplore.audio.stft import FrontEnd, stft
from npuexplore.compression.plan import (
    STRUCTURES,
    CompressionPlan,
    LayerPlan,
    MatrixBatch,
    PlanBatch,
    batch_plans,
    plan_at,
)
from npuexplore.errors import BadInput
from npuexplore.pipeline.checkpoints import TrainedNetwork
from npuexplore.search.space import Space, plans_from
from npuexplore.train.apply import mask_of, one_shot
from npuexplore.train.losses import LOSSES, LossName
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network

Progress = Callable[[int, int], None]

ZEROS_SPAN = 1 << 30
"""More than all ways to have zeros in a matrix: 65,540 structures and blocks times 10,001 sparsities."""


@dataclass(frozen=True)
class SensitivityModel:
    """Loss of a plan = what retraining leaves of the sum of its layers' one-shot losses.

    A layer's loss is that of its bits plus that of its zeros; the two hardly touch each other.
    """

    zeros_db: tuple[Mapping[int, float], ...]
    """Per layer: loss of a structure at a sparsity, by `zeros_keys`."""
    bits_db: tuple[Mapping[int, float], ...]
    """Per layer: loss of rounding alone, by `bits_keys`."""
    recovery_frac: float

    def loss_db(self, plans: PlanBatch) -> NDArray[np.float64]:
        """(P,) expected loss in dB after retraining. Raises BadInput for a choice not measured."""
        zeros, bits = zeros_keys(plans), bits_keys(plans)
        total = np.zeros(len(plans))
        for layer in range(zeros.shape[1]):
            total += _looked_up(self.zeros_db[layer], zeros[:, layer])
            total += _looked_up(self.bits_db[layer], bits[:, layer])
        return self.recovery_frac * total


def zeros_keys(plans: PlanBatch) -> NDArray[np.int64]:
    """(P, L) one integer per structure, block shape and sparsity; 0 where a layer has no zeros.

    Where the two matrices of a layer are not pruned alike, both are in it and it is below 0.
    """
    keys = _zeros_keys(plans)
    if plans.matrices is None:
        return keys
    first, second = _by_matrix(_zeros_keys(plans.matrices), plans.matrices)
    both = -(first * ZEROS_SPAN + second)
    return np.where(first == second, first, both)


def _zeros_keys(plans: PlanBatch | MatrixBatch) -> NDArray[np.int64]:
    """(P, L) or (P, M), each below ZEROS_SPAN."""
    structure = plans.structure.astype(np.int64)
    is_block = structure == STRUCTURES.index("block")
    block = np.where(is_block, len(STRUCTURES) + (plans.block_rows - 1) * 256 + plans.block_columns - 1, 0)
    key = np.maximum(structure, block) * 10_001 + np.rint(plans.sparsity_frac * 10_000).astype(np.int64)
    return np.where(plans.sparsity_frac > 0, key, 0)


def bits_keys(plans: PlanBatch) -> NDArray[np.int64]:
    """(P, L) one integer per pair of weight and activation bits, or per three where the matrices differ."""
    keys = np.asarray(plans.weight_bits * 32 + plans.activation_bits)
    if plans.matrices is None:
        return keys
    first, second = _by_matrix(plans.matrices.weight_bits, plans.matrices)
    apart = np.where(first == second, 0, second)
    return np.asarray((apart * 32 + first) * 32 + plans.activation_bits)


def _by_matrix(values: NDArray[Any], matrices: MatrixBatch) -> tuple[NDArray[Any], NDArray[Any]]:
    """(P, L) of each layer's first matrix and of its last, which is the same one where it has but one.

    values : (P, M)
    """
    owner = np.array(matrices.owner)
    layers = np.arange(owner[-1] + 1)
    return values[:, np.searchsorted(owner, layers)], values[:, np.searchsorted(owner, layers, "right") - 1]


def _looked_up(losses: Mapping[int, float], keys: NDArray[np.int64]) -> NDArray[np.float64]:
    known = np.array(sorted(losses), np.int64)
    index = np.minimum(np.searchsorted(known, keys), known.size - 1)
    if (known[index] != keys).any():
        raise BadInput("a plan has a choice whose loss was not measured; search the space that was measured")
    return np.array([losses[int(key)] for key in known])[index]


def calibration_batch(pairs: Sequence[Pair], front_end: FrontEnd) -> SpectralBatch:
    """Spectra of calibration mixtures, which all have one length."""
    noisy = stft(np.stack([pair.noisy for pair in pairs]), front_end)
    clean = stft(np.stack([pair.clean for pair in pairs]), front_end)
    return spectral_batch(noisy, clean, front_end)


def spectral_quality_db(
    trained: TrainedNetwork,
    batch: SpectralBatch,
    front_end: FrontEnd,
    *,
    loss: LossName = "log_error_ratio",
) -> float:
    """Mean quality over the mixtures, in dB: a training loss with its sign turned."""
    features = batch.features / trained.feature_scale
    value = LOSSES[loss](
        mask_of(trained.params, features, trained.network, trained.plan),
        synthesis=front_end.synthesis,
        noisy_power=batch.noisy_power,
        cross=batch.cross,
        clean_power=batch.clean_power,
    )
    return -float(value)


def measure_sensitivity(
    baseline: TrainedNetwork,
    space: Space,
    batch: SpectralBatch,
    front_end: FrontEnd,
    *,
    loss: LossName = "log_error_ratio",
    on_progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """One row per layer and case: the loss of compressing that layer alone, without retraining.

    Losses below 0 (compression that happens to help) count as 0.
    """
    reference_db = spectral_quality_db(baseline, batch, front_end, loss=loss)
    cases = list(_cases(space))
    rows = []
    for done, (layer, choice) in enumerate(cases, start=1):
        plan = CompressionPlan(layers={layer: choice})
        compressed = TrainedNetwork(
            network=baseline.network,
            params=one_shot(baseline.params, plan, baseline.network),
            feature_scale=baseline.feature_scale,
            plan=plan,
            training={},
        )
        loss_db = reference_db - spectral_quality_db(compressed, batch, front_end, loss=loss)
        rows.append(
            {
                "layer": layer,
                **choice.model_dump(mode="json"),
                "one_shot_loss_db": round(max(loss_db, 0.0), 4),
            }
        )
        if on_progress:
            on_progress(done, len(cases))
    return rows


def sensitivity_model(
    rows: Sequence[Mapping[str, Any]], network: Network, *, recovery_frac: float
) -> SensitivityModel:
    """The model of measured rows: the bits' share is taken off the loss of each sparse row."""
    zeros_db: list[dict[int, float]] = [{0: 0.0} for _ in network.layers]
    bits_db: list[dict[int, float]] = [{} for _ in network.layers]
    names = [layer.name for layer in network.layers]
    for row in sorted(rows, key=lambda row: row["sparsity_frac"]):
        layer = names.index(row["layer"])
        choice = LayerPlan.model_validate({key: row[key] for key in LayerPlan.model_fields if key in row})
        plan = batch_plans([CompressionPlan(layers={row["layer"]: choice})], network)
        bits = int(bits_keys(plan)[0, layer])
        zeros = int(zeros_keys(plan)[0, layer])
        if zeros == 0:
            bits_db[layer][bits] = row["one_shot_loss_db"]
        else:
            loss_db = max(row["one_shot_loss_db"] - bits_db[layer][bits], 0.0)
            zeros_db[layer][zeros] = loss_db
    return SensitivityModel(tuple(zeros_db), tuple(bits_db), recovery_frac)


def fitted_recovery_frac(one_shot_db: FloatArray, achieved_db: FloatArray) -> float | None:
    """Share of the one-shot loss that retraining left, by least squares over the picks; None without loss."""
    energy = float(np.square(one_shot_db).sum())
    if energy == 0.0:
        return None
    return float(np.dot(one_shot_db, np.maximum(achieved_db, 0.0)) / energy)


def _cases(space: Space) -> Iterator[tuple[str, LayerPlan]]:
    """For every layer: each pair of bits without zeros, then each way to have zeros at the most bits."""
    for column, layer in enumerate(space.network.layers):
        own = [i for i, parameter in enumerate(space.parameters) if column in parameter.columns]
        sizes = [len(space.parameters[i].choices) for i in own]
        choices = np.zeros((math.prod(sizes), len(space.parameters)), np.int64)
        choices[:, own] = np.array(list(np.ndindex(*sizes)), np.int64)
        plans = plans_from(space, choices)
        bits = bits_keys(plans)[:, column]
        for key in sorted(set(bits.tolist())):
            yield layer.name, _bits_alone(key)
        zeros = zeros_keys(plans)[:, column]
        at_most_bits = np.flatnonzero((bits == bits.max()) & (zeros != 0))
        _, first = np.unique(zeros[at_most_bits], return_index=True)
        for index in at_most_bits[np.sort(first)]:
            yield layer.name, plan_at(plans, int(index), space.network).of(layer.name)


def _bits_alone(key: int) -> LayerPlan:
    """A dense layer of the bits that a key of `bits_keys` stands for."""
    widths, activation_bits = divmod(key, 32)
    second, first = divmod(widths, 32)
    own = {"w_h": {"weight_bits": second}} if second else {}
    return LayerPlan.model_validate({"weight_bits": first, "activation_bits": activation_bits, **own})
