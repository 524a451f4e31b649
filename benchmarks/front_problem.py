"""The problem that searches are compared on: a space, a part, and losses as they were measured.

`tinylstm` on ethos-u55-128 with at least 1e14 designs: mean latency, flash and loss of quality, and for
`WITH_ENERGY` energy, whose figures are assumed, as the part states none. What layers lose alone and together
lies in docs/results/search/losses.json (benchmarks/one_shot_losses.py). Alone, losses add up, on straight
lines between measured sparsities: the sensitivity model of studies. Together, two layers lose a share of the
smaller of their losses on top, as fitted to measured pairs, and never less than the worse of them alone: that
is no sum over layers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from npuexplore.compression.plan import PlanBatch
from npuexplore.errors import BadInput
from npuexplore.hardware.load import load_profile
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.pipeline.quality import SensitivityModel, bits_keys, sensitivity_model, skip_keys, zeros_keys
from npuexplore.search.engines.auto import by_factors
from npuexplore.search.engines.layers import rate_column
from npuexplore.search.engines.separable import SeparableModel, separable_model
from npuexplore.search.space import Space, SpaceSpec, plans_from, space_for
from npuexplore.workload.load import load_network

FOLDER = Path(__file__).parents[1] / "docs" / "results" / "search"
LOSSES = FOLDER / "losses.json"

NETWORK = "tinylstm"
SPEC = SpaceSpec(
    sparsity_frac=tuple(round(0.02 * step, 2) for step in range(50)),
    blocks=((1, 4), (1, 16), (2, 16), (4, 4), (8, 8), (16, 1), (16, 16)),
    activation_bits=(8, 16),
    skip_rate_frac=tuple(round(0.04 * step, 2) for step in range(16)),
)
RECOVERY_FRAC = 0.2
"""What retraining is expected to leave of losses, as in studies before any pick was retrained."""
WORST = 1.1
"""Where hypervolume ends, on the way from the ideal to the worst of the reference front."""


@dataclass(frozen=True)
class Question:
    """What is asked of the space."""

    part: str
    """Shipped profile, or path of a profile YAML."""
    objectives: tuple[str, ...]
    """The loss of quality last."""
    suffix: str = ""
    """Of the names of files that are kept."""

    @property
    def profile(self) -> HardwareProfile:
        return load_profile(self.part)

    def kept(self, name: str, folder: Path = FOLDER) -> Path:
        """Where a file lies: of `best-known.npz` maybe `best-known-energy.npz`."""
        path = folder / name
        return path.with_stem(path.stem + self.suffix)


PLAIN = Question("ethos-u55-128", ("mean_latency_ms", "flash_bytes", "quality_loss_db"))
WITH_ENERGY = Question(
    str(Path(__file__).with_name("ethos-u55-128-energy.yaml")),
    ("mean_latency_ms", "flash_bytes", "energy_uj", "quality_loss_db"),
    "-energy",
)

Row = Mapping[str, Any]
Coupling = Mapping[tuple[int, int], float]


def problem_space() -> Space:
    """1.68e14 designs."""
    return space_for(SPEC, load_network(NETWORK))


def measured_losses() -> dict[str, Any]:
    """Raises BadInput where they are missing."""
    if not LOSSES.is_file():
        raise BadInput(f"{LOSSES.name}: no such file; make it with benchmarks/one_shot_losses.py")
    return dict(json.loads(LOSSES.read_text(encoding="utf-8")))


def filled(rows: Sequence[Row]) -> Iterator[Row]:
    """Measured rows, with a row for every sparsity of the space, on straight lines between measured ones.

    A layer without zeros, at the most bits, is where the lines begin.
    """

    def kind(row: Row) -> str:
        return json.dumps([row.get("layer"), row.get("structure"), row.get("block")])

    dense = [row for row in rows if row.get("structure") == "dense"]
    start = {row["layer"]: row for row in sorted(dense, key=_bits)}
    for _, group in groupby(sorted(rows, key=kind), key=kind):
        own = list(group)
        if own[0].get("structure", "dense") == "dense":
            yield from own
            continue
        known = sorted([start[own[0]["layer"]], *own], key=lambda row: row["sparsity_frac"])
        at, lost = zip(*((row["sparsity_frac"], row["one_shot_loss_db"]) for row in known), strict=True)
        for sparsity in SPEC.sparsity_frac[1:]:
            loss_db = round(float(np.interp(sparsity, at, lost)), 4)
            yield {**own[0], "sparsity_frac": sparsity, "one_shot_loss_db": loss_db}


def _bits(row: Row) -> tuple[int, int]:
    return row["weight_bits"], row["activation_bits"]


def summed_model(losses: Row) -> SensitivityModel:
    """The losses of layers alone, as studies add them up before any pick was retrained."""
    return sensitivity_model(list(filled(losses["rows"])), load_network(NETWORK), recovery_frac=RECOVERY_FRAC)


def together(own: np.ndarray, coupling: Coupling) -> np.ndarray:
    """(P,) loss of layers that lose own (P, L) dB alone."""
    total = own.sum(axis=1)
    for (first, second), share in coupling.items():
        total = total + share * np.minimum(own[:, first], own[:, second])
    return np.maximum(total, own.max(axis=1))


def fitted_coupling(losses: Row) -> dict[tuple[int, int], float]:
    """Per pair of layers: the share of the smaller loss that the pair loses on top, by least squares.

    Each measured pair counts by its own losses, so that mild plans, which searches are about, count too.
    """
    names = [layer.name for layer in load_network(NETWORK).layers]
    found = {}
    for pair in combinations(names, 2):
        rows = [row for row in losses["pairs"] if tuple(row["alone_db"]) == pair]
        alone = np.array([list(row["alone_db"].values()) for row in rows])
        weight = 1.0 / np.maximum(alone.sum(axis=1), 0.1)
        extra = weight * (np.array([row["together_db"] for row in rows]) - alone.sum(axis=1))
        smaller = weight * alone.min(axis=1)
        share = float(extra @ smaller / (smaller @ smaller))
        found[names.index(pair[0]), names.index(pair[1])] = round(share, 4)
    return found


def losses_document(losses: Row) -> dict[str, Any]:
    """How near sums and coupled losses come to whole plans that no fit has seen, all before retraining."""
    names = [layer.name for layer in load_network(NETWORK).layers]
    coupling = fitted_coupling(losses)
    alone = np.array([list(row["alone_db"].values()) for row in losses["whole"]])
    measured = np.array([row["together_db"] for row in losses["whole"]])

    def beside(predicted: np.ndarray) -> dict[str, float]:
        tau = float(kendalltau(predicted, measured).statistic)
        mean_error_db = float(np.abs(predicted - measured).mean())
        return {"mean_error_db": round(mean_error_db, 3), "kendall_tau": round(tau, 3)}

    return {
        "measured_choices": len(losses["rows"]),
        "measured_pairs": len(losses["pairs"]),
        "recovery_frac": RECOVERY_FRAC,
        "coupling": {
            f"{names[first]}, {names[second]}": share for (first, second), share in coupling.items()
        },
        "whole_plans": len(measured),
        "summed": beside(alone.sum(axis=1)),
        "coupled": beside(together(alone, coupling)),
    }


def looked_up(losses: Mapping[int, float], keys: np.ndarray) -> np.ndarray:
    known = np.array(sorted(losses), np.int64)
    return np.array([losses[int(key)] for key in known])[np.searchsorted(known, keys)]


@dataclass(frozen=True)
class Problem:
    """Design rows (P, K) to (P, M): log10 of ms, bytes and uJ, dB."""

    model: SeparableModel
    coupling: Coupling
    question: Question = PLAIN

    def summed(self, rows: np.ndarray) -> np.ndarray:
        return by_factors(self.model.evaluate(rows).objectives, self.question.objectives)

    def full(self, rows: np.ndarray) -> np.ndarray:
        losses, asked = self.model.losses, self.model.look_up
        choices = asked.choices_of(rows)
        own = np.stack([each[choices[:, layer]] for layer, each in enumerate(losses.of_layers)], axis=1)
        apart = losses.of(choices, rows[:, rate_column(self.model.space)]) - own.sum(axis=1)
        found = asked.with_losses(rows, apart + together(own, self.coupling))
        return by_factors(found.objectives, self.question.objectives)

    def loss_db(self, plans: PlanBatch) -> np.ndarray:
        """(P,) what `full` says of plans, in dB."""
        summed = self.summed_losses
        zeros, bits = zeros_keys(plans).T, bits_keys(plans).T
        own = [
            looked_up(summed.zeros_db[layer], zeros[layer]) + looked_up(summed.bits_db[layer], bits[layer])
            for layer in range(len(zeros))
        ]
        least = self.least_losses
        skipped = looked_up(summed.skip_db, skip_keys(plans.skip_rate_frac))
        more = together(np.stack(own, axis=1) - least, self.coupling)
        return np.asarray(RECOVERY_FRAC * (skipped + least.sum() + more))

    @cached_property
    def least_losses(self) -> np.ndarray:
        """(L,) least one-shot dB that each layer may lose, from which `full` counts."""
        space, summed = self.model.space, self.summed_losses
        row = np.zeros((1, len(space.parameters)), np.int64)
        plans = plans_from(space, row)
        (choices,) = self.model.look_up.choices_of(row)
        above = [each[choice] for each, choice in zip(self.model.losses.of_layers, choices, strict=True)]
        zeros, bits = zeros_keys(plans)[0].tolist(), bits_keys(plans)[0].tolist()
        keyed = zip(summed.zeros_db, zeros, summed.bits_db, bits, strict=True)
        first = np.array([of_zeros[a] + of_bits[b] for of_zeros, a, of_bits, b in keyed])
        return np.asarray(first - np.array(above) / RECOVERY_FRAC)

    @cached_property
    def summed_losses(self) -> SensitivityModel:
        return summed_model(measured_losses())

    @property
    def sizes(self) -> list[int]:
        return [len(parameter.choices) for parameter in self.model.space.parameters]


def load_problem(question: Question = PLAIN) -> Problem:
    """Tables of all layers' choices (seconds). Raises BadInput where losses were not measured."""
    losses = measured_losses()
    model = separable_model(
        problem_space(),
        question.profile,
        objectives=question.objectives,
        constraints=(),
        loss_db=summed_model(losses).loss_db,
    )
    return Problem(model, fitted_coupling(losses), question)


def problem_digest(question: Question = PLAIN) -> str:
    """Of the space and the measured losses; what the part makes of them is looked at design by design."""
    parameters = [[each.name, list(each.choices)] for each in problem_space().parameters]
    losses = measured_losses()
    coupling = [[*pair, share] for pair, share in fitted_coupling(losses).items()]
    part, objectives = Path(question.part).stem, question.objectives
    made_of = [part, NETWORK, objectives, parameters, RECOVERY_FRAC, losses["rows"], coupling]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
