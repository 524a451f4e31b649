"""What compression costs in quality: measured one-shot, layer by layer, then summed for any plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
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
from npuexplore.pipeline.recovery import TERMS, Recovery, guessed_recovery, recovery_of
from npuexplore.search.space import Space, plans_from
from npuexplore.train.apply import held_mask_of, mask_of, one_shot
from npuexplore.train.losses import LOSSES, LossName
from npuexplore.train.skipping import SHARES, evenly_updated
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network

Progress = Callable[[int, int], None]

ZEROS_SPAN = 1 << 30
"""More than all ways to have zeros in a matrix: 65,540 structures and blocks times 10,001 sparsities."""


@dataclass(frozen=True)
class SensitivityModel:
    """Loss of a plan = what retraining leaves of the sum of one-shot losses: its layers' and its skipping's.

    A layer's loss is that of its bits plus that of its zeros; the two hardly touch each other.
    """

    zeros_db: tuple[Mapping[int, float], ...]
    """Per layer: loss of a structure at a sparsity, by `zeros_keys`."""
    bits_db: tuple[Mapping[int, float], ...]
    """Per layer: loss of rounding alone, by `bits_keys`."""
    recovery_frac: float
    """Share of every one-shot loss that stays, until picks tell more."""
    skip_db: Mapping[int, float] = field(default_factory=lambda: {0: 0.0})
    """Loss of skipping that share of the frames, by `skip_keys`."""
    recovery: Recovery | None = None
    """What retrained picks told."""

    def loss_db(self, plans: PlanBatch) -> NDArray[np.float64]:
        """(P,) expected loss in dB after retraining. Raises BadInput for a choice not measured."""
        if self.recovery is not None:
            return self.recovery.loss_db(self.one_shot_db(plans))
        return self.recovery_frac * self.summed_db(plans)

    def uncertainty_db(self, plans: PlanBatch) -> NDArray[np.float64]:
        """(P,) standard deviation of that loss in dB, as far as retrained picks tell."""
        recovery = self.recovery or guessed_recovery(self.recovery_frac)
        return recovery.uncertainty_db(self.one_shot_db(plans))

    def summed_db(self, plans: PlanBatch) -> NDArray[np.float64]:
        """(P,) one-shot losses of a plan's layers and of its skipping, summed."""
        zeros, bits = zeros_keys(plans), bits_keys(plans)
        total = np.zeros(len(plans))
        for layer in range(zeros.shape[1]):
            total += _looked_up(self.zeros_db[layer], zeros[:, layer])
            total += _looked_up(self.bits_db[layer], bits[:, layer])
        total += _looked_up(self.skip_db, skip_keys(plans.skip_rate_frac))
        return total

    def one_shot_db(self, plans: PlanBatch) -> NDArray[np.float64]:
        """(P, G) the same sum by TERMS. Where a layer's matrices differ, the later structure of the two."""
        zeros, bits, structure = zeros_keys(plans), bits_keys(plans), _structures(plans)
        terms = np.zeros((len(plans), len(TERMS)))
        for layer in range(zeros.shape[1]):
            lost_db = _looked_up(self.zeros_db[layer], zeros[:, layer])
            for code in range(1, len(STRUCTURES)):
                terms[:, code - 1] += np.where(structure[:, layer] == code, lost_db, 0.0)
            terms[:, TERMS.index("bits")] += _looked_up(self.bits_db[layer], bits[:, layer])
        terms[:, TERMS.index("skip")] = _looked_up(self.skip_db, skip_keys(plans.skip_rate_frac))
        return terms


def _structures(plans: PlanBatch) -> NDArray[Any]:
    """(P, L) index into STRUCTURES."""
    if plans.matrices is None:
        return plans.structure
    return np.asarray(np.maximum(*_by_matrix(plans.matrices.structure, plans.matrices)))


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


def skip_keys(skip_rate_frac: FloatArray) -> NDArray[np.int64]:
    """(P,) one integer per rate; 0 where no frame is skipped."""
    return np.rint(skip_rate_frac * SHARES).astype(np.int64)


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
    mask = mask_of(trained.params, features, trained.network, trained.plan)
    return _quality_of(mask, batch, front_end, loss=loss)


def held_quality_db(
    trained: TrainedNetwork,
    batch: SpectralBatch,
    front_end: FrontEnd,
    *,
    skip_rate_frac: float,
    loss: LossName = "log_error_ratio",
) -> float:
    """The same of a float network whose states are held in `skip_rate_frac` of the frames, evenly spread."""
    features = batch.features / trained.feature_scale
    updated = evenly_updated(len(features), skip_rate_frac)
    mask = held_mask_of(trained.params, features, trained.network, updated=updated)
    return _quality_of(mask, batch, front_end, loss=loss)


