"""The search space: which choices each layer has, and plans made from choice indices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_serializer, model_validator
from pydantic import SerializerFunctionWrapHandler as Wrapped

from npuexplore.compression.matrix_plan import BlockShape
from npuexplore.compression.plan import (
    STRUCTURES,
    LayerPlan,
    PlanBatch,
    Structure,
    batch_plans,
    check_plan,
    matrices_of,
    unit_keepers,
)
from npuexplore.compression.plan import CompressionPlan as _Plan
from npuexplore.documents.model import Model
from npuexplore.errors import BadInput
from npuexplore.hardware.figures import ActivationBits, WeightBits
from npuexplore.search.canonical import canonical, with_matrices
from npuexplore.search.hidden_sizes import HiddenSizes, refuse_sizes, size_choices, sized_sparsity
from npuexplore.units import IntArray
from npuexplore.workload.network import Network, matrices

Choice = str | float | int
Params = Mapping[str, Any]
"""A design as a document: parameter name -> choice."""

ParameterKind = Literal[
    "profile", "structure", "sparsity_frac", "weight_bits", "activation_bits", "skip_rate_frac"
]

DEFAULT_BLOCK: tuple[int, int] = (1, 16)
"""Block shape where neither the study nor the part names one."""

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class SpaceSpec(Model):
    """What the search may choose from, for every layer alike unless `fixed` says otherwise."""

    structures: Annotated[tuple[Structure, ...], Field(min_length=1, strict=False)] = (
        "weight",
        "block",
        "unit",
    )
    """Sparsity structures to choose from; a sparsity of 0 is a dense layer under any of them, and any other
    one is 0.5 under two_four."""
    sparsity_frac: Annotated[tuple[Fraction, ...], Field(min_length=1, max_length=64, strict=False)] = (
        0.0,
        0.3,
        0.5,
        0.6,
        0.7,
        0.8,
        0.9,
    )
    """Grid of sparsities (zeros/total, or removed units for `unit`), rising, each in 0..1 (1 left out)."""
    blocks: (
        Annotated[
            tuple[Annotated[BlockShape, Field(strict=False)], ...],
            Field(min_length=1, max_length=16, strict=False),
        ]
        | None
    ) = None
    """Block shapes [outputs, inputs]; where not given, those whose zero blocks the part skips."""
    hidden_units: HiddenSizes | None = None
    """Hidden sizes that recurrent layers may have under `unit`, instead of the grid of sparsities: so many
    units stay, the others are removed. The layer's own size is the dense layer."""
    weight_bits: Annotated[tuple[WeightBits, ...], Field(min_length=1, strict=False)] = (4, 8)
    """Bits of a stored weight, rising."""
    activation_bits: Annotated[tuple[ActivationBits, ...], Field(min_length=1, strict=False)] = (8,)
    """Bits of an activation, rising."""
    skip_rate_frac: Annotated[tuple[Fraction, ...], Field(min_length=1, max_length=16, strict=False)] = (0.0,)
    """Grid of shares of frames in which the recurrent state is not updated, rising."""
    tied: bool = False
    """Give all layers the same choice; without it each layer chooses for itself."""
    fixed: Mapping[str, LayerPlan] = Field(default_factory=dict)
    """Layers that the search leaves alone, by name, with the plan that they have."""

    @field_validator("structures", "blocks", "hidden_units")
    @classmethod
    def choices_differ(cls, choices: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        """The same choice twice would only waste trials."""
        for choice in choices or ():
            if choices is not None and choices.count(choice) > 1:
                raise ValueError(f"{choice} is listed twice; list each choice once")
        return choices

    @field_validator("sparsity_frac", "weight_bits", "activation_bits", "skip_rate_frac")
    @classmethod
    def grid_rises(cls, grid: tuple[float, ...]) -> tuple[float, ...]:
        """A grid is listed in rising order, no value twice."""
        if list(grid) != sorted(set(grid)):
            raise ValueError(
                f"got {list(grid)}; list the values in rising order, each once: {sorted(set(grid))}"
            )
        return grid

    @model_validator(mode="after")
    def blocks_go_with_block(self) -> SpaceSpec:
        """Block shapes without the block structure would be ignored."""
        if self.blocks is not None and "block" not in self.structures:
            raise ValueError(
                f"blocks needs block among structures, got {list(self.structures)}; add it there"
            )
        return self

    @model_validator(mode="after")
    def sizes_go_with_unit_and_free_layers(self) -> SpaceSpec:
        """A size is what unit sparsity leaves of one layer; tied layers may have several."""
        if self.hidden_units is not None and ("unit" not in self.structures or self.tied):
            got = "tied layers" if self.tied else f"structures {list(self.structures)}"
            raise ValueError(f"hidden_units needs unit among structures and layers that are free, got {got}")
        return self

    @model_serializer(mode="wrap")
    def without_sizes_where_none_are_given(self, wrapped: Wrapped) -> dict[str, Any]:
        """Hidden sizes are mentioned where there are some."""
        document: dict[str, Any] = wrapped(self)
        return {name: value for name, value in document.items() if (name, value) != ("hidden_units", None)}

    @model_validator(mode="after")
    def something_to_choose(self) -> SpaceSpec:
        """Sparse structures at sparsity 0 alone are all the same dense network."""
        if set(self.structures) != {"dense"} and self.sparsity_frac == (0.0,):
            raise ValueError("sparsity_frac [0.0] leaves every structure dense; add values above 0")
        return self


@dataclass(frozen=True)
class Parameter:
    """One thing to choose: `lstm_1.sparsity_frac` and its choices."""

    name: str
    kind: ParameterKind
    columns: tuple[int, ...]
    """Layers that the choice holds for; empty for the part and for the skip rate."""
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Space:
    """Every parameter of a search over one network, and the plan of the layers that are not searched."""

    network: Network
    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, LayerPlan]
    parts: tuple[str, ...] = ()
    """The study's several parts, which `PlanBatch.part` counts; empty where there is one."""

    @property
    def designs(self) -> int:
        """How many combinations of choices there are (several may mean the same plan)."""
        return math.prod(len(parameter.choices) for parameter in self.parameters)

    @property
    def structures(self) -> tuple[str, ...]:
        """Sparse structures that some layer may have, in the order of STRUCTURES."""
        present = {
            str(choice).split()[0]
            for parameter in self.parameters
            if parameter.kind == "structure"
            for choice in parameter.choices
        }
        return tuple(name for name in STRUCTURES if name in present and name != "dense")


