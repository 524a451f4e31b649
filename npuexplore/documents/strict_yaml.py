"""YAML that means what it says, and sentences with the line for everything that does not.

PyYAML keeps the last of two equal keys, reads `200e6` as text, `on` as true, `1:30` as 90 and `010`
as 8. Here each of these is refused with the line and what to write instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from npuexplore.documents.sentences import KeyPath, Place, validation_sentence
from npuexplore.errors import BadInput

M = TypeVar("M", bound=BaseModel)

MAX_DOCUMENT_BYTES = 262_144
"""A description longer than this is not one of ours."""
MAX_DEPTH = 32
"""Nesting beyond this is an accident or an attack."""

FAST_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where PyYAML was built with it: the same events, several times sooner."""
_READ_DIFFERENTLY = re.compile("[\\t\\ufeff\\x85\\u2028\\u2029]")
"""Characters that libyaml is more lenient with."""

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NULLS = ("", "~", "null")
_BOOLEANS = {"true": True, "false": False}
_BOOLEAN_LOOKALIKES = {
    "on": "true", "yes": "true", "y": "true", "off": "false", "no": "false", "n": "false",
    "true": "true", "false": "false",
}  # fmt: skip
_SEXAGESIMAL = re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?")
_NON_FINITE = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)
_NUMBER_LOOKALIKE = re.compile(r"[-+]?\.?[0-9]")
FINITE_ONLY = "only finite numbers below 1e18 are allowed; write one of those"


@dataclass(frozen=True)
class Located:
    """A document and where every key and list item in it stands."""

    data: Any
    places: dict[KeyPath, Place]


def parse_yaml(text: str, *, where: str) -> Any:
    """The data of one YAML document: dicts, lists, text, int, float, bool, None.

    Raises BadInput, with `where` and the line, for anything that is not plain YAML with one reading.

    >>> parse_yaml("clock_hz: 200000000", where="profile.yaml")
    {'clock_hz': 200000000}
    """
    return locate_yaml(text, where=where).data


def locate_yaml(text: str, *, where: str) -> Located:
    """`parse_yaml` that also remembers where everything stands."""
    if not _READ_DIFFERENTLY.search(text):
        try:
            return _Reader(text, where, FAST_LOADER).document()
        except BadInput:
            pass  # the slow parser has the words for it
    return _Reader(text, where, yaml.SafeLoader).document()


def read_document(path: Path, model: type[M], *, what: str) -> M:
    """The description in a YAML file, checked against `model`.

    path : the file; what : its name in messages ("hardware profile").
    Raises BadInput with file, line, key, what was got, what is allowed and what to do.
    """
    return validated(read_located(path, what=what), model)


def read_located(path: Path, *, what: str) -> Located:
    """The `key: value` lines of a YAML file, not yet checked against anything. Raises BadInput."""
    where = printable(path)
    located = locate_yaml(_read_text(path, what=what), where=where)
    if not isinstance(located.data, dict):
        raise BadInput(
            f"{where}: got {_kind_of(located.data)}; a {what} is made of `key: value` lines; write those"
        )
    return located


def validated(located: Located, model: type[M]) -> M:
    """A document as a model. Raises BadInput with the place of what the model refuses."""
    try:
        return model.model_validate_json(json.dumps(located.data))
    except ValidationError as error:
        raise BadInput(validation_sentence(error, model, located=located)) from None


def _read_text(path: Path, *, what: str) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_DOCUMENT_BYTES + 1)
    except FileNotFoundError:
        raise BadInput(f"{printable(path)}: no such file; give the path of a {what} in YAML") from None
    except IsADirectoryError:
        raise BadInput(f"{printable(path)}: is a folder; give the path of a {what} in YAML") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput(
            f"{printable(path)}: cannot be read ({reason}); give the path of a {what} in YAML"
        ) from None
    if len(content) > MAX_DOCUMENT_BYTES:
        raise BadInput(
            f"{printable(path)}: longer than {MAX_DOCUMENT_BYTES} bytes; a {what} is a short YAML file"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{printable(path)}: byte {error.start} is not UTF-8 text; give a {what} in YAML, saved as UTF-8"
        ) from None


