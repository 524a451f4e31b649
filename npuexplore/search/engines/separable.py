"""A space on a part as the exact search sees it: every figure a sum over layers, or their peak.

The costs are the estimator's own tables, which say of every design what `estimate` says. The loss of quality
is any function of plans; whether it is a sum over layers is tried out, not assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from npuexplore.compression.plan import CHOICE_FIELDS
from npuexplore.cost.choices import ChoiceTables
from npuexplore.errors import BadInput
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.search.engines.layers import LayerChoices, rate_column
from npuexplore.search.engines.look_up import ENERGIES, LOSS, Floats, LookUp, Loss, look_up
from npuexplore.search.evaluation import Constraint, Evaluation
from npuexplore.search.space import Space, plans_from, random_choices
from npuexplore.units import IntArray

TRIED_PLANS = 512
"""Random designs whose loss must be the sum of their layers' losses."""
SAME_DB = 1e-9
"""Losses that differ by rounding alone."""

KNOWN = (
    "latency_ms",
    "mean_latency_ms",
    "cycles",
    "flash_bytes",
    "sram_bytes",
    "energy_uj",
    "average_power_mw",
    LOSS,
)
LIMITABLE = ("latency_ms", "cycles", "flash_bytes", "sram_bytes", "engine_weight_bytes", LOSS)


@dataclass(frozen=True)
class LayerLosses:
    """The loss of a plan as a sum: of the whole, of each layer's choice, of the skipping."""

    constant_db: float
    of_layers: tuple[Floats, ...]
    """(C,) each, at least 0."""
    of_rates: Floats
    """(R,) at least 0."""

    def of(self, choices: IntArray, rates: IntArray) -> Floats:
        """(P,) losses of choices (P, L) and rates (P,)."""
        total = self.constant_db + self.of_rates[rates]
        for layer, own in enumerate(self.of_layers):
            total += own[choices[:, layer]]
        return np.asarray(total)


@dataclass(frozen=True)
class SeparableModel:
    """Costs and losses of every design of a space, each a sum over layers (or a peak)."""

    look_up: LookUp
    losses: LayerLosses
    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...]

    @property
    def space(self) -> Space:
        """What may be chosen."""
        return self.look_up.space

    @property
    def layers(self) -> tuple[LayerChoices, ...]:
        """The choices of every layer."""
        return self.look_up.layers

    @property
    def tables(self) -> ChoiceTables:
        """The costs of every layer's choices."""
        return self.look_up.tables

    def evaluate(self, rows: IntArray) -> Evaluation:
        """Objectives and violations of design rows (P, K)."""
        rates = rows[:, rate_column(self.space)]
        asked = replace(self.look_up, objectives=self.objectives, constraints=self.constraints)
        return asked.with_losses(rows, self.losses.of(asked.choices_of(rows), rates))


def separable_model(
    space: Space,
    profile: HardwareProfile,
    *,
    objectives: Sequence[str],
    constraints: Sequence[Constraint],
    loss_db: Loss,
    memory_mode: str | None = None,
) -> SeparableModel:
    """Tables of a space on a part.

    loss_db : plans -> (P,) loss in dB. Raises BadInput, naming the figure, where one is not a sum over layers
    (or a peak) and so a front could not be proved.
    """
    _refuse_falling_energy(profile, objectives)
    found = look_up(
        space,
        profile,
        objectives=objectives,
        constraints=constraints,
        loss_db=loss_db,
        memory_mode=memory_mode,
    )
    return separated(found)


def separated(full: LookUp, *, relaxed: bool = False) -> SeparableModel:
    """A full model taken apart by layers.

    relaxed : where it cannot be, take what changing one layer of the first design at a time says. Without
    that raises BadInput, naming the figure, where one is not a sum over layers (or a peak).
    """
    unknown = [name for name in full.objectives if name not in KNOWN]
    unknown += [limit.name for limit in full.constraints if limit.name not in LIMITABLE]
    if unknown:
        raise BadInput(
            f"search.engine: exact cannot take {', '.join(unknown)} apart by layers; it knows "
            f"{', '.join(KNOWN)}; leave the others out or choose evolve"
        )
    if not relaxed:
        _refuse_falling_energy(full.tables.part.profile, full.objectives)
    losses = layer_losses(full.space, full.layers, full.loss_db, relaxed=relaxed)
    return SeparableModel(full, losses, full.objectives, full.constraints)


