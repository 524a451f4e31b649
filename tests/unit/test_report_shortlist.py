"""The report of a study of several parts: which is enough, and every figure beside its own part."""

import copy
import json

import pytest
from results_builder import build_results
from shortlist_builder import PICKS, build_shortlist
from test_report_page import read, text_of

from npuexplore.report import figures, front_drawing, page, render_page, shortlist, tables, verdict
from npuexplore.report.competed import competition
from npuexplore.report.html import render
from npuexplore.report.parts import parts_of

THREE = ("ethos-u55-128", "stm32f746", "rp2040")


@pytest.fixture
def results():
    return build_shortlist()


@pytest.fixture(autouse=True)
def small_bundle(monkeypatch):
    """A stand-in for Plotly's 4.8 MB."""
    monkeypatch.setattr(page, "_plotly_bundle", lambda: "/* plotly */")


def pick_named(results, name):
    return next(pick for pick in results["picks"] if pick["name"] == name)


def rows_of(table):
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def plain(cell):
    """The text of a cell."""
    return text_of(render(cell))


def test_the_verdict_says_which_parts_are_enough_and_at_what_loss(results):
    assert shortlist.comparison(results) == (
        "Both parts are enough for tinylstm: ethos-u55-128 (0.930 ms, 0.31 dB lost) and stm32f746 "
        "(3.63 ms, 0.69 dB lost)."
    )
    assert shortlist.comparison(build_shortlist(parts=THREE)).startswith("2 of 3 parts are enough for")
    only = build_shortlist(picks=PICKS[:1])
    only["front"] = [point for point in only["front"] if point["profile"] == "ethos-u55-128"]
    assert shortlist.comparison(only) == (
        "1 of 2 parts is enough for tinylstm: ethos-u55-128 (0.930 ms, 0.31 dB lost)."
    )


def test_a_part_whose_picks_lose_too_much_is_not_enough(results):
    for pick in results["picks"]:
        if pick["profile"] == "stm32f746":
            pick["achieved"]["quality_loss_db"] = 1.5
    assert shortlist.comparison(results).startswith("1 of 2 parts is enough")
    for pick in results["picks"]:
        pick["fits"]["flash"] = False
    results["front"] = []
    assert shortlist.comparison(results) == (
        "None of the 2 parts is enough for tinylstm: no pick on them keeps every limit."
    )


def test_many_parts_are_told_by_name_alone():
    parts = ("ethos-u55-128", "stm32f746", "stm32h743", "stm32n6")
    picks = tuple((name, name, "unit", 0.5) for name in parts)
    assert shortlist.comparison(build_shortlist(parts=parts, picks=picks)) == (
        "All 4 parts are enough for tinylstm: ethos-u55-128, stm32f746, stm32h743 and stm32n6."
    )


def test_each_part_has_a_row_with_its_balance_its_shares_and_its_least_loss(results):
    table = shortlist.parts_table(results)
    assert table.columns[1:3] == ("best pick", "enough")
    first, second = rows_of(table)
    assert [first["best pick"], second["best pick"]] == ["knee", "on-stm32f746"]
    assert plain(first["time"]) == "0.930 ms 9.3 %"
    assert plain(second["flash"]) == "299 kB 57 %"
    assert plain(second["least lost"]) == "0.52 dB by best-quality"
    assert plain(first["least lost"]) == "0.31 dB"
    assert "power" not in first


def test_a_balance_that_is_not_in_the_limits_gives_way_to_the_fastest_pick(results):
    pick_named(results, "on-stm32f746")["achieved"]["quality_loss_db"] = 1.5
    assert rows_of(shortlist.parts_table(results))[1]["best pick"] == "weight"


@pytest.mark.parametrize(("suffix", "number"), [("-rival-1", 1), ("-r2", 2), ("-rival-1-r2", 2)])
def test_a_balance_of_a_later_round_or_what_has_beaten_it_stands_for_it(results, suffix, number):
    name = f"on-stm32f746{suffix}"
    pick_named(results, "on-stm32f746").update({"name": name, "round": number})
    pick_named(results, "weight")["estimates"]["latency_ms"] = 1.0
    assert rows_of(shortlist.parts_table(results))[1]["best pick"] == name


