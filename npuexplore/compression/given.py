"""Plans as users give them: a YAML file, or the same choice for every layer from flags."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from npuexplore.compression.matrix_plan import TWO_FOUR_SPARSITY_FRAC
from npuexplore.compression.plan import (
    STRUCTURES,
    CompressionPlan,
    LayerPlan,
    check_plan,
    uniform_plan,
)
from npuexplore.documents.strict_yaml import read_document
from npuexplore.errors import UsageError
from npuexplore.hardware.figures import ActivationBits, WeightBits
from npuexplore.workload.network import Network

DEFAULT_BLOCK = (1, 16)


def load_plan(path: Path, network: Network) -> CompressionPlan:
    """A plan file, checked against the network. Raises BadInput."""
    plan = read_document(path, CompressionPlan, what="plan")
    check_plan(plan, network)
    return plan


def plan_of_flags(
    network: Network,
    *,
    structure: str | None = None,
    sparsity_frac: float | None = None,
    block: str | None = None,
    weight_bits: int | None = None,
    activation_bits: int | None = None,
    skip_rate_frac: float | None = None,
) -> CompressionPlan:
    """The same choice for every layer. Raises UsageError for flags that contradict each other.

    A structure without a sparsity, or a sparsity without a structure, is a contradiction; so is a block
    without the structure block, whose shape is 1x16 where it is not given. two_four needs no sparsity.
    """
    if structure is not None and structure not in STRUCTURES:
        raise UsageError(f"--structure {structure!r}: allowed are {', '.join(STRUCTURES)}")
    if structure == "two_four" and sparsity_frac is None:
        sparsity_frac = TWO_FOUR_SPARSITY_FRAC
    if structure not in (None, "dense") and sparsity_frac is None:
        raise UsageError(
            f"--structure {structure}: how sparse? add --sparsity with a number from 0 to below 1"
        )
    if structure in (None, "dense") and sparsity_frac:
        raise UsageError(
            f"--sparsity {sparsity_frac}: of what? add --structure weight, block, unit or two_four"
        )
    if block is not None and structure != "block":
        raise UsageError(f"--block {block}: goes with --structure block, got {structure or 'no structure'}")
    _in_unit_interval("--sparsity", sparsity_frac)
    _in_unit_interval("--skip-rate", skip_rate_frac)
    refuse_bits(weight_bits, activation_bits)
    choice = {
        "structure": structure or "dense",
        "sparsity_frac": sparsity_frac or 0.0,
        "block": _block(block) if structure == "block" else None,
        "weight_bits": weight_bits or 8,
        "activation_bits": activation_bits or 8,
    }
    try:
        return uniform_plan(network, LayerPlan.model_validate(choice), skip_rate_frac=skip_rate_frac or 0.0)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"flags: {problem}; correct the flag") from None


def refuse_bits(weight_bits: int | None, activation_bits: int | None) -> None:
    """Raise UsageError for bit-widths that no plan may have."""
    _one_of("--weight-bits", weight_bits, get_args(WeightBits))
    _one_of("--activation-bits", activation_bits, get_args(ActivationBits))


def _block(text: str | None) -> tuple[int, int]:
    if text is None:
        return DEFAULT_BLOCK
    match = re.fullmatch(r"([1-9][0-9]{0,2})x([1-9][0-9]{0,2})", text)
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(1 <= side <= 256 for side in sides):
        raise UsageError(f"--block {text!r}: write outputs x inputs, each 1 to 256, as 1x16 or 4x4")
    return sides


def _in_unit_interval(flag: str, value: float | None) -> None:
    if value is not None and not 0.0 <= value < 1.0:
        raise UsageError(f"{flag} {value:g}: allowed is 0 to below 1")


def _one_of(flag: str, value: int | None, allowed: tuple[int, ...]) -> None:
    if value is not None and value not in allowed:
        head = ", ".join(map(str, allowed[:-1]))
        raise UsageError(f"{flag} {value}: allowed are {head} and {allowed[-1]}")
