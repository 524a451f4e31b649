"""pydantic's complaints as one sentence: where, what was got, what is allowed, what next."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError

from npuexplore.documents.shipped import nearest_first

KeyPath = tuple[str | int, ...]
Place = tuple[str, int]
"""File as it is named in messages, and line."""

SHOWN_ERRORS = 3
"""More than a few problems at once are not read."""


class Placed(Protocol):
    """A document and where its keys stand."""

    @property
    def data(self) -> Any:
        """The document."""

    @property
    def places(self) -> Mapping[KeyPath, Place]:
        """File and line of each key path; () is the document itself."""


def validation_sentence(error: ValidationError, model: type[BaseModel], *, located: Placed) -> str:
    """The first few problems of a document in one sentence, each with the file and line it stands in."""
    schema = model.model_json_schema()
    problems = _most_telling_first(error.errors(include_url=False))
    sentences = [_problem_sentence(problem, schema, located) for problem in problems[:SHOWN_ERRORS]]
    (file, line), first = sentences[0]
    others = [
        f"line {other_line}: {text}" if other_file == file else f"{other_file}:{other_line}: {text}"
        for (other_file, other_line), text in sentences[1:]
    ]
    hidden = len(problems) - len(sentences)
    tail = [f"{hidden} more problem{'s' if hidden > 1 else ''}"] if hidden > 0 else []
    return f"{file}:{line}: " + "; also ".join([first, *others, *tail])


def place_of(path: KeyPath, located: Placed) -> Place:
    """Where a key stands, or the nearest key above it that does."""
    while path not in located.places:
        path = path[:-1]
    return located.places[path]


def key_path(data: Any, dotted: str) -> KeyPath:
    """The keys that a dotted name stands for, as far as the document has them; keys may hold dots themselves.

    >>> key_path({"memories": {"sram.1": {"burst_bytes": 1}}}, "memories.sram.1.burst_bytes")
    ('memories', 'sram.1', 'burst_bytes')
    """
    words, path, node = dotted.split("."), list[str | int](), data
    while words:
        for count in range(len(words), 0, -1):
            key: str | int = ".".join(words[:count])
            if isinstance(node, list) and words[0].isdigit() and int(words[0]) < len(node):
                key, count = int(words[0]), 1
            elif not isinstance(node, dict) or key not in node:
                continue
            path.append(key)
            node, words = node[key], words[count:]
            break
        else:
            break
    return tuple(path)


def _most_telling_first(problems: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Unknown keys before the rest, without the `missing` that a misspelt key causes beside it."""
    unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
    missing = [problem for problem in problems if problem["type"] == "missing"]
    meant = [
        problem
        for problem in missing
        if any(
            stray["loc"][:-1] == problem["loc"][:-1]
            and difflib.get_close_matches(str(stray["loc"][-1]), [str(problem["loc"][-1])], n=1, cutoff=0.6)
            for stray in unknown
        )
    ]
    echoes = [problem for problem in problems if _echoes_a_deeper_one(problem, problems)]
    others = [
        problem for problem in problems if not any(problem in known for known in (unknown, meant, echoes))
    ]
    return [*unknown, *others]


