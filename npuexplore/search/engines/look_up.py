"""The full model by look-up: costs from tables of the layers' choices, the loss from the plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import PlanBatch
from npuexplore.cost.choices import ChoiceTables, choice_tables, totals_of_choices
from npuexplore.errors import BadInput
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.search.engines.layers import LayerChoices, layer_choices, rate_column
from npuexplore.search.evaluation import Constraint, Evaluation, violations_of
from npuexplore.search.space import Space, plans_from
from npuexplore.units import IntArray

Floats = NDArray[np.float64]
Loss = Callable[[PlanBatch], Floats]
LOSS = "quality_loss_db"
ENERGIES = frozenset({"energy_uj", "average_power_mw"})


@dataclass(frozen=True)
class LookUp:
    """What `estimate` and a loss of plans say of every design of a space, number by number."""

    space: Space
    layers: tuple[LayerChoices, ...]
    tables: ChoiceTables
    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...]
    loss_db: Loss

    def evaluate(self, rows: IntArray) -> Evaluation:
        """Objectives and violations of design rows (P, K)."""
        return self.with_losses(rows, self.loss_db(plans_from(self.space, rows)))

    def with_losses(self, rows: IntArray, loss_db: Floats) -> Evaluation:
        """The same with losses (P,) that are known already."""
        choices = self.choices_of(rows)
        totals = totals_of_choices(self.tables, choices, rows[:, rate_column(self.space)])

        def values(name: str) -> Floats:
            if name == LOSS:
                return np.asarray(loss_db, np.float64)
            if name == "engine_weight_bytes":
                return self._engine_weight_bytes(choices)
            return np.asarray(getattr(totals, name), np.float64)

        limited = [values(limit.name) for limit in self.constraints]
        return Evaluation(
            np.stack([values(name) for name in self.objectives], axis=1),
            violations_of(
                np.stack(limited, axis=1) if limited else np.zeros((len(rows), 0)), self.constraints
            ),
            self.constraints,
        )

    def choices_of(self, rows: IntArray) -> IntArray:
        """(P, L) choice of every layer of design rows (P, K)."""
        return np.stack([layer.of_rows(rows) for layer in self.layers], axis=1)

    def _engine_weight_bytes(self, choices: IntArray) -> Floats:
        total = np.zeros(len(choices))
        for layer in np.flatnonzero(self.tables.part.on_engine).tolist():
            table = self.tables.layers[layer]
            first = table.hand_over[choices[:, layer - 1] if layer else np.zeros(len(choices), np.intp)]
            total += table.weight_bytes[first + choices[:, layer]]
        return total


def look_up(
    space: Space,
    profile: HardwareProfile,
    *,
    objectives: Sequence[str],
    constraints: Sequence[Constraint],
    loss_db: Loss,
    memory_mode: str | None = None,
) -> LookUp:
    """Tables of a space on a part. loss_db : plans -> (P,) loss in dB.

    Raises BadInput for an objective of which the part states nothing.
    """
    layers = layer_choices(space)
    skip = space.parameters[rate_column(space)]
    tables = choice_tables(
        profile,
        space.network,
        [each.plans for each in layers],
        skip_rates_frac=[float(rate) for rate in skip.choices],
        memory_mode=memory_mode,
    )
    if tables.layers[0].energy_uj is None and not ENERGIES.isdisjoint(objectives):
        raise BadInput(
            f"search.objectives: {profile.name} states no energy per operation or byte; leave energy and "
            "power out or complete the profile"
        )
    return LookUp(space, layers, tables, tuple(objectives), tuple(constraints), loss_db)
