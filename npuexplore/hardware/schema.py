"""The JSON Schema of hardware profiles, for editors that complete and check YAML while it is typed."""

from __future__ import annotations

from typing import Any

from npuexplore.hardware.profile import HardwareProfile

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_ID = "urn:npuexplore:profile:1"
WHOLE, PARTIAL = "HardwareProfile", "LaidOver"
OWN_KEYS = ("schema", "name")
"""Keys that a file with `based_on` gives itself."""
BASED_ON = {
    "type": "array",
    "items": {"type": "string", "minLength": 1},
    "minItems": 1,
    "description": "What this file is laid over, the lowest first: profiles, fragments such as "
    "parts/ethos-u55-128 and systems/ethos_u55_high_end_embedded, or paths that end in .yaml. Mappings "
    "merge key by key, lists and values are replaced, sources follow each other.",
}


def modeline(schema: str) -> str:
    """The first line of a profile that tells an editor where its schema is (a path or a URL)."""
    return f"# yaml-language-server: $schema={schema}"


def profile_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of a profile: a whole one, or one with `based_on` and the rest optional.

    >>> profile_schema()["$defs"]["MemoryRegion"]["properties"]["ports"]["description"][:20]
    'Buses between the en'
    """
    whole = HardwareProfile.model_json_schema(by_alias=True)
    definitions = whole.pop("$defs")
    definitions[WHOLE] = whole
    partial = {f"{PARTIAL}.{name}": _optional(node) for name, node in definitions.items()}
    top = partial[f"{PARTIAL}.{WHOLE}"]
    top["required"] = list(OWN_KEYS)
    top["properties"] = {"based_on": BASED_ON} | top["properties"]
    return {
        "$schema": DIALECT,
        "$id": SCHEMA_ID,
        "$comment": f"First line of a profile for this schema: {modeline('PATH-OF-THIS-FILE')}",
        "title": "npuexplore hardware profile",
        "type": "object",
        "if": {"required": ["based_on"]},
        "then": {"$ref": f"#/$defs/{PARTIAL}.{WHOLE}"},
        "else": {"$ref": f"#/$defs/{WHOLE}"},
        "$defs": definitions | partial,
    }


def _optional(node: Any) -> Any:
    """A copy in which nothing is required and references lead to such copies."""
    if isinstance(node, list):
        return [_optional(child) for child in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _optional(child) for key, child in node.items() if key not in ("required", "discriminator")}
    if isinstance(node.get("properties"), dict):
        kept["properties"] = {name: _optional(child) for name, child in node["properties"].items()}
    if "oneOf" in kept:
        kept["anyOf"] = kept.pop("oneOf")
    if "$ref" in kept:
        kept["$ref"] = kept["$ref"].replace("#/$defs/", f"#/$defs/{PARTIAL}.")
    return kept
