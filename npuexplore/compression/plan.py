"""A plan: what is done to each layer. One plan as a document, many plans as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator, model_serializer, model_validator
from pydantic import SerializerFunctionWrapHandler as Wrapped

from npuexplore.compression.matrix_plan import (
    TWO_FOUR_SPARSITY_FRAC,
    BlockShape,
    MatrixChoice,
    MatrixPlan,
    matrix_choice,
)
from npuexplore.documents.model import Model
from npuexplore.errors import BadInput
from npuexplore.hardware.figures import ActivationBits, WeightBits
from npuexplore.workload.network import Conv1x1Layer, Network, is_recurrent, matrices, positions_of

Structure = Literal["dense", "weight", "block", "unit", "two_four"]
STRUCTURES: tuple[str, ...] = get_args(Structure)
"""Index into this = the code in `PlanBatch.structure`."""

Scales = Literal["tensor", "channel"]

MATRIX_KEYS = {"w_ih": "w_x", "w_hh": "w_h"}
"""Keys of a layer's plan by the arrays that they are about; `w` of other layers has none."""


class LayerPlan(Model):
    """What is done to one layer.

    `sparsity_frac` is zeros/total of the layer's weights for `weight` and `block`, and the share of
    hidden units (or dense outputs, or output channels) removed for `unit`. Under `two_four` the two
    smallest of each aligned group of 4 inputs are zero, so that it is 0.5. The two matrices of a recurrent
    layer share all this unless `w_x` or `w_h` say otherwise.
    """

    structure: Structure = "dense"
    sparsity_frac: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    block: Annotated[BlockShape, Field(strict=False)] | None = None
    """Block r x c = r outputs by c inputs; given for `block` only."""
    weight_bits: WeightBits = 8
    activation_bits: ActivationBits = 8
    scales: Scales = "tensor"
    """How many steps the grid of the weights has: one for the matrix, or one for each output (`channel`,
    dense layers only). Recurrent layers have one for each gate of each matrix."""
    w_x: MatrixPlan | None = None
    """What differs for the matrix that multiplies the layer's input (recurrent layers only)."""
    w_h: MatrixPlan | None = None
    """What differs for the matrix that multiplies the layer's own state (recurrent layers only)."""

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

    @field_validator("w_x", "w_h")
    @classmethod
    def matrix_goes_with_the_layer(cls, own: MatrixPlan | None, info: ValidationInfo) -> MatrixPlan | None:
        """What a matrix has of its own makes sense beside what it takes from its layer."""
        layer = info.data
        if own is not None and {"structure", "sparsity_frac", "block", "weight_bits"} <= set(layer):
            whole = MatrixChoice(
                layer["structure"], layer["sparsity_frac"], layer["block"], layer["weight_bits"]
            )
            if (whole.structure == "block") == (whole.block is not None):
                matrix_choice(whole, own)
        return own

    @model_serializer(mode="wrap")
    def without_matrices_that_share(self, wrapped: Wrapped) -> dict[str, Any]:
        """A layer whose matrices have nothing of their own does not mention them, nor a single scale."""
        document: dict[str, Any] = wrapped(self)
        unsaid = {"scales": "tensor", **dict.fromkeys(MATRIX_KEYS.values())}
        return {name: value for name, value in document.items() if value != unsaid.get(name, ...)}

    def of_matrix(self, name: str) -> MatrixChoice:
        """What is done to a matrix, named as among the parameters: `w_ih`, `w_hh` or `w`.

        >>> layer = LayerPlan(structure="weight", sparsity_frac=0.5, w_h=MatrixPlan(weight_bits=4))
        >>> [layer.of_matrix(name).weight_bits for name in ("w_ih", "w_hh")]
        [8, 4]
        """
        own = getattr(self, MATRIX_KEYS[name]) if name in MATRIX_KEYS else None
        whole = MatrixChoice(self.structure, self.sparsity_frac, self.block, self.weight_bits)
        return whole if own is None else matrix_choice(whole, own)

    @property
    def matrices_differ(self) -> bool:
        """Whether the layer's two matrices are not treated alike."""
        own = self.w_x is not None or self.w_h is not None
        return own and self.of_matrix("w_ih") != self.of_matrix("w_hh")

    @property
    def shared(self) -> LayerPlan | MatrixChoice:
        """What both matrices are treated with; the layer's own words where they differ."""
        own = self.w_x is not None or self.w_h is not None
        return self.of_matrix("w_ih") if own and not self.matrices_differ else self


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
        layer = network.layers[names.index(name)]
        own = [key for key in MATRIX_KEYS.values() if getattr(choice, key) is not None]
        if own and not is_recurrent(layer):
            raise BadInput(
                f"plan: layers.{name}.{own[0]}: a {layer.kind} layer has one matrix; leave {own[0]} out and "
                "say it of the layer"
            )
        if choice.scales == "channel" and layer.kind != "dense":
            raise BadInput(
                f"plan: layers.{name}.scales: got channel; {layer.kind} kernels take one scale per "
                f"{'gate' if is_recurrent(layer) else 'matrix'}; leave scales out, only dense layers have it"
            )
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


