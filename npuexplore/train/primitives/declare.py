"""autograd's `primitive`, typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from autograd.extend import primitive

Function = TypeVar("Function", bound=Callable[..., object])


def differentiable(function: Function) -> Function:
    """`function` as one step of the tape; give it a derivative with `defvjp` or `defvjp_argnums`."""
    return cast(Function, primitive(function))