def test_plans_that_competed_are_for_the_part_of_the_pick_that_came_of_them(results):
    pick_named(results, "on-stm32f746")["name"] = "on-stm32f746-rival-1"
    pick_named(results, "weight")["name"] = "lost"
    rivals = [
        ("knee", None, None), ("knee-rival-1", "knee", 50), ("on-stm32f746", None, 50),
        ("on-stm32f746-rival-1", "on-stm32f746", None), ("weight", None, None),
    ]  # fmt: skip
    row = {"structure": "block", "predicted_loss_db": 0.2, "validation_loss_db": {}}
    candidates = [{"name": name, "rival_of": of, "stopped_at_step": step, **row} for name, of, step in rivals]
    halving = {"pruner": "asha", "rungs_steps": [50], "candidates": candidates}
    text = plain(competition({**results, "halving": halving}))
    for name, part in zip(
        [name for name, *_ in rivals], ["● ethos-u55-128"] * 2 + ["● stm32f746"] * 2 + ["–"], strict=True
    ):
        assert f" {name} {part} block" in text


def test_power_stands_beside_parts_that_state_it():
    known = build_shortlist()
    known["baseline"]["parts"]["stm32f746"]["estimates"]["average_power_mw"] = 2.0
    pick_named(known, "on-stm32f746")["estimates"]["average_power_mw"] = 1.0
    table = shortlist.parts_table(known)
    assert [row["power"] for row in rows_of(table)] == ["unknown", "1.00 mW"]
    assert {table.columns[column] for column in table.numeric} == {"power", "SI-SDR lost"}


def test_a_part_on_which_nothing_keeps_the_limits_is_told():
    results = build_shortlist(parts=THREE)
    row = rows_of(shortlist.parts_table(results))[2]
    assert (plain(row["enough"]), row["best pick"]) == ("no", "nothing in the limits")
    assert {row["time"], row["least lost"]} == {"–"}
    results["study"]["picks"]["count"] = 3
    assert rows_of(shortlist.parts_table(results))[2]["best pick"] == "no pick"


def test_a_part_without_a_pick_is_shown_by_its_fastest_point_of_the_front():
    row = rows_of(shortlist.parts_table(build_shortlist(picks=PICKS[:1])))[1]
    assert row["best pick"].startswith("none; plan-")
    assert plain(row["enough"]) == "yes"
    assert row["SI-SDR lost"].endswith("dB predicted")
    assert row["least lost"] == "–"


def test_a_point_of_the_front_that_breaks_a_limit_makes_no_part_enough():
    results = build_shortlist(picks=PICKS[:1])
    for point in results["front"]:
        point["feasible"] = point["profile"] == "ethos-u55-128"
    row = rows_of(shortlist.parts_table(results))[1]
    assert (plain(row["enough"]), row["best pick"]) == ("no", "nothing in the limits")


def test_the_best_balance_of_all_is_recommended_and_compared_with_dense_on_its_own_part(results):
    assert verdict.headline(results) == (
        "On ethos-u55-128, weight at 40 to 70 % with int8 is the best balance: 0.930 ms of the 10.0 ms "
        "allowed, 494 kB of flash, 0.31 dB of SI-SDR lost."
    )
    del results["picks"][0]
    sentences = verdict.supporting_sentences(results)
    assert verdict.headline(results).startswith("On stm32f746, block 1×16 at 50 to 80 % with int8")
    assert sentences[0].startswith("Against the dense network on stm32f746 that is 2.7× faster")
    assert any("(unit at 30 to 50 % with int8, on ethos-u55-128)" in sentence for sentence in sentences)


def test_the_dense_network_is_told_part_by_part():
    sentences = verdict.supporting_sentences(build_shortlist(parts=THREE))
    assert [sentence for sentence in sentences if sentence.startswith("The dense network")] == [
        "The dense network would fit on ethos-u55-128 too; sparsity buys time, energy and room.",
        "The dense network does not fit on stm32f746: over flash (1,039 kB of 524 kB).",
        "The dense network does not fit on rp2040: over the deadline (140 ms of 10.0 ms).",
    ]


def test_without_a_pick_that_fits_every_part_is_named(results):
    for pick in results["picks"]:
        pick["fits"]["deadline"] = False
    assert verdict.headline(results).startswith(
        "On ethos-u55-128 and stm32f746, none of the 5 retrained picks fits: over the deadline"
    )


