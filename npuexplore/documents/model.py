"""The base of every pydantic description: frozen, strict, nothing extra, only finite numbers."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""A short name that is safe in a path, a table and HTML."""

Provenance = Literal["datasheet", "vendor_tool", "published", "measured", "assumed"]
"""How a number is known."""


class Model(BaseModel):
    """Frozen and strict; an unknown key or a number written as text is an error."""

    # Validators are built when a document is first read, and only for the models that it is made of.
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """JSON Schema in which the text under a field is its description.

        Read here and not when the class is made: reading the source of all classes would take a tenth of
        the time of a short command.
        """
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in field_docstrings(cls).items():
            field = cls.model_fields.get(name)
            key = (field.alias if field is not None else None) or name
            if key in properties:
                properties[key].setdefault("description", text)
        return schema


def field_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The text under each field of a model, fields of its bases included.

    >>> field_docstrings(Model)
    {}
    """
    found: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if not issubclass(owner, Model) or owner is Model:
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        assert isinstance(body, ast.ClassDef)
        for field, after in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
                and isinstance(after.value.value, str)
            ):
                found[field.target.id] = inspect.cleandoc(after.value.value)
    return found