def _quality_of(mask: FloatArray, batch: SpectralBatch, front_end: FrontEnd, *, loss: LossName) -> float:
    value = LOSSES[loss](
        mask,
        synthesis=front_end.synthesis,
        noisy_power=batch.noisy_power,
        cross=batch.cross,
        clean_power=batch.clean_power,
    )
    return -float(value)


@dataclass(frozen=True)
class Bench:
    """A trained network and the sound that it is measured on."""

    baseline: TrainedNetwork
    batch: SpectralBatch
    front_end: FrontEnd
    loss: LossName = "log_error_ratio"

    @cached_property
    def reference_db(self) -> float:
        """Quality of the network as it is."""
        return spectral_quality_db(self.baseline, self.batch, self.front_end, loss=self.loss)

    def measured(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """A case of `cases_of` with its loss; one below 0 (compression that happens to help) counts as 0."""
        lost_db = round(max(self.reference_db - self._quality_db(case), 0.0), 4)
        return {**case, "one_shot_loss_db": lost_db}

    def _quality_db(self, case: Mapping[str, Any]) -> float:
        own, geometry = self.baseline, self.front_end
        if "layer" not in case:
            rate = case["skip_rate_frac"]
            return held_quality_db(own, self.batch, geometry, skip_rate_frac=rate, loss=self.loss)
        plan = CompressionPlan(layers={case["layer"]: _choice_of(case)})
        params = one_shot(own.params, plan, own.network)
        compressed = TrainedNetwork(own.network, params, own.feature_scale, plan, training={})
        return spectral_quality_db(compressed, self.batch, geometry, loss=self.loss)


def cases_of(space: Space) -> list[dict[str, Any]]:
    """What is measured: one layer's choice each, then one rate of skipped frames each."""
    layers = [{"layer": layer, **choice.model_dump(mode="json")} for layer, choice in _cases(space)]
    return [*layers, *({"skip_rate_frac": rate} for rate in _rates(space))]


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

    Then one per rate of skipped frames: the loss when every state is held in that share of the frames, evenly
    spread. A gate that learns which frames to skip does better; what retraining leaves of a loss covers that
    as it does for zeros.
    """
    bench, cases = Bench(baseline, batch, front_end, loss), cases_of(space)
    rows: list[dict[str, Any]] = []
    for case in cases:
        rows.append(bench.measured(case))
        if on_progress:
            on_progress(len(rows), len(cases))
    return rows


def _choice_of(row: Mapping[str, Any]) -> LayerPlan:
    return LayerPlan.model_validate({key: row[key] for key in LayerPlan.model_fields if key in row})


def sensitivity_model(
    rows: Sequence[Mapping[str, Any]], network: Network, *, recovery_frac: float
) -> SensitivityModel:
    """The model of measured rows: the bits' share is taken off the loss of each sparse row.

    A row `{"recovery": ...}`, where there is one, is what retrained picks told (`Recovery.document`).
    """
    zeros_db: list[dict[int, float]] = [{0: 0.0} for _ in network.layers]
    bits_db: list[dict[int, float]] = [{} for _ in network.layers]
    names = [layer.name for layer in network.layers]
    skips = [row for row in rows if "layer" not in row and "recovery" not in row]
    of_layers = [row for row in rows if "layer" in row]
    for row in sorted(of_layers, key=lambda row: row["sparsity_frac"]):
        layer = names.index(row["layer"])
        plan = batch_plans([CompressionPlan(layers={row["layer"]: _choice_of(row)})], network)
        bits = int(bits_keys(plan)[0, layer])
        zeros = int(zeros_keys(plan)[0, layer])
        if zeros == 0:
            bits_db[layer][bits] = row["one_shot_loss_db"]
        else:
            loss_db = max(row["one_shot_loss_db"] - bits_db[layer][bits], 0.0)
            zeros_db[layer][zeros] = loss_db
    rates = skip_keys(np.array([row["skip_rate_frac"] for row in skips], np.float64)).tolist()
    skip_db = {0: 0.0} | dict(zip(rates, (row["one_shot_loss_db"] for row in skips), strict=True))
    told = [recovery_of(row["recovery"]) for row in rows if "recovery" in row]
    return SensitivityModel(tuple(zeros_db), tuple(bits_db), recovery_frac, skip_db, *told)


def fitted_recovery_frac(one_shot_db: FloatArray, achieved_db: FloatArray) -> float | None:
    """Share of the one-shot loss that retraining left, by least squares over the picks; None without loss."""
    energy = float(np.square(one_shot_db).sum())
    if energy == 0.0:
        return None
    return float(np.dot(one_shot_db, np.maximum(achieved_db, 0.0)) / energy)


def _rates(space: Space) -> list[float]:
    """Rates of skipped frames above 0 that a plan of the space may have, rising."""
    offered = (p.choices for p in space.parameters if p.kind == "skip_rate_frac")
    return [float(rate) for choices in offered for rate in choices if float(rate) > 0.0]


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
