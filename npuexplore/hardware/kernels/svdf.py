"""What CMSIS-NN's SVDF layer takes beside its product: the state moves by one, and memories are summed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from npuexplore.errors import BadInput
from npuexplore.hardware.kernels.product import ProductKernel, product_kernel
from npuexplore.hardware.kernels.table import kernel_table


@dataclass(frozen=True)
class SvdfKernel:
    """Cycles of `arm_svdf_s8` with zero-wait memory; a feature is a unit's filter, `rank` of them a unit."""

    product: ProductKernel
    """The features' product with the inputs."""
    per_call: float
    per_feature: float
    per_quad: float
    """Cycles a feature for four steps of its memory, moving them included."""
    per_single: float
    """Cycles a feature for each step left over."""
    per_ranked_feature: float
    """Further cycles a feature where features are summed to units (rank above 1)."""
    per_ranked_unit: float
    """Further cycles a unit then."""
    lanes: int
    """Steps of memory that one vector takes; 0 where they are not taken in vectors."""
    per_further_vector: float
    """Cycles a feature for each vector after the first."""


@lru_cache(maxsize=16)
def svdf_kernel(core: str, toolchain: str) -> SvdfKernel:
    """Coefficients of `svdf_s8`.

    >>> svdf_kernel("m55", "clang22-O3").lanes
    16
    """
    entry = kernel_table("svdf")["kernels"].get(core, {}).get(toolchain)
    if entry is None:
        raise BadInput(f"kernels/svdf.json: got {core} under {toolchain}, which it has nothing of")
    return SvdfKernel(
        product=product_kernel(core, toolchain, "fc_s8"),
        **{name: float(value) for name, value in entry.items() if name != "lanes"},
        lanes=int(entry["lanes"]),
    )
