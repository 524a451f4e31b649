"""A plan: what is done to each layer. One plan as a document, many plans as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from npuexplore.documents.model import Model
from npuexplore.errors import BadInput
from npuexplore.hardware.figures import ActivationBits, WeightBits
from npuexplore.workload.network import Conv1x1Layer, Network, positions_of

Structure = Literal["dense", "weight", "block", "unit", "two_four"]
STRUCTURES: tuple[str, ...] = get_args(Structure)
"""Index into this = the code in `PlanBatch.structure`."""

TWO_FOUR_SPARSITY_FRAC = 0.5
"""The one sparsity of `two_four`: two of every four."""

BlockShape = tuple[Annotated[int, Field(ge=1, le=256)], Annotated[int, Field(ge=1, le=256)]]


class LayerPlan(Model):
    """What is done to one layer.

    `sparsity_frac` is zeros/total of the layer's weights for `weight` and `block`, and the share of
    hidden units (or dense outputs, or output channels) removed for `unit`. Under `two_four` the two
    smallest of each aligned group of 4 inputs are zero, so that it is 0.5.
    """

    structure: Structure = "dense"
    sparsity_frac: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    block: Annotated[BlockShape, Field(strict=False)] | None = None
    """Block r x c = r outputs by c inputs; given for `block` only."""
    weight_bits: WeightBits = 8
    activation_bits: ActivationBits = 8

    @model_validator(mode="before")
    @classmethod
    def two_four_is_half_zero(cls, given: Any) -> Any:
        """The sparsity of two_four need not be written."""
        if isinstance(given, Mapping) and given.get("structure") == "two_four":
            return {"sparsity_frac": TWO_FOUR_SPARSITY_FRAC, **given}
        return given

    @model_validator(mode="after")
    def two_four_has_one_sparsity(self) -> LayerPlan:
        """Two of four is one half."""
        if self.structure == "two_four" and self.sparsity_frac != TWO_FOUR_SPARSITY_FRAC:
            raise ValueError(
                f"structure two_four has sparsity_frac 0.5, got {self.sparsity_frac:g}; leave it out"
            )
        return self

    @model_validator(mode="after")
    def block_only_for_block(self) -> LayerPlan:
        """A block shape belongs to the block structure, and that structure needs one."""
        if (self.structure == "block") != (self.block is not None):
            raise ValueError("block: [rows, columns] goes with structure: block, and only with it")
        return self

    @model_validator(mode="after")
    def dense_has_no_sparsity(self) -> LayerPlan:
        """Zeros need a structure."""
        if self.structure == "dense" and self.sparsity_frac:
            raise ValueError("structure dense has sparsity_frac 0; choose weight, block, unit or two_four")
        return self


class CompressionPlan(Model):
    """A choice per layer (layers not named stay dense int8), and how often state updates are skipped."""

    layers: Mapping[str, LayerPlan] = Field(default_factory=dict)
    skip_rate_frac: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0

    def of(self, layer_name: str) -> LayerPlan:
        """The choice for a layer."""
        return self.layers.get(layer_name, LayerPlan())


def check_plan(plan: CompressionPlan, network: Network) -> None:
    """Raise BadInput unless every named layer exists and units go only where they may."""
    names = [layer.name for layer in network.layers]
    whole = unit_keepers(network)
    for name, choice in plan.layers.items():
        if name not in names:
            raise BadInput(f"plan: layers.{name}: network {network.name} has no such layer; it has {names}")
        if choice.structure == "unit" and name in whole:
            raise BadInput(
                f"plan: layers.{name}: structure unit would remove {whole[name]}; use weight or block there"
            )


def unit_keepers(network: Network) -> dict[str, str]:
    """Layers that cannot lose units, and what their removal would take away.

    The last layer gives the mask. A conv1x1 layer needs the same channels at every position, which only a
    conv1x1 layer of as many positions before it can take away evenly.
    """
    keepers = {}
    for layer, following in zip(network.layers, network.layers[1:], strict=False):
        if isinstance(following, Conv1x1Layer) and positions_of(layer) != following.positions:
            keepers[layer.name] = f"single inputs of conv1x1 layer {following.name}"
    keepers[network.layers[-1].name] = "mask bands"
    return keepers


@dataclass(frozen=True)
class PlanBatch:
    """P plans over the L layers of one network, as arrays."""

    structure: NDArray[np.int8]
    """(P, L) index into STRUCTURES."""
    sparsity_frac: NDArray[np.float64]
    """(P, L)"""
    block_rows: NDArray[np.int64]
    """(P, L), 1 where the structure is not block."""
    block_columns: NDArray[np.int64]
    """(P, L), 1 where the structure is not block."""
    weight_bits: NDArray[np.int64]
    """(P, L)"""
    activation_bits: NDArray[np.int64]
    """(P, L)"""
    skip_rate_frac: NDArray[np.float64]
    """(P,)"""

    def __len__(self) -> int:
        return int(self.structure.shape[0])

    def take(self, index: NDArray[np.integer] | slice) -> PlanBatch:
        """The plans at `index`, in that order."""
        return PlanBatch(**{name: values[index] for name, values in vars(self).items()})


def batch_plans(plans: Sequence[CompressionPlan], network: Network) -> PlanBatch:
    """Arrays of several plans for one network; checks each plan against the network."""
    for plan in plans:
        check_plan(plan, network)
    table = [[plan.of(layer.name) for layer in network.layers] for plan in plans]
    blocks = [[choice.block or (1, 1) for choice in row] for row in table]
    return PlanBatch(
        structure=np.array([[STRUCTURES.index(c.structure) for c in row] for row in table], np.int8),
        sparsity_frac=np.array([[c.sparsity_frac for c in row] for row in table], np.float64),
        block_rows=np.array([[b[0] for b in row] for row in blocks], np.int64),
        block_columns=np.array([[b[1] for b in row] for row in blocks], np.int64),
        weight_bits=np.array([[c.weight_bits for c in row] for row in table], np.int64),
        activation_bits=np.array([[c.activation_bits for c in row] for row in table], np.int64),
        skip_rate_frac=np.array([plan.skip_rate_frac for plan in plans], np.float64),
    )


def plan_at(plans: PlanBatch, index: int, network: Network) -> CompressionPlan:
    """One plan of a batch as a document."""
    layers = {}
    for column, layer in enumerate(network.layers):
        structure = STRUCTURES[plans.structure[index, column]]
        block = (int(plans.block_rows[index, column]), int(plans.block_columns[index, column]))
        layers[layer.name] = LayerPlan.model_validate(
            {
                "structure": structure,
                "sparsity_frac": float(plans.sparsity_frac[index, column]),
                "block": block if structure == "block" else None,
                "weight_bits": int(plans.weight_bits[index, column]),
                "activation_bits": int(plans.activation_bits[index, column]),
            }
        )
    return CompressionPlan(layers=layers, skip_rate_frac=float(plans.skip_rate_frac[index]))


def uniform_plan(network: Network, choice: LayerPlan, *, skip_rate_frac: float = 0.0) -> CompressionPlan:
    """The same choice for every layer; under `unit`, layers that must keep theirs are dense, same bits."""
    layers = {layer.name: choice for layer in network.layers}
    if choice.structure == "unit":
        dense = choice.model_copy(update={"structure": "dense", "sparsity_frac": 0.0})
        layers |= dict.fromkeys(unit_keepers(network), dense)
    return CompressionPlan(layers=layers, skip_rate_frac=skip_rate_frac)
