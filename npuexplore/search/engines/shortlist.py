"""The full model of several parts by look-up: one model for each, and designs that say which they are for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npuexplore.search.engines.look_up import LookUp
from npuexplore.search.evaluation import Constraint, Evaluation, joined_limits, of_several_parts
from npuexplore.search.parts import part_column
from npuexplore.search.space import Space
from npuexplore.units import IntArray


@dataclass(frozen=True)
class Shortlist:
    """What the models of several parts say of every design of a space in which the part is a choice."""

    space: Space
    parts: tuple[LookUp, ...]
    """Of the space's choices of `profile`, in their order, each over what `only_part` leaves."""

    @property
    def objectives(self) -> tuple[str, ...]:
        """What is minimised, on every part alike."""
        return self.parts[0].objectives

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """Every limit that some part has, as the first part has it; infinite where it has none."""
        return joined_limits(self._limits, of=0)

    @property
    def _limits(self) -> list[tuple[Constraint, ...]]:
        return [model.constraints for model in self.parts]

    @property
    def column(self) -> int:
        """The parameter that is the part."""
        column = part_column(self.space)
        assert column is not None, "a shortlist has several parts to choose from"
        return column

    def evaluate(self, rows: IntArray) -> Evaluation:
        """Objectives and violations of design rows (P, K)."""
        column = self.column
        own = rows.copy()
        own[:, column] = 0
        return of_several_parts(
            rows[:, column],
            self._limits,
            lambda part, index: self.parts[part].evaluate(own[index]),
        )

    def rows_of(self, part: int, rows: IntArray) -> IntArray:
        """(P, K) design rows of the whole space from those of one part's."""
        whole = np.array(rows)
        whole[:, self.column] = part
        return whole


FullModel = LookUp | Shortlist
"""The full model by look-up, of one part or of several."""