def _echoes_a_deeper_one(problem: Mapping[str, Any], problems: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a list counts as too short only because its items failed."""
    depth = len(problem["loc"])
    return problem["type"] == "too_short" and any(
        len(other["loc"]) > depth and other["loc"][:depth] == problem["loc"] for other in problems
    )


def _problem_sentence(
    problem: Mapping[str, Any], schema: Mapping[str, Any], located: Placed
) -> tuple[Place, str]:
    path = _document_path(problem["loc"], located)
    key = ".".join(map(str, path))
    complaint = _complaint(problem, path, schema)
    told = complaint.split(":", 1)[0] if problem["type"] == "value_error" else ""
    place = place_of(_deeper(path, told, located), located)
    return place, (f"{key}: " if key else "") + complaint


def _deeper(path: KeyPath, told: str, located: Placed) -> KeyPath:
    """The path with the dotted key that a validator's own words begin with."""
    node = located.data
    for step in path:
        node = node[step] if isinstance(node, dict) and step in node else None
    return (*path, *key_path(node, told))


def _document_path(loc: Sequence[str | int], located: Placed) -> KeyPath:
    """`loc` without the union tags that pydantic puts into it."""
    path: list[str | int] = []
    node: Any = located.data
    for step in loc[:-1]:
        inside_mapping = isinstance(node, dict) and step in node
        if inside_mapping or (isinstance(node, list) and isinstance(step, int)):
            path.append(step)
            node = node[step]
    last = loc[-1:] if loc else ()
    is_tag = last and isinstance(last[0], str) and not isinstance(node, dict)
    return tuple(path) if is_tag else (*path, *last)


def _complaint(problem: Mapping[str, Any], path: KeyPath, schema: Mapping[str, Any]) -> str:
    kind, message = problem["type"], problem["msg"]
    if kind == "missing":
        return "missing; add it"
    if kind == "extra_forbidden":
        return _unknown_key(str(path[-1]), _allowed_keys(schema, problem["loc"][:-1]))
    if kind in ("value_error", "assertion_error"):
        return str(message).split(", ", 1)[1]
    if kind == "union_tag_invalid":
        tag = problem["ctx"]
        return f"{tag['discriminator'].strip(chr(39))}: got {tag['tag']!r}; allowed: {tag['expected_tags']}"
    if kind == "union_tag_not_found":
        return f"{problem['ctx']['discriminator'].strip(chr(39))} is missing; add it"
    if kind == "string_pattern_mismatch":
        allowed = f"text that matches {problem['ctx']['pattern']}"
    else:
        allowed = _plain(message.removeprefix("Input should be ").removeprefix("a valid "))
    return f"got {_shown(problem['input'])}; allowed: {allowed}; change it to that"


def _plain(allowed: str) -> str:
    """pydantic's words for a user of YAML."""
    words = {
        "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
        "dictionary": "a block of `key: value` lines", "tuple": "a list", "array": "a list", "list": "a list",
        "integer, got a number with a fractional part": "a whole number",
    }  # fmt: skip
    if allowed.startswith("dictionary") or allowed.startswith("object"):
        return "a block of `key: value` lines"
    return words.get(allowed, allowed)


def _unknown_key(key: str, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, allowed, n=1, cutoff=0.6)
    if near:
        return f"unknown key; did you mean {near[0]!r}?"
    listed = f"allowed: {nearest_first(key, allowed)}; " if allowed else ""
    return f"unknown key; {listed}rename or remove it"


def _allowed_keys(schema: Mapping[str, Any], loc: Sequence[str | int]) -> list[str]:
    """Keys of the object at `loc`, read off the JSON schema (loc may hold union tags)."""
    nodes = _resolved(schema, schema)
    for step in loc:
        onward = [child for node in nodes for child in _children(node, step)]
        tagged = [node for node in nodes if _is_tagged(node, step)]
        nodes = [deep for child in onward for deep in _resolved(child, schema)] or tagged or nodes
    return sorted({key for node in nodes for key in node.get("properties", {})})


def _resolved(node: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "$ref" in node:
        return _resolved(schema["$defs"][node["$ref"].rsplit("/", 1)[1]], schema)
    branches = [*node.get("oneOf", ()), *node.get("anyOf", ()), *node.get("allOf", ())]
    return [deep for branch in branches for deep in _resolved(branch, schema)] or [node]


def _children(node: Mapping[str, Any], step: str | int) -> list[Mapping[str, Any]]:
    if isinstance(step, int):
        return [node["items"]] if isinstance(node.get("items"), dict) else []
    if step in node.get("properties", {}):
        return [node["properties"][step]]
    extra = node.get("additionalProperties")
    named = list(node.get("patternProperties", {}).values())
    return [*named, extra] if isinstance(extra, dict) else named


def _is_tagged(node: Mapping[str, Any], tag: str | int) -> bool:
    return any(field.get("const") == tag for field in node.get("properties", {}).values())


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"{value[:50]!r} (text)"
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a block of keys"
    if isinstance(value, list | tuple):
        shown = repr(list(value))
        return shown if len(shown) < 60 else f"a list of {len(value)}"
    return str(value).lower() if isinstance(value, bool) else repr(value)[:60]