def space_for(
    spec: SpaceSpec,
    network: Network,
    profile_blocks: Sequence[tuple[int, int]] = (),
    parts: Sequence[str] = (),
) -> Space:
    """The parameters of `spec` over the layers of `network`.

    profile_blocks : block shapes whose zeros the part skips, used where the spec names none. parts : names
    of the parts, where there are several: which of them is the first parameter, `profile`.
    Raises BadInput when `fixed` names an unknown layer or a plan that the layer cannot have, and when
    no layer is left to search. The layer that gives the mask never has the structure `unit`: its
    outputs are the mask bands; nor has a layer whose outputs a conv1x1 layer needs all.
    """
    _check_fixed(spec, network)
    free = [index for index, layer in enumerate(network.layers) if layer.name not in spec.fixed]
    blocks = tuple(spec.blocks or profile_blocks or (DEFAULT_BLOCK,))
    groups = (
        [("all", tuple(free))] if spec.tied else [(network.layers[index].name, (index,)) for index in free]
    )
    whole = unit_keepers(network)
    keepers = {index for index, layer in enumerate(network.layers) if layer.name in whole}
    refuse_sizes(spec.hidden_units or (), [network.layers[index] for index in free if index not in keepers])
    several = tuple(parts) if len(parts) > 1 else ()
    parameters = [Parameter("profile", "profile", (), several)] if several else []
    parameters += [
        parameter
        for name, columns in groups
        for parameter in _layer_parameters(
            name, columns, spec, blocks, network, keeps_units=keepers.issuperset(columns)
        )
    ]
    parameters.append(Parameter("skip_rate_frac", "skip_rate_frac", (), spec.skip_rate_frac))
    return Space(network, tuple(parameters), dict(spec.fixed), several)


