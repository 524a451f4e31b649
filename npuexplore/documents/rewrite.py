"""YAML written so that a person's comments, order and quotes stay: ruamel.yaml, for writing only."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from npuexplore.documents.sentences import KeyPath
from npuexplore.documents.strict_yaml import parse_yaml
from npuexplore.errors import BadInput

LINE_WIDTH = 100_000
"""Lines are never folded: their writer has chosen their length."""


def edited_yaml(
    text: str,
    *,
    changes: Mapping[KeyPath, Any],
    appended: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    last: str | None = None,
) -> str:
    """A YAML text with some values set and everything else as it stood.

    changes : new values by key path; mappings on the way are made where they are missing.
    appended : new items of top-level lists. last : the top-level key that new ones go before.

    >>> print(edited_yaml("a: 1  # one\\nb: 'x'\\n", changes={("a",): 2, ("c", "d"): None}), end="")
    a: 2  # one
    b: 'x'
    c:
      d: null
    """
    writer = _writer()
    document = writer.load(text)
    for path, value in changes.items():
        node = document
        for step in path[:-1]:
            if not isinstance(node, list) and node.get(step) is None:
                _put(node, step, type(document)(), last=last)
            node = node[step]
        _put(node, path[-1], value, last=last)
    for key, items in (appended or {}).items():
        if not document.get(key):
            document[key] = []
        document[key].extend(_flow_lists(item) for item in items)
    stream = io.StringIO()
    writer.dump(document, stream)
    return stream.getvalue()


def plain_or_quoted(text: str) -> str:
    """A text as a YAML value that reads as that text again.

    >>> plain_or_quoted("a part"), plain_or_quoted("12")
    ('a part', '"12"')
    """
    try:
        if text.isprintable() and parse_yaml(f"a: {text}", where="text") == {"a": text}:
            return text
    except BadInput:
        pass
    return json.dumps(text)


def _put(node: Any, key: Any, value: Any, *, last: str | None) -> None:
    value = _in_one_line(value) if isinstance(value, list) else value
    if last is not None and key not in node and last in node:
        node.insert(list(node).index(last), key, value)
    else:
        node[key] = value


def _in_one_line(values: Sequence[Any]) -> Any:
    from ruamel.yaml.comments import CommentedSeq

    made = CommentedSeq(values)
    made.fa.set_flow_style()
    return made


def _flow_lists(item: Mapping[str, Any]) -> Any:
    from ruamel.yaml.comments import CommentedMap

    made = CommentedMap()
    for key, value in item.items():
        made[key] = _in_one_line(value) if isinstance(value, list) else value
    return made


def _writer() -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.representer import RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        """Writes nothing as the word null."""

    Representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    writer = YAML(typ="rt")
    writer.Representer = Representer
    writer.preserve_quotes = True
    writer.width = LINE_WIDTH
    writer.indent(mapping=2, sequence=4, offset=2)
    return writer