class _Reader:
    """One pass over the parser's events; nothing is constructed but plain data."""

    def __init__(self, text: str, where: str, loader: Any) -> None:
        self._loader = loader
        self._text = text
        self._where = where
        self._events: Iterator[yaml.Event] = iter(())
        self._places: dict[KeyPath, Place] = {(): (where, 1)}

    def document(self) -> Located:
        try:
            self._events = yaml.parse(self._text, Loader=self._loader)
            data = self._stream()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._refuse(mark.line + 1 if mark else 1, (), _syntax_problem(error))
        except yaml.reader.ReaderError as error:
            line = self._text.count("\n", 0, error.position) + 1
            self._refuse(
                line, (), f"character #x{int(error.character):04x} is not text; save it as plain YAML"
            )
        return Located(data, self._places)

    def _stream(self) -> Any:
        event = next(self._events)
        while isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            self._refuse(1, (), "the document is empty; write `key: value` lines")
        data = self._node(event, ())
        next(self._events)
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._refuse(_line(after), (), "a second document starts here; keep one per file")
        if data is None:
            self._refuse(1, (), "the document is empty; write `key: value` lines")
        return data

    def _node(self, event: yaml.Event, path: KeyPath) -> Any:
        line = _line(event)
        self._places.setdefault(path, (self._where, line))
        if len(path) > MAX_DEPTH:
            self._refuse(line, (), f"nested deeper than {MAX_DEPTH} levels; flatten it")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._refuse(line, path, "anchors and aliases (& and *) are not allowed; write the value out")
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            self._refuse(line, path, f"the tag {tag!r} is not allowed; write the plain value")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        assert isinstance(event, yaml.ScalarEvent)
        return self._scalar(event, path)

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent) or event.anchor or event.tag or not event.value:
                self._refuse(line, path, "a key here is not a plain word; write `key: value`")
            key = event.value
            if key in found:
                _, first = self._places[(*path, key)]
                self._refuse(
                    line, (*path, key), f"the key is given twice (first on line {first}); remove one"
                )
            self._places[(*path, key)] = (self._where, line)
            found[key] = None
            found[key] = self._node(next(self._events), (*path, key))
        return found

    def _sequence(self, path: KeyPath) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            found.append(self._node(event, (*path, len(found))))
        return found

    def _scalar(self, event: yaml.ScalarEvent, path: KeyPath) -> Any:
        text: str = event.value
        if event.style:  # None or empty where nothing quotes it
            return text
        if text in _NULLS:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if _INTEGER.fullmatch(text) and len(text) <= 19:
            return int(text)
        if _FLOAT.fullmatch(text) and abs(float(text)) != float("inf"):
            return float(text)
        advice = _advice(text)
        if advice:
            self._refuse(_line(event), path, f"got {_short(text)}; {advice}")
        return text

    def _refuse(self, line: int, path: KeyPath, problem: str) -> NoReturn:
        key = f"{'.'.join(map(str, path))}: " if path else ""
        raise BadInput(f"{self._where}:{line}: {key}{problem}")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _advice(text: str) -> str | None:
    """What to write instead of an unquoted word that other YAML readers turn into something else."""
    meant = _BOOLEAN_LOOKALIKES.get(text.lower())
    if meant:
        return f"write {meant}, or quote it if it is a word"
    if _SEXAGESIMAL.fullmatch(text):
        return "YAML 1.1 reads it in base 60; write one plain number, or quote it if it is text"
    if _NON_FINITE.fullmatch(text):
        return FINITE_ONLY
    if not _NUMBER_LOOKALIKE.match(text):
        return None
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        return _radix_advice(text)
    if value != value or abs(value) == float("inf") or abs(value) >= 1e18:
        return FINITE_ONLY
    plain = str(int(value)) if value == int(value) and "." not in text else repr(value)
    return f"write {plain if 'e' not in plain else f'{value:.12f}'.rstrip('0')}, or quote it if it is text"


def _radix_advice(text: str) -> str | None:
    if not re.fullmatch(r"[-+]?0[xob][0-9a-f_]+", text, re.IGNORECASE):
        return None
    return f"write it in base 10 ({int(text, 0)}), or quote it if it is text"


def _syntax_problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "it cannot be read"
    if "'\\t'" in problem:
        return "a tab is used as space; indent with spaces"
    return f"not YAML: {problem}; check the indentation, colons and quotes of this line"


def printable(path: Path) -> str:
    """The path as given, without control characters that would break the line."""
    return "".join(c if c.isprintable() else "?" for c in str(path))


def _short(value: str) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:56]}...'"


def _kind_of(data: Any) -> str:
    return "a list" if isinstance(data, list) else f"{_short(str(data))} alone"