def test_tables_of_picks_name_the_part_of_each(results):
    parts = [pick["profile"] for pick in results["picks"]]
    assert [plain(row["part"]) for row in rows_of(tables.picks_table(results))] == [f"● {p}" for p in parts]
    quality = rows_of(tables.quality_table(results, "unseen"))
    assert [plain(row["part"]) for row in quality] == ["–", *(f"● {part}" for part in parts)]
    results["picks"] = [pick for pick in results["picks"] if pick["structure"] != "unit"]
    rows = {plain(row["structure"]): row for row in rows_of(tables.structures_table(results))}
    assert {name: plain(row["part"]) for name, row in rows.items()} == {
        "weight": "● ethos-u55-128", "block": "● stm32f746", "unit": "–"
    }  # fmt: skip
    assert rows["block"]["against dense"] == "2.7×"


def test_numbers_stay_right_of_the_column_of_parts(results):
    for table in (tables.structures_table(results), tables.picks_table(results)):
        assert "part" not in {table.columns[column] for column in table.numeric}
        assert {"time", "structure"} & {table.columns[column] for column in table.numeric} == {"time"}


def test_each_part_has_its_own_limits(results):
    first, second = (tables.limits_table(results, part) for part in parts_of(results))
    assert first.columns[1] == "flash (limit 8,389 kB)"
    assert second.columns[1] == "flash (limit 524 kB)"
    assert [row[0] for row in first.rows] == ["dense baseline", "knee", "unit"]
    assert [row[0] for row in second.rows] == ["dense baseline", "on-stm32f746", "weight", "best-quality"]
    assert second.caption == "What each network uses of stm32f746"
    assert figures.front_limits(results, "latency_ms") == [("x", 10.0, ""), ("y", 1.0, "")]
    assert figures.front_limits(results, "flash_bytes") == [
        ("x", 524.288, "stm32f746"), ("x", 8388.608, "ethos-u55-128"), ("y", 1.0, "")
    ]  # fmt: skip


def drawn(results, quantity="latency_ms"):
    groups = figures.front_points(results, quantity)
    look = front_drawing.by_part(figures.group_names(results))
    spec = front_drawing.draw_front(
        quantity,
        groups,
        figures.pick_points(results, quantity),
        baselines=figures.baseline_points(results, quantity),
        limits=figures.front_limits(results, quantity),
        look=look,
    )
    return spec, front_drawing.front_key(groups, look)


def test_the_front_has_a_colour_for_each_part_and_a_shape_for_each_structure(results):
    spec, key = drawn(results)
    traces = {trace["name"]: trace for trace in spec["data"] if "name" in trace}
    colours = [traces[part]["marker"]["color"] for part in ("ethos-u55-128", "stm32f746")]
    assert len(set(colours)) == 2
    for name, which in (("pick, predicted", "predicted"), ("pick, retrained", "achieved")):
        own = [colours[pick["profile"] == "stm32f746"] for pick in results["picks"]]
        assert traces[name]["marker"]["color"] == own, which
    stars = [trace for trace in spec["data"] if trace.get("name") == "dense baseline"]
    assert [star["marker"]["color"] for star in stars] == colours
    assert [star["hovertemplate"] for star in stars] == [
        f"dense baseline on {part}<extra></extra>" for part in ("ethos-u55-128", "stm32f746")
    ]
    assert set(traces["ethos-u55-128"]["marker"]["symbol"]) == {
        "circle", "square", "triangle-up", "triangle-down"
    }  # fmt: skip
    assert [words for _, _, words in key] == [
        "ethos-u55-128", "stm32f746", "weight", "block", "unit", "dense",
        "pick, predicted", "pick, retrained", "dense baseline",
    ]  # fmt: skip


def test_the_key_names_a_part_of_which_only_the_dense_network_is_shown():
    _, key = drawn(build_shortlist(parts=THREE))
    assert [words for _, _, words in key][:3] == list(THREE)


def test_whatever_is_pointed_at_names_its_part(results):
    spec, _ = drawn(results)
    traces = {trace["name"]: trace for trace in spec["data"] if "name" in trace}
    for part in ("ethos-u55-128", "stm32f746"):
        assert all(f" on {part}<br>" in text for text in traces[part]["text"])
    assert traces["pick, predicted"]["text"][0] == "knee on ethos-u55-128<br>0.39 dB predicted"
    assert traces["pick, predicted"]["text"][1] == "on-stm32f746<br>0.87 dB predicted"


def test_a_limit_of_one_part_says_whose_it_is(results):
    spec, _ = drawn(results, "flash_bytes")
    words = [label["text"] for label in spec["layout"]["annotations"]]
    assert "flash limit of stm32f746" in words
    assert "flash limit of ethos-u55-128" not in words
    assert "deadline" in [label["text"] for label in drawn(results)[0]["layout"]["annotations"]]


def test_more_parts_than_colours_are_told_apart_by_outlines():
    names = [f"part-{index}" for index in range(10)]
    look = front_drawing.by_part(names)
    assert look.colours["part-0"] == look.colours["part-8"]
    assert look.symbols("part-0", ["unit"]) == ["triangle-up"]
    assert look.symbols("part-8", ["unit"]) == ["triangle-up-open"]
    groups = {name: {"structure": ["unit"]} for name in names}
    assert [mark for mark, *_ in front_drawing.front_key(groups, look)[:10]] == ["dot"] * 8 + ["ring"] * 2


def test_plotly_accepts_the_figures(results):
    import plotly.graph_objects as go

    for quantity in figures.COST_SCALES:
        spec, _ = drawn(results, quantity)
        assert len(go.Figure(spec).data) == len(spec["data"])


def test_times_are_listed_part_by_part(results):
    assert figures.time_by_layer(results)["networks"] == [
        "dense baseline\nethos-u55-128", "knee\nethos-u55-128", "unit\nethos-u55-128",
        "dense baseline\nstm32f746", "on-stm32f746", "weight\nstm32f746", "best-quality\nstm32f746",
    ]  # fmt: skip


def test_the_page_tells_sources_assumptions_and_what_is_unknown_of_each_part(results):
    html = render_page(results)
    reader = read(html)
    assert len(reader.identities) == len(set(reader.identities))
    text = text_of(html)
    for part in ("ethos-u55-128", "stm32f746"):
        assert f"Where the figures of {part} come from" in text
        assert f"Energy and power on {part} are unknown" in text
        assert f"dense baseline on {part}: " in text
    assert "hearing-aid: tinylstm on ethos-u55-128 and stm32f746" in text
    assert "Weights stream from flash Of ethos-u55-128 alone" in text
    assert "Of stm32f746 alone kernels of CMSIS-NN" in text
    assert (
        "Picks: knee and unit on ethos-u55-128; on-stm32f746, weight and best-quality on stm32f746." in text
    )
    assert "A plan's colour is its part, its shape the structure of most of its weights" in text
    assert "is on it" not in text


def test_a_part_that_others_beat_everywhere_is_told(results):
    results["front"] = [point for point in results["front"] if point["profile"] == "ethos-u55-128"]
    assert (
        "No plan on stm32f746 is on it: plans on other parts are as good or better in all of these."
        in text_of(render_page(results))
    )


def test_a_title_of_many_parts_counts_them():
    parts = (*THREE, "stm32h743")
    assert "tinylstm on 4 parts" in text_of(render_page(build_shortlist(parts=parts)))


def test_a_shortlist_without_picks_still_has_a_page(results):
    text = text_of(render_page({**results, "picks": [], "front": []}))
    assert "None of the 2 parts is enough for tinylstm" in text
    assert "On ethos-u55-128 and stm32f746, no plan was picked" in text


def test_names_of_parts_are_escaped(results):
    evil = json.loads(json.dumps(results).replace("stm32f746", "<i>&x</i>"))
    html = render_page(evil)
    assert "<i>&x" not in html
    assert "on <i>&x</i>" in text_of(html)


def test_equal_results_give_equal_bytes_and_are_left_as_they_are(results):
    before = copy.deepcopy(results)
    html = render_page(results)
    assert results == before
    assert render_page(json.loads(json.dumps(results))) == html


def test_a_study_of_one_part_has_none_of_this():
    html = render_page(build_results())
    assert "enough" not in html
    assert "part" not in tables.picks_table(build_results()).columns
