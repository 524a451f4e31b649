"""What one of the two matrices of a recurrent layer has of its own, beside what it shares with its layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_serializer, model_validator
from pydantic import SerializerFunctionWrapHandler as Wrapped

from npuexplore.documents.model import Model
from npuexplore.hardware.figures import WeightBits

TWO_FOUR_SPARSITY_FRAC = 0.5
"""The one sparsity of `two_four`: two of every four."""

MatrixStructure = Literal["dense", "weight", "block", "two_four"]
"""Structures that concern one matrix; units are a layer's."""

BlockShape = tuple[Annotated[int, Field(ge=1, le=256)], Annotated[int, Field(ge=1, le=256)]]


class MatrixPlan(Model):
    """What differs for one matrix; what is not given is as in the layer."""

    structure: MatrixStructure | None = None
    sparsity_frac: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None
    """zeros/total of this matrix."""
    block: Annotated[BlockShape, Field(strict=False)] | None = None
    """Block r x c = r outputs by c inputs."""
    weight_bits: WeightBits | None = None

    @model_validator(mode="after")
    def something_differs(self) -> MatrixPlan:
        """Nothing given would be a slip."""
        if all(value is None for _, value in self):
            raise ValueError(
                "got nothing; give structure, sparsity_frac, block or weight_bits, or leave it out"
            )
        return self

    @model_serializer(mode="wrap")
    def only_what_is_given(self, wrapped: Wrapped) -> dict[str, Any]:
        """What is as in the layer is not mentioned."""
        return {name: value for name, value in wrapped(self).items() if value is not None}


@dataclass(frozen=True)
class MatrixChoice:
    """What is done to one matrix, everything settled."""

    structure: str
    sparsity_frac: float
    block: tuple[int, int] | None
    weight_bits: WeightBits

    @property
    def zeros(self) -> tuple[str, float, tuple[int, int] | None]:
        """What decides which weights go; matrices that share it are pruned together."""
        return self.structure, self.sparsity_frac, self.block


def matrix_choice(layer: MatrixChoice, own: MatrixPlan) -> MatrixChoice:
    """What a matrix is treated with: its own, and the layer's where it has nothing of its own.

    Raises ValueError where the two do not go together.

    >>> half = MatrixChoice("weight", 0.5, None, 8)
    >>> matrix_choice(half, MatrixPlan(structure="dense", weight_bits=4))
    MatrixChoice(structure='dense', sparsity_frac=0.0, block=None, weight_bits=4)
    """
    structure = own.structure or layer.structure
    bits = own.weight_bits or layer.weight_bits
    if layer.structure == "unit":
        if (own.structure, own.sparsity_frac, own.block) != (None, None, None):
            raise ValueError(
                "structure unit takes whole units out of both matrices; give only weight_bits here"
            )
        return MatrixChoice(structure, layer.sparsity_frac, None, bits)
    block = own.block or (layer.block if structure == "block" else None)
    if (structure == "block") != (block is not None):
        raise ValueError(
            f"got structure {structure} and block {_listed(block)}; "
            "block: [rows, columns] goes with structure: block, and only with it"
        )
    return MatrixChoice(structure, _sparsity_frac(layer, own, structure), block, bits)


def _sparsity_frac(layer: MatrixChoice, own: MatrixPlan, structure: str) -> float:
    """Zeros of a matrix under its own structure."""
    given = own.sparsity_frac
    if structure in ("dense", "two_four"):
        only = 0.0 if structure == "dense" else TWO_FOUR_SPARSITY_FRAC
        if given not in (None, only):
            raise ValueError(f"structure {structure} has sparsity_frac {only:g}, got {given:g}; leave it out")
        return only
    if given is None and layer.structure == "dense":
        raise ValueError(f"structure {structure}: how sparse? the layer is dense; give sparsity_frac too")
    return layer.sparsity_frac if given is None else given


def _listed(block: tuple[int, int] | None) -> str:
    return "none" if block is None else str(list(block))
