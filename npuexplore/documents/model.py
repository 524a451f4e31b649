"""The base of every pydantic description: frozen, strict, nothing extra, only finite numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""A short name that is safe in a path, a table and HTML."""

Provenance = Literal["datasheet", "vendor_tool", "published", "measured", "assumed"]
"""How a number is known."""


class Model(BaseModel):
    """Frozen and strict; an unknown key or a number written as text is an error."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )
