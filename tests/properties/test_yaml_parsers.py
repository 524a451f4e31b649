"""libyaml and PyYAML's own parser read the same document the same way."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from npuexplore.documents.strict_yaml import FAST_LOADER, Located, _Reader
from npuexplore.errors import BadInput

WORDS = ("2.5", "010", "on", ": ", "  ", "- ", ", ", "# x", "&x ", "*x", "!t ", "? ", "---", "...")
PIECES = (*"ab1é~-[]{},:'\"|>?%@=`\\\n", *WORDS)


def reading(text: str, loader: object) -> Located | None:
    try:
        return _Reader(text, "text", loader).document()
    except BadInput:
        return None


@pytest.mark.skipif(FAST_LOADER is yaml.SafeLoader, reason="PyYAML was built without libyaml")
@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
@example("a: 'x'\nb: [1, 2]\n")
@example('a: "1"\n')
def test_both_parsers_read_alike(text: str) -> None:
    fast, slow = reading(text, FAST_LOADER), reading(text, yaml.SafeLoader)

    assert fast is None or slow is None or fast == slow
