"""Two documents as one: the upper laid over the lower, with every key still knowing the file it came from."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from npuexplore.documents.sentences import KeyPath, Place
from npuexplore.documents.strict_yaml import Located


def laid_over(lower: Located, upper: Located, *, joined: Collection[str] = ()) -> Located:
    """Mappings merge key by key; all else in `upper` replaces what `lower` had there.

    joined : top-level keys whose lists follow each other, the lower's items first.

    >>> from npuexplore.documents.strict_yaml import locate_yaml
    >>> lower = locate_yaml("cpu: {clock_hz: 1, core: m4}", where="lower.yaml")
    >>> both = laid_over(lower, locate_yaml("cpu: {clock_hz: 2}", where="upper.yaml"))
    >>> both.data, both.places["cpu", "clock_hz"], both.places["cpu", "core"]
    ({'cpu': {'clock_hz': 2, 'core': 'm4'}}, ('upper.yaml', 1), ('lower.yaml', 1))
    """
    places: dict[KeyPath, Place] = {}

    def taken(node: Any, origin: Located, at: KeyPath, to: KeyPath) -> Any:
        places[to] = origin.places[at]
        for step, child in _children(node):
            taken(child, origin, (*at, step), (*to, step))
        return node

    def merged(under: Any, over: Any, path: KeyPath) -> Any:
        if isinstance(under, dict) and isinstance(over, dict):
            places[path] = upper.places[path]
            kept = {
                key: merged(child, over[key], (*path, key))
                if key in over
                else taken(child, lower, (*path, key), (*path, key))
                for key, child in under.items()
            }
            new = {key: child for key, child in over.items() if key not in under}
            return kept | {key: taken(new[key], upper, (*path, key), (*path, key)) for key in new}
        if isinstance(under, list) and isinstance(over, list) and len(path) == 1 and path[0] in joined:
            places[path] = upper.places[path]
            first = [taken(item, lower, (*path, i), (*path, i)) for i, item in enumerate(under)]
            return first + [
                taken(item, upper, (*path, i), (*path, i + len(under))) for i, item in enumerate(over)
            ]
        return taken(over, upper, path, path)

    return Located(merged(lower.data, upper.data, ()), places)


def without(located: Located, keys: Collection[str]) -> Located:
    """The document without some of its top-level keys."""
    kept = {path: place for path, place in located.places.items() if not path or path[0] not in keys}
    return Located({key: value for key, value in located.data.items() if key not in keys}, kept)


def _children(node: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(node, dict):
        yield from node.items()
    elif isinstance(node, list):
        yield from enumerate(node)
