"""Kinds of figure that an engine is described by: counts, cycles, rates, shares."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Count = Annotated[int, Field(ge=1, le=65_536)]
Cycles = Annotated[int, Field(ge=0, le=1_000_000)]
PerElem = Annotated[float, Field(ge=0, le=1e6)]
Rate = Annotated[float, Field(ge=0.001, le=1e6)]
Frac = Annotated[float, Field(ge=0, le=1)]
Granule = tuple[Annotated[int, Field(ge=1, le=256)], Annotated[int, Field(ge=1, le=256)]]
WeightBits = Literal[2, 3, 4, 6, 8, 16]
"""Bits of a stored weight that a plan may choose."""
ActivationBits = Literal[8, 16]
SparsityMode = Literal["none", "compress_only", "two_four", "block_skip", "zero_skip"]
