"""HTML whose text is escaped because it is built, not pasted: only `Html` passes through as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any

VOID_ELEMENTS = frozenset({"meta", "br", "hr", "link"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Content = str | Html | Iterable["Content"]


def render(content: Content) -> Html:
    """Content as HTML; plain text is escaped.

    >>> render(["a < b", Html("<br>")])
    'a &lt; b<br>'
    """
    if isinstance(content, Html):
        return content
    if isinstance(content, str):
        return Html(escape(content, quote=True))
    return Html("".join(render(part) for part in content))


def element(name: str, /, *content: Content, **attributes: str | None) -> Html:
    """An element; an attribute `class_` is written `class`, `data_x` as `data-x`, None is left out.

    >>> element("td", "<b>", class_="number")
    '<td class="number">&lt;b&gt;</td>'
    """
    pairs = [
        f' {key.rstrip("_").replace("_", "-")}="{escape(value, quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    ]
    start = f"<{name}{''.join(pairs)}>"
    return Html(start if name in VOID_ELEMENTS else f"{start}{render(content)}</{name}>")


def script_json(identity: str, value: Any) -> Html:
    """Data for scripts: JSON that cannot end its own element. Equal values give equal bytes."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Html(f'<script type="application/json" id="{escape(identity, quote=True)}">{text}</script>')