CHOICE_FIELDS = ("structure", "sparsity_frac", "block_rows", "block_columns", "weight_bits")
"""Arrays that a batch has of layers and of matrices alike."""


@dataclass(frozen=True)
class MatrixBatch:
    """What P plans do to each of the M matrices of a network, layers' choices repeated."""

    structure: NDArray[np.int8]
    """(P, M) index into STRUCTURES."""
    sparsity_frac: NDArray[np.float64]
    """(P, M)"""
    block_rows: NDArray[np.int64]
    """(P, M), 1 where the structure is not block."""
    block_columns: NDArray[np.int64]
    """(P, M), 1 where the structure is not block."""
    weight_bits: NDArray[np.int64]
    """(P, M)"""
    owner: tuple[int, ...]
    """Layer of each matrix."""

    def take(self, index: NDArray[np.integer] | slice) -> MatrixBatch:
        """The plans at `index`, in that order."""
        return replace(self, **{name: getattr(self, name)[index] for name in CHOICE_FIELDS})


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
    matrices: MatrixBatch | None = None
    """Of every matrix, where those of some layer differ; None where each follows its layer."""
    channel_scales: NDArray[np.bool_] | None = None
    """(P, L) whether each output has a scale of its own; None where none has."""
    part: NDArray[np.int64] | None = None
    """(P,) which of a study's several parts each plan is for; None where there is one."""

    def __len__(self) -> int:
        return int(self.structure.shape[0])

    def take(self, index: NDArray[np.integer] | slice) -> PlanBatch:
        """The plans at `index`, in that order."""
        return PlanBatch(**{name: _taken(values, index) for name, values in vars(self).items()})


def _taken(values: Any, index: NDArray[np.integer] | slice) -> Any:
    if values is None:
        return None
    return values.take(index) if isinstance(values, MatrixBatch) else values[index]


def batch_plans(plans: Sequence[CompressionPlan], network: Network) -> PlanBatch:
    """Arrays of several plans for one network; checks each plan against the network."""
    for plan in plans:
        check_plan(plan, network)
    table = [[plan.of(layer.name) for layer in network.layers] for plan in plans]
    activation_bits = [[choice.activation_bits for choice in row] for row in table]
    per_channel = np.array([[choice.scales == "channel" for choice in row] for row in table], np.bool_)
    own = None
    if any(choice.matrices_differ for row in table for choice in row):
        names = [(layer, matrix) for layer, matrix, _, _ in matrices(network)]
        rows = [[plan.of(layer).of_matrix(name) for layer, name in names] for plan in plans]
        owner = [layer.name for layer in network.layers]
        own = MatrixBatch(**_choice_arrays(rows), owner=tuple(owner.index(layer) for layer, _ in names))
    return PlanBatch(
        **_choice_arrays([[choice.shared for choice in row] for row in table]),
        activation_bits=np.array(activation_bits, np.int64),
        skip_rate_frac=np.array([plan.skip_rate_frac for plan in plans], np.float64),
        matrices=own,
        channel_scales=per_channel if per_channel.any() else None,
    )


