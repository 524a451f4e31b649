"""Hidden sizes as choices: a smaller recurrent layer is one from which unit sparsity removed the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from npuexplore.errors import BadInput
from npuexplore.units import FloatArray, IntArray
from npuexplore.workload.network import AnyLayer, is_recurrent, unit_count

HiddenSizes = Annotated[
    tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1, max_length=16, strict=False)
]


def size_choices(layer: AnyLayer, sizes: Sequence[int]) -> list[str]:
    """What a layer offers under `unit`: the sizes it can shrink to, or `unit` and the grid of sparsities.

    >>> from npuexplore.workload.network import GruLayer
    >>> size_choices(GruLayer(kind="gru", name="gru", hidden_units=64), [96, 64, 48])
    ['unit 64', 'unit 48']
    """
    if not sizes or not is_recurrent(layer):
        return ["unit"]
    return [f"unit {size}" for size in sizes if size <= unit_count(layer)]


def units_of(choice: str) -> int:
    """Units that a choice of structure keeps; 0 where it names no size.

    >>> units_of("unit 48"), units_of("unit"), units_of("block 1x16")
    (48, 0, 0)
    """
    structure, _, size = choice.partition(" ")
    return int(size) if structure == "unit" and size else 0


def sized_sparsity(
    sparsity_frac: FloatArray, choices: Sequence[str], picked: IntArray, layer: AnyLayer
) -> NDArray[np.float64]:
    """(P,) share of a layer's units that is removed: by the size where one is picked, else `sparsity_frac`.

    sparsity_frac : (P,) ; choices : structures of the layer ; picked : (P,) index into them
    """
    kept = np.array([units_of(choice) for choice in choices], np.int64)[picked]
    return np.where(kept > 0, 1.0 - kept / unit_count(layer), sparsity_frac)


def refuse_sizes(sizes: Sequence[int], layers: Sequence[AnyLayer]) -> None:
    """Raise BadInput where a size is more than any layer has, or a recurrent layer has fewer than all sizes.

    layers : those that are searched
    """
    units = {layer.name: unit_count(layer) for layer in layers if is_recurrent(layer)}
    if not sizes:
        return
    if not units:
        raise BadInput(
            f"space.hidden_units: got {list(sizes)}, and no recurrent layer is searched; leave the key out"
        )
    largest, least = max(units.values()), min(units, key=units.__getitem__)
    if max(sizes) > largest:
        raise BadInput(
            f"space.hidden_units: got {max(sizes)}; the layers have "
            f"{', '.join(f'{count} ({name})' for name, count in units.items())}; list sizes up to {largest}"
        )
    if min(sizes) > units[least]:
        raise BadInput(
            f"space.hidden_units: got {list(sizes)}; layer {least} has {units[least]} units and none of "
            f"these to choose from; list a size up to {units[least]}, or fix that layer"
        )