def _refuse_falling_energy(profile: HardwareProfile, objectives: Sequence[str]) -> None:
    wanted = [name for name in objectives if name in ENERGIES]
    active_mw, idle_mw = profile.energy.active_power_mw or 0.0, profile.energy.idle_power_mw or 0.0
    if wanted and active_mw < idle_mw:
        raise BadInput(
            f"search.engine: exact cannot prove a front of {wanted[0]} on {profile.name}: its power falls "
            f"from {idle_mw:g} mW idle to {active_mw:g} mW at work, so that a faster plan may take more; "
            "choose evolve, or another objective"
        )


def layer_losses(
    space: Space, layers: tuple[LayerChoices, ...], loss_db: Loss, *, relaxed: bool = False
) -> LayerLosses:
    """A loss of plans taken apart by layers, by changing one layer of one plan at a time.

    Raises BadInput, unless `relaxed`, where the losses of layers do not add up to the losses of random plans.
    """
    width, rate = len(space.parameters), rate_column(space)
    base = np.zeros((1, width), np.int64)
    constant = float(loss_db(plans_from(space, base))[0])
    of_layers = []
    for layer in layers:
        first = np.unique(layer.choice_of, return_index=True)[1]
        rows = np.repeat(base, len(first), axis=0)
        if layer.own.size:
            rows[:, layer.own] = np.stack(np.unravel_index(first, layer.sizes), axis=1)
        of_layers.append(_alone(space, layers, layer, rows, loss_db) - constant)
    rows = np.repeat(base, len(space.parameters[rate].choices), axis=0)
    rows[:, rate] = np.arange(len(rows))
    of_rates = loss_db(plans_from(space, rows)) - constant
    constant += sum(float(each.min()) for each in (*of_layers, of_rates))
    found = LayerLosses(
        round(constant, 12), tuple(_from_zero(each) for each in of_layers), _from_zero(of_rates)
    )
    if not relaxed:
        _refuse_other_than_sums(space, layers, found, loss_db)
    return found


def _alone(
    space: Space, layers: tuple[LayerChoices, ...], layer: LayerChoices, rows: IntArray, loss_db: Loss
) -> Floats:
    """(C,) losses of plans in which one layer has each of its choices and all others their first."""
    plans = plans_from(space, rows)
    column = next(index for index, each in enumerate(layers) if each is layer)
    others = plans_from(space, np.zeros_like(rows))
    for name in (*CHOICE_FIELDS, "activation_bits"):
        getattr(others, name)[:, column] = getattr(plans, name)[:, column]
    if others.matrices is not None and plans.matrices is not None:
        own = np.array(others.matrices.owner) == column
        for name in CHOICE_FIELDS:
            getattr(others.matrices, name)[:, own] = getattr(plans.matrices, name)[:, own]
    return np.asarray(loss_db(others), np.float64)


def _from_zero(values: Floats) -> Floats:
    return np.asarray(np.round(values - values.min(), 12), np.float64)


def _refuse_other_than_sums(
    space: Space, layers: tuple[LayerChoices, ...], losses: LayerLosses, loss_db: Loss
) -> None:
    rows = random_choices(space, np.random.default_rng(0), TRIED_PLANS)
    whole = np.asarray(loss_db(plans_from(space, rows)), np.float64)
    choices = np.stack([layer.of_rows(rows) for layer in layers], axis=1)
    parts = losses.of(choices, rows[:, rate_column(space)])
    apart = np.abs(whole - parts)
    worst = int(np.argmax(apart))
    if not apart[worst] <= SAME_DB:
        raise BadInput(
            f"search.engine: exact needs a {LOSS} that is a sum over layers; of a random plan the model says "
            f"{whole[worst]:.4g} dB and its layers add up to {parts[worst]:.4g} dB; choose evolve or auto"
        )