def _choice_arrays(table: Sequence[Sequence[LayerPlan | MatrixChoice]]) -> dict[str, NDArray[Any]]:
    """(P, L) or (P, M) arrays of choices."""
    blocks = [[choice.block or (1, 1) for choice in row] for row in table]
    return {
        "structure": np.array([[STRUCTURES.index(c.structure) for c in row] for row in table], np.int8),
        "sparsity_frac": np.array([[c.sparsity_frac for c in row] for row in table], np.float64),
        "block_rows": np.array([[b[0] for b in row] for row in blocks], np.int64),
        "block_columns": np.array([[b[1] for b in row] for row in blocks], np.int64),
        "weight_bits": np.array([[c.weight_bits for c in row] for row in table], np.int64),
    }


def matrices_of(plans: PlanBatch, owner: Sequence[int]) -> MatrixBatch:
    """What plans do to each matrix; each follows its layer where the plans do not say otherwise.

    owner : (M,) layer of each matrix
    """
    if plans.matrices is not None:
        return plans.matrices
    repeated = {name: getattr(plans, name)[:, list(owner)] for name in CHOICE_FIELDS}
    return MatrixBatch(**repeated, owner=tuple(owner))


def has_sparse_weights(plans: PlanBatch) -> bool:
    """Whether any plan leaves zeros among the weights that it keeps."""
    choices = plans if plans.matrices is None else plans.matrices
    keeps_all = [STRUCTURES.index(name) for name in ("dense", "unit")]
    return bool((~np.isin(choices.structure, keeps_all) & (choices.sparsity_frac > 0)).any())


def plan_at(plans: PlanBatch, index: int, network: Network) -> CompressionPlan:
    """One plan of a batch as a document."""
    layers = {}
    names = [(layer, matrix) for layer, matrix, _, _ in matrices(network)]
    for column, layer in enumerate(network.layers):
        document = {
            **_choice_document(plans, index, column),
            "activation_bits": int(plans.activation_bits[index, column]),
        }
        if plans.channel_scales is not None and plans.channel_scales[index, column]:
            document["scales"] = "channel"
        if plans.matrices is not None and is_recurrent(layer):
            columns = [names.index((layer.name, name)) for name in MATRIX_KEYS]
            own = [_choice_document(plans.matrices, index, each) for each in columns]
            if own[0] != own[1]:
                document |= _own_documents(document, zip(MATRIX_KEYS.values(), own, strict=True))
        layers[layer.name] = LayerPlan.model_validate(document)
    return CompressionPlan(layers=layers, skip_rate_frac=float(plans.skip_rate_frac[index]))


def _choice_document(plans: PlanBatch | MatrixBatch, index: int, column: int) -> dict[str, Any]:
    structure = STRUCTURES[plans.structure[index, column]]
    block = (int(plans.block_rows[index, column]), int(plans.block_columns[index, column]))
    return {
        "structure": structure,
        "sparsity_frac": float(plans.sparsity_frac[index, column]),
        "block": block if structure == "block" else None,
        "weight_bits": int(plans.weight_bits[index, column]),
    }


def _own_documents(
    layer: Mapping[str, Any], own: Iterable[tuple[str, Mapping[str, Any]]]
) -> dict[str, dict[str, Any]]:
    """What each matrix has that its layer has not; another structure with its own sparsity."""

    def differs(matrix: Mapping[str, Any], name: str) -> bool:
        return matrix[name] != layer[name] or (
            name == "sparsity_frac" and matrix["structure"] != layer["structure"]
        )

    given = {key: {name: one[name] for name in one if differs(one, name)} for key, one in own}
    return {key: document for key, document in given.items() if document}


def uniform_plan(network: Network, choice: LayerPlan, *, skip_rate_frac: float = 0.0) -> CompressionPlan:
    """The same choice for every layer.

    Under `unit`, layers that must keep theirs are dense, same bits; scales per channel are dense layers'.
    """
    layers = {layer.name: choice for layer in network.layers}
    if choice.structure == "unit":
        dense = choice.model_copy(update={"structure": "dense", "sparsity_frac": 0.0})
        layers |= dict.fromkeys(unit_keepers(network), dense)
    for layer in network.layers:
        if layer.kind != "dense" and choice.scales == "channel":
            layers[layer.name] = layers[layer.name].model_copy(update={"scales": "tensor"})
    return CompressionPlan(layers=layers, skip_rate_frac=skip_rate_frac)
