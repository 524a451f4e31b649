from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from npuexplore.documents.shipped import find_document, shipped_folder, shipped_names
from npuexplore.documents.strict_yaml import MAX_DOCUMENT_BYTES, parse_yaml, read_document
from npuexplore.errors import BadInput
from npuexplore.workload.network import Network

TINYLSTM = find_document("tinylstm", "networks").read_text()
Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writer(content: str | bytes) -> Path:
        path = tmp_path / "case.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return writer


def refusal(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read_document(path, Network, what="network")
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("200e6", "write 200000000"),
        ("1e-3", "write 0.001"),
        ("1_000", "write 1000"),
        ("on", "write true"),
        ("No", "write false"),
        ("010", "write 10"),
        ("0x10", "base 10 (16)"),
        ("1:30", "base 60"),
        (".inf", "finite"),
        (".NaN", "finite"),
        ("1e999", "finite"),
        ("123456789012345678901234567890", "below 1e18"),
    ],
)
def test_a_word_that_yaml_may_read_in_two_ways_is_refused_with_what_to_write(text: str, advice: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_yaml(f"clock_hz: 1\nrate: {text}", where="profile.yaml")

    assert str(caught.value).startswith(f"profile.yaml:2: rate: got {text!r}; ")
    assert advice in str(caught.value)


@pytest.mark.parametrize("text", ["on", "010", "200e6", "1:30"])
def test_a_quoted_word_is_text(text: str) -> None:
    assert parse_yaml(f'name: "{text}"', where="x") == {"name": text}


def test_plain_values_are_read_as_they_look() -> None:
    text = "a: 1\nb: -2.5\nc: 1.0e-05\nd: true\ne: null\nf: [x y, 0]\ng: {}\nh: 2026-07-15\ni: 1x16"

    assert parse_yaml(text, where="x") == {
        "a": 1,
        "b": -2.5,
        "c": 1e-5,
        "d": True,
        "e": None,
        "f": ["x y", 0],
        "g": {},
        "h": "2026-07-15",
        "i": "1x16",
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2", "2: a: the key is given twice (first on line 1)"),
        ("a: {b: 1, b: 2}", "1: a.b: the key is given twice"),
        ("a: &x 1\nb: *x", "1: a: anchors and aliases"),
        ("b: *x", "1: b: anchors and aliases"),
        ("a: !!python/object/apply:os.system [true]", "1: a: the tag"),
        ("a:\n\tb: 1", "2: a tab is used as space"),
        ("a: {b", "not YAML"),
        ("? [1]\n: 2", "not a plain word"),
        ("a: 1\n---\nb: 2", "a second document starts here"),
        ("", "the document is empty"),
        ("# only a comment\n", "the document is empty"),
        ("[" * 100 + "]" * 100, "nested deeper than"),
        ("[" * 100_000, "nested deeper than"),
        ("a: \x00", "is not text"),
    ],
)
def test_text_that_is_not_one_plain_document_is_refused_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(BadInput, match=r"^where:\d+: ") as caught:
        parse_yaml(text, where="where")

    assert problem in str(caught.value)


def test_a_billion_laughs_is_refused_at_the_first_anchor() -> None:
    bomb = "a: &a [lol, lol]\n" + "\n".join(
        f"{b}: &{b} [*{a}, *{a}]" for a, b in zip("abcd", "bcde", strict=True)
    )

    with pytest.raises(BadInput, match="where:1: a: anchors"):
        parse_yaml(bomb, where="where")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("bands: 128", "band: 128", "case.yaml:10: band: unknown key; did you mean 'bands'?"),
        ("hidden_units", "hiden_units", "case.yaml:12: layers.0.hiden_units: unknown key; did you mean"),
        ("bands: 128", "bands: -3", "case.yaml:10: bands: got -3; allowed: greater than or equal to 1"),
        ("bands: 128", "bands: 99999999", "got 99999999; allowed: less than or equal to 16384"),
        ("bands: 128", "bands: 128.0", "got 128.0; allowed: a whole number"),
        ("bands: 128", "bands: '128'", "got '128' (text); allowed: a whole number"),
        ("bands: 128", "bands: true", "got true; allowed: a whole number"),
        ("bands: 128", "bands:", "got nothing; allowed: a whole number"),
        ("bands: 128\n", "", "case.yaml:1: bands: missing; add it"),
        (
            "kind: lstm",
            "kind: lstmm",
            "case.yaml:12: layers.0: kind: got 'lstmm'; allowed: 'lstm', 'gru', 'dense'",
        ),
        ("kind: lstm, ", "", "kind is missing"),
        ("hop_samples: 256", "hop_samples: 300", "case.yaml:5: frame_clock: hop_samples 300 must divide"),
        ("name: lstm_1", "name: ../lstm", "allowed: text that matches"),
        ("layers:", "layers: 3\nlayer:", "layers: got 3; allowed: a list"),
    ],
)
def test_a_bad_value_is_named_with_line_key_and_what_is_allowed(
    write: Write, old: str, new: str, problem: str
) -> None:
    assert problem in refusal(write(TINYLSTM.replace(old, new)))


def test_only_the_first_few_of_many_problems_are_told(write: Write) -> None:
    sentence = refusal(write(TINYLSTM.replace("units", "unit").replace("features", "feature")))

    assert sentence.count("unknown key") == 3
    assert sentence.endswith("1 more problem")


@pytest.mark.parametrize("content", ["- 1\n", "word\n", "3\n"])
def test_a_document_that_is_not_keys_and_values_is_refused(write: Write, content: str) -> None:
    assert "a network is made of `key: value` lines" in refusal(write(content))


def test_bytes_that_are_not_utf_8_are_refused(write: Write) -> None:
    assert "byte 0 is not UTF-8 text" in refusal(write(b"\xff\xfe\x00"))


def test_a_file_far_too_long_is_refused_unread(write: Write) -> None:
    assert "longer than" in refusal(write(b"#" * (MAX_DOCUMENT_BYTES + 1)))


def test_a_byte_order_mark_does_no_harm(write: Write) -> None:
    assert read_document(write(b"\xef\xbb\xbf" + TINYLSTM.encode()), Network, what="network").bands == 128


def test_a_folder_a_missing_file_and_a_strange_name_are_refused(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)
    assert "no such file" in refusal(tmp_path / "none.yaml")
    assert "cannot be read" in refusal(tmp_path / "a\0b")
    assert "cannot be read" in refusal(tmp_path / ("x" * 5_000))


def test_shipped_documents_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    path = shipped_folder("networks") / "tinylstm.yaml"

    assert find_document("tinylstm", "networks") == path
    assert find_document(str(path), "networks") == path
    assert "tinylstm" in shipped_names("networks")


@pytest.mark.parametrize("name", ["tinylst", "nowhere/tinylstm.yaml", "", "a\0b", "x" * 5_000])
def test_an_unknown_name_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(BadInput, match="tinylstm") as caught:
        find_document(name, "networks")

    assert len(str(caught.value)) < 400


def test_the_nearest_shipped_name_is_suggested() -> None:
    with pytest.raises(BadInput, match="did you mean 'stm32f746'"):
        find_document("stm32f764", "hw_profiles")