def _check_fixed(spec: SpaceSpec, network: Network) -> None:
    try:
        check_plan(_Plan(layers=spec.fixed), network)
    except BadInput as error:
        raise BadInput(f"space.fixed: {error}") from None
    if all(layer.name in spec.fixed for layer in network.layers):
        raise BadInput(
            f"space.fixed: all {len(network.layers)} layers of {network.name} are fixed; "
            "leave at least one to search"
        )


def _layer_parameters(
    name: str,
    columns: tuple[int, ...],
    spec: SpaceSpec,
    blocks: tuple[tuple[int, int], ...],
    network: Network,
    *,
    keeps_units: bool,
) -> list[Parameter]:
    structures: list[str] = []
    for structure in spec.structures:
        if structure == "block":
            structures += [f"block {rows}x{columns_}" for rows, columns_ in blocks]
        elif structure == "unit" and keeps_units:
            structures += ["dense"] if "dense" not in spec.structures else []
        elif structure == "unit":
            structures += size_choices(network.layers[columns[0]], spec.hidden_units or ())
        else:
            structures.append(structure)
    grids: list[tuple[ParameterKind, tuple[Choice, ...]]] = [
        ("structure", tuple(structures)),
        ("sparsity_frac", spec.sparsity_frac),
        ("weight_bits", spec.weight_bits),
        ("activation_bits", spec.activation_bits),
    ]
    return [Parameter(f"{name}.{kind}", kind, columns, choices) for kind, choices in grids]


def only_structure(space: Space, structure: str) -> Space:
    """The part of a space in which no layer has another sparse structure than `structure`.

    A layer that cannot have it (the mask layer under `unit`) is dense there.
    """
    narrowed = []
    for parameter in space.parameters:
        if parameter.kind == "structure":
            kept = tuple(c for c in parameter.choices if str(c).split()[0] == structure)
            parameter = replace(parameter, choices=kept or ("dense",))
        narrowed.append(parameter)
    return replace(space, parameters=tuple(narrowed))


def random_choices(space: Space, rng: np.random.Generator, count: int) -> IntArray:
    """Choice indices of `count` random designs, (count, K) int64."""
    sizes = np.array([len(parameter.choices) for parameter in space.parameters])
    return rng.integers(sizes, size=(count, sizes.size))


def all_choices(space: Space) -> IntArray:
    """Choice indices of every design in order, (designs, K) int64; for spaces that fit in memory."""
    sizes = [len(parameter.choices) for parameter in space.parameters]
    return np.indices(sizes).reshape(len(sizes), -1).T


def plans_from(space: Space, choices: IntArray) -> PlanBatch:
    """Plans of choice indices.

    choices : (P, K) int, one column per parameter; returns P plans over the L layers of the network.
    A sparsity of 0 becomes the structure dense and dense a sparsity of 0, and any other sparsity 0.5 under
    two_four, so that equal plans have equal arrays.
    """
    count, layers = len(choices), len(space.network.layers)
    plans = _fixed_plans(space, count)
    rows, columns = np.ones((count, layers), np.int64), np.ones((count, layers), np.int64)
    rows[:], columns[:] = plans.block_rows, plans.block_columns
    for index, parameter in enumerate(space.parameters):
        picked = choices[:, index]
        if parameter.kind == "profile":
            continue
        if parameter.kind == "skip_rate_frac":
            plans.skip_rate_frac[:] = np.array(parameter.choices, np.float64)[picked]
        elif parameter.kind == "structure":
            table = np.array([_structure_row(str(choice)) for choice in parameter.choices])[picked]
            for column in parameter.columns:
                plans.structure[:, column], rows[:, column], columns[:, column] = table.T
        else:
            values = getattr(plans, parameter.kind)
            values[:, list(parameter.columns)] = np.array(parameter.choices)[picked][:, None]
    _size_layers(space, plans, choices)
    plans = replace(plans, block_rows=rows, block_columns=columns, part=_positions(space, choices))
    return with_matrices(canonical(plans, space.network), space.network, space.fixed)


