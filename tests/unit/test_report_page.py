"""The page as a whole: complete, escaped, offline, the same every time."""

import copy
import json
import re
from html.parser import HTMLParser

import pytest
from results_builder import build_results

from npuexplore.report import page, render_page
from npuexplore.report.html import Html, element, script_json

EVIL = '<script>alert("x")</script>&\u2028'
VOID = {"meta", "br", "hr", "link"}


class Reader(HTMLParser):
    """Collects text, elements and identities; complains about unbalanced elements."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.identities, self.text, self.scripts = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.identities += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        (self.scripts if self.open and self.open[-1] in ("script", "style") else self.text).append(data)


@pytest.fixture(autouse=True)
def small_bundle(monkeypatch):
    """A stand-in for Plotly's 4.8 MB; returns what it stands for."""
    whole = page._plotly_bundle
    monkeypatch.setattr(page, "_plotly_bundle", lambda: "/* plotly */")
    return whole


def read(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def text_of(html):
    return " ".join(" ".join(read(html).text).split())


def evil_twin(value):
    """The same results with markup in every text that a person chose."""
    kept = {"structure", "schema", "kind"}
    if isinstance(value, dict):
        return {key: item if key in kept else evil_twin(item) for key, item in value.items()}
    if isinstance(value, list):
        return [evil_twin(item) for item in value]
    return f"{value}{EVIL}" if isinstance(value, str) else value


def test_the_page_is_well_formed_with_each_identity_once():
    reader = read(render_page(build_results()))
    assert len(reader.identities) == len(set(reader.identities))
    assert {"fits", "front", "picks", "quality", "layers", "sensitivity", "assumptions", "making"} <= set(
        reader.identities
    )


def test_every_figure_has_its_data_and_a_description():
    reader = read(render_page(build_results()))
    places = [attrs for _, attrs in reader.elements if "data-figure" in attrs]
    assert len(places) == 7
    for place in places:
        assert place["data-figure"] in reader.identities
        assert place["aria-label"]


def test_equal_results_give_equal_bytes():
    assert render_page(build_results()) == render_page(copy.deepcopy(build_results()))
    shuffled = json.loads(json.dumps(build_results()))
    assert render_page(shuffled) == render_page(build_results())


def test_no_markup_of_a_name_gets_through():
    html = render_page(evil_twin(build_results()))
    reader = read(html)
    assert "<script>alert" not in html
    assert not any("alert" in str(attrs.get("onload", "")) for _, attrs in reader.elements)
    assert len([tag for tag, _ in reader.elements if tag == "script"]) == 7 + 2
    assert 'alert("x")' in " ".join(reader.text)


def test_names_in_figures_cannot_end_their_data():
    html = render_page(evil_twin(build_results()))
    for found in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.S):
        json.loads(found)
        assert "<" not in found
        assert "\u2028" not in found


def test_a_part_given_by_its_path_is_named_by_its_name():
    results = build_results()
    results["study"]["profile"] = "/home/someone/parts/secret.yaml"
    results["study"]["network"] = "/home/someone/nets/own.yaml"
    assert "/home/someone" not in render_page(results)


def test_nothing_is_fetched_from_anywhere():
    html = render_page(build_results())
    reader = read(html)
    for _, attrs in reader.elements:
        assert "src" not in attrs
        assert "href" not in attrs
    policies = [attrs["content"] for _, attrs in reader.elements if "http-equiv" in attrs]
    assert [policy.startswith("default-src 'none'; ") for policy in policies] == [True]
    assert "http://" not in html
    assert "https://" not in html


def test_the_conclusions_stand_in_the_text_without_scripts():
    text = text_of(render_page(build_results()))
    for words in (
        "block 1×16 at 50 to 80 % with int8 is the fastest pick",
        "4 of 5 picks keep flash, SRAM and deadline",
        "+7.40 dB",
        "+3.30 dB",
        "npuexplore study run hearing-aid --data DIR",
        "Rank correlation of predicted and achieved loss over the picks: 0.90",
        "Horowitz, ISSCC 2014",
        "Weights stream from flash",
        "The papers' network on recorded audio",
    ):
        assert words in text


def test_every_number_in_a_table_has_a_unit_or_is_a_count():
    html = render_page(build_results())
    plain = re.compile(r"[\d,]+|yes|no|–|unknown|")
    for cell in re.findall(r'<td class="number">([^<]*)</td>', html):
        assert re.fullmatch(r"[+-]?[\d,.]+( ms| kB| bytes| dB| %| mW|×)", cell) or plain.fullmatch(cell), cell


def test_missing_parts_read_well():
    results = build_results(with_pairs=False, with_energy=False, retrained=False)
    for key in (
        "sensitivity",
        "assumptions",
        "agreement",
        "limits",
        "missing",
        "environment",
        "seeds",
        "data",
    ):
        results.pop(key, None)
    results["profile"].pop("sources")
    text = text_of(render_page(results))
    assert "No recorded clean and noisy pairs were given" in text
    assert "Energy and power are unknown" in text
    assert "No pick has been retrained yet." in text
    assert "None" not in text
    assert "nan" not in text


def test_a_study_without_picks_still_has_a_page():
    text = text_of(render_page({**build_results(), "picks": []}))
    assert "no plan was picked" in text


def test_one_pick_and_one_front_point_are_enough():
    results = build_results()
    results |= {"front": results["front"][:1], "picks": results["picks"][:1]}
    assert "knee" in text_of(render_page(results))


def test_text_is_escaped_unless_it_is_html_already():
    assert element("p", "<b>", Html("<i>x</i>"), title='"') == '<p title="&quot;">&lt;b&gt;<i>x</i></p>'


def test_data_for_scripts_cannot_end_its_element():
    assert "</script><script>" not in script_json("x", {"a": "</script><script>"})


def test_plotly_is_inlined_once(small_bundle, monkeypatch):
    monkeypatch.setattr(page, "_plotly_bundle", small_bundle)
    html = render_page(build_results())
    assert html.count("plotly.js v") == 1
    assert 4e6 < len(html) < 6e6