def _positions(space: Space, choices: IntArray) -> NDArray[np.int64] | None:
    """(P,) positions in the study's list of parts; None where there is one part."""
    for index, parameter in enumerate(space.parameters):
        if parameter.kind == "profile":
            known = [space.parts.index(str(name)) for name in parameter.choices]
            return np.array(known, np.int64)[choices[:, index]]
    return None


def _structure_row(choice: str) -> tuple[int, int, int]:
    """(structure code, block rows, block columns) of a choice such as `block 1x16`."""
    structure, _, shape = choice.partition(" ")
    rows, columns = (int(side) for side in shape.split("x")) if structure == "block" else (1, 1)
    return STRUCTURES.index(structure), rows, columns


def _size_layers(space: Space, plans: PlanBatch, choices: IntArray) -> None:
    """Where a size was chosen, the layer's sparsity is what leaves so many units."""
    for index, parameter in enumerate(space.parameters):
        if parameter.kind == "structure" and len(parameter.columns) == 1:
            (column,) = parameter.columns
            words, layer = [str(choice) for choice in parameter.choices], space.network.layers[column]
            plans.sparsity_frac[:, column] = sized_sparsity(
                plans.sparsity_frac[:, column], words, choices[:, index], layer
            )


def _fixed_plans(space: Space, count: int) -> PlanBatch:
    """`count` copies of the plan that fixed layers have; the other layers dense int8."""
    fixed = batch_plans([_Plan(layers=space.fixed)], space.network)
    return fixed.take(np.zeros(count, np.intp))


def plan_keys(plans: PlanBatch) -> list[bytes]:
    """A key per plan, equal exactly for equal plans."""
    own = {} if plans.matrices is None else vars(plans.matrices)
    columns = [values for values in (*vars(plans).values(), *own.values()) if isinstance(values, np.ndarray)]
    table = np.concatenate(
        [np.asarray(values, np.float64).reshape(len(plans), -1) for values in columns], axis=1
    )
    return [row.tobytes() for row in table]


def dominant_structures(plans: PlanBatch, network: Network) -> list[str]:
    """The structure of most weights among each plan's sparse layers; `dense` where no layer is sparse."""
    names = [layer.name for layer in network.layers]
    owner = [names.index(layer) for layer, _, _, _ in matrices(network)]
    structure = matrices_of(plans, owner).structure
    weights = np.array([rows * columns for _, _, rows, columns in matrices(network)])
    shares = np.stack([(structure == code) @ weights for code in range(1, len(STRUCTURES))], axis=1)
    best = np.argmax(shares, axis=1)
    return [
        STRUCTURES[code + 1] if share > 0 else "dense"
        for code, share in zip(best, shares.max(axis=1), strict=True)
    ]


def single_structure(plans: PlanBatch) -> NDArray[np.bool_]:
    """(P,) bool: the plan's sparse matrices all have one structure (so has a plan without any)."""
    structure = plans.structure if plans.matrices is None else plans.matrices.structure
    sparse = structure > 0
    highest = np.where(sparse, structure, 0).max(axis=1, initial=0)
    lowest = np.where(sparse, structure, len(STRUCTURES)).min(axis=1, initial=len(STRUCTURES))
    return np.asarray(lowest >= highest)


def choice_row(space: Space, params: Params) -> list[int]:
    """Choice indices (K) of a trial's params."""
    return [parameter.choices.index(params[parameter.name]) for parameter in space.parameters]


def params_of(space: Space, row: Sequence[int]) -> Params:
    """Params of choice indices (K)."""
    return {p.name: p.choices[index] for p, index in zip(space.parameters, row, strict=True)}


def keys_of(space: Space, params: Sequence[Params]) -> list[bytes]:
    """The plan key of each params."""
    if not params:
        return []
    rows = np.array([choice_row(space, each) for each in params])
    return plan_keys(plans_from(space, rows))
