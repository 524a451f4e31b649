"""The report's data functions and words: what is drawn and said, apart from how."""

import copy

import pytest
from results_builder import LIMITS, build_results

from npuexplore.report import drawing, figures, front_drawing, tables, verdict
from npuexplore.report.parts import parts_of
from npuexplore.report.words import dominant_structure, layer_words, plan_words


@pytest.fixture
def results():
    return build_results()


def pick_named(results, name):
    return next(pick for pick in results["picks"] if pick["name"] == name)


def test_the_front_is_grouped_by_structure_with_ms_and_kb(results):
    times = figures.front_points(results, "latency_ms")
    flash = figures.front_points(results, "flash_bytes")
    assert list(times) == ["weight", "block", "unit"]
    assert sum(len(group["x"]) for group in times.values()) == len(results["front"])
    for group in times.values():
        assert group["x"] == sorted(group["x"])
    every = sorted(x for group in flash.values() for x in group["x"])
    expected = sorted(point["estimates"]["flash_bytes"] / 1000 for point in results["front"])
    assert every == pytest.approx(expected)


def test_infeasible_points_stay_marked(results):
    marked = [f for group in figures.front_points(results, "latency_ms").values() for f in group["feasible"]]
    assert marked.count(False) == sum(not point["feasible"] for point in results["front"]) > 0


def test_the_structure_of_a_front_point_is_that_of_most_of_its_sparse_weights():
    plan = {
        "layers": {
            "a": {"structure": "unit"},
            "b": {"structure": "block"},
            "c": {"structure": "dense"},
        }
    }
    assert dominant_structure(plan, {"a": 10.0, "b": 5.0, "c": 99.0}) == "unit"
    assert dominant_structure(plan, {"a": 1.0, "b": 5.0, "c": 99.0}) == "block"
    assert dominant_structure({"layers": {"c": {"structure": "dense"}}}, {}) == "dense"


def test_an_envelope_falls_and_is_beaten_by_no_point():
    x, y = [3.0, 1.0, 2.0, 4.0, 2.0], [1.0, 5.0, 3.0, 2.0, 4.0]
    assert figures.envelope(x, y) == ([1.0, 2.0, 3.0], [5.0, 3.0, 1.0])


def test_wide_costs_get_a_log_axis_that_shows_them_all():
    wide, narrow = figures.cost_axis([1.0, 9.0]), figures.cost_axis([1.0, 2.0])
    assert wide["log"]
    assert not narrow["log"]
    for axis, low, high in ((wide, 1.0, 9.0), (narrow, 1.0, 2.0)):
        assert axis["range"][0] < low < high < axis["range"][1]


def test_labels_that_would_touch_lie_on_different_levels():
    levels = figures.label_levels([1.0, 1.2, 1.4, 9.0], reach=0.5)
    assert len(set(levels[:3])) == 3
    assert levels[3] == 0


def test_limits_of_an_axis_are_in_its_unit(results):
    assert figures.front_limits(results, "flash_bytes") == [
        ("x", pytest.approx(524.288), ""), ("y", 1.0, "")
    ]  # fmt: skip
    del results["limits"]
    assert figures.front_limits(results, "latency_ms") == [("x", pytest.approx(10.0), "")]
    assert figures.front_limits(results, "flash_bytes") == []


def test_times_by_layer_add_up_to_the_time_of_a_frame(results):
    times = figures.time_by_layer(results)
    assert times["networks"] == ["dense baseline", *(pick["name"] for pick in results["picks"])]
    for column, record in enumerate([results["baseline"], *results["picks"]]):
        total = sum(times["ms"][layer][column] for layer in times["layers"])
        assert total == pytest.approx(record["estimates"]["latency_ms"])


def test_sensitivity_curves_start_dense_and_rise_with_sparsity(results):
    curves = figures.sensitivity_curves(results)
    assert list(curves) == ["weight", "block 1×16", "unit"]
    assert "fc_2" not in curves["unit"]
    for layers in curves.values():
        for sparsity, loss in layers.values():
            assert sparsity[0] == 0.0
            assert sparsity == sorted(sparsity)
            assert loss == sorted(loss)


def test_sensitivity_shows_int8_only(results):
    row = {**results["sensitivity"][1], "weight_bits": 4, "one_shot_loss_db": 99.0}
    results["sensitivity"].append(row)
    values = [
        y for layers in figures.sensitivity_curves(results).values() for _, ys in layers.values() for y in ys
    ]
    assert max(values) < 99.0


def test_only_retrained_picks_are_compared(results):
    pick_named(results, "unit")["achieved"] = {}
    pairs = figures.loss_pairs(results)
    assert [pair["name"] for pair in pairs] == ["knee", "weight", "smallest", "fastest"]
    assert all(pair["achieved"] == pytest.approx(0.8 * pair["predicted"]) for pair in pairs)


def test_the_fastest_pick_that_fits_and_keeps_the_quality_is_recommended(results):
    assert verdict.recommended_pick(results)["name"] == "fastest"
    pick_named(results, "fastest")["fits"]["sram"] = False
    assert verdict.recommended_pick(results)["name"] == "knee"
    pick_named(results, "knee")["achieved"]["quality_loss_db"] = 1.01
    assert verdict.recommended_pick(results)["name"] == "smallest"


def test_the_headline_names_part_structure_bits_time_flash_and_loss(results):
    sentence = verdict.headline(results)
    assert sentence == (
        "On micronpu-block16, block 1×16 at 50 to 80 % with int8 is the fastest pick: "
        "0.616 ms of the 10.0 ms allowed, 270 kB of flash, 0.69 dB of SI-SDR lost."
    )


def test_times_of_a_calibrated_part_have_their_interval(results):
    plain = verdict.headline(results)
    for pick in results["picks"]:
        pick["estimates"]["latency_ms_interval"] = [1.0, 9.871]
    assert " (1.00 to 9.87) of the 10.0 ms allowed" in verdict.headline(results)
    assert all("(1.00 to 9.87)" in row[2] for row in tables.picks_table(results).rows)
    assert "(" not in plain.partition(" ms")[2].partition(",")[0]


def test_the_headline_says_when_the_quality_is_missed(results):
    for pick in results["picks"]:
        pick["achieved"]["quality_loss_db"] = 2.0
    assert "loses least, but more than allowed" in verdict.headline(results)


def test_the_headline_says_when_no_pick_fits_and_why(results):
    for pick in results["picks"]:
        pick["fits"]["deadline"] = False
    assert verdict.headline(results) == (
        "On micronpu-block16, none of the 5 retrained picks fits: over flash and the deadline."
    )
    assert verdict.headline({**results, "picks": []}).endswith("nothing that was searched keeps the limits.")


def test_the_headline_says_what_is_only_predicted():
    assert "predicted to be lost (not retrained yet)" in verdict.headline(build_results(retrained=False))


def test_a_pick_better_than_the_baseline_has_lost_nothing(results):
    pick_named(results, "fastest")["achieved"]["quality_loss_db"] = -0.12
    assert "no SI-SDR lost (0.12 dB better than the baseline)" in verdict.headline(results)


def test_what_stands_behind_the_headline_is_said_with_figures(results):
    sentences = verdict.supporting_sentences(results)
    assert sentences[0] == (
        "Against the dense network that is 2.9× faster and 4.7× smaller in weights; "
        "its layers alone are 3.5× faster, the front end takes 25 % of the time."
    )
    assert "The best unit pick does not fit: over flash (569 kB of 524 kB)." in sentences
    assert "The dense network does not fit: over flash (1,047 kB of 524 kB)." in sentences
    assert sentences[-1].startswith("No unit-sparse plan")


def test_structures_are_listed_best_first_and_missing_ones_last(results):
    assert [row.structure for row in verdict.structure_rows(results)] == ["block", "weight", "unit"]
    results["picks"] = [pick for pick in results["picks"] if pick["structure"] != "block"]
    last = verdict.structure_rows(results)[-1]
    assert (last.structure, last.pick) == ("block", None)


def test_mixed_plans_have_a_row_of_their_own_and_leave_the_structures_to_pure_ones(results):
    knee = pick_named(results, "knee")
    knee["plan"]["layers"]["fc_1"] |= {"structure": "weight", "block": None}
    rows = {row.structure: row.pick["name"] for row in verdict.structure_rows(results)}
    assert rows == {"block": "fastest", "weight": "smallest", "unit": "unit", "mixed": "knee"}
    results["picks"] = [pick for pick in results["picks"] if pick["name"] != "fastest"]
    rows = {row.structure: row.pick["name"] for row in verdict.structure_rows(results)}
    assert rows == {"block": "knee", "weight": "smallest", "unit": "unit"}


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([], "dense with int8"),
        ([("weight", 0.9, None, 4)], "weight at 90 % with int4"),
        (
            [("block", 0.5, [1, 16], 8), ("block", 0.8, [1, 16], 4)],
            "block 1×16 at 50 to 80 % with int4 and int8",
        ),
        (
            [("unit", 0.5, None, 8), ("weight", 0.7, None, 8)],
            "a mix of unit and weight at 50 to 70 % with int8",
        ),
    ],
)
def test_plans_in_words(layers, words):
    plan = {
        "layers": {"dense": {"structure": "dense", "weight_bits": 8, "sparsity_frac": 0.0}}
        if not layers
        else {}
    }
    for index, (structure, sparsity, block, bits) in enumerate(layers):
        choice = {"structure": structure, "sparsity_frac": sparsity, "block": block, "weight_bits": bits}
        plan["layers"][f"layer_{index}"] = choice
    assert plan_words(plan) == words


def test_matrices_that_differ_are_named_one_after_the_other():
    own = {"structure": "block", "block": [1, 16], "sparsity_frac": 0.8, "weight_bits": 4}
    layer = {"structure": "weight", "sparsity_frac": 0.5, "block": None, "weight_bits": 8, "w_h": own}
    plan = {"layers": {"lstm": layer}}
    assert layer_words(layer) == "w_x weight, 50 %, int8; w_h block 1×16, 80 %, int4"
    assert plan_words(plan) == "a mix of weight and block 1×16 at 50 to 80 % with int4 and int8"
    dense = {**layer, "w_h": {"structure": "dense"}}
    assert layer_words(dense) == "w_x weight, 50 %, int8; w_h dense, int8"
    assert plan_words({"layers": {"lstm": dense}}) == "weight at 50 % with int8"
    assert dominant_structure({"layers": {"lstm": dense}}, {}) == "weight"


def test_limits_come_from_the_study_and_the_deadline_from_the_estimate(results):
    assert [part.limits for part in parts_of(results)] == [LIMITS]
    results["limits"] = {"flash_bytes": 1.0}
    assert parts_of(results)[0].limits == {"flash_bytes": 1.0, "latency_ms": pytest.approx(10.0)}


def test_every_row_of_every_table_has_a_cell_for_every_column(results):
    found = [
        tables.structures_table(results),
        tables.picks_table(results),
        *(tables.limits_table(results, part) for part in parts_of(results)),
        *(tables.sources_table(results, part) for part in parts_of(results)),
        tables.layers_table("knee", results["picks"][0]),
        tables.layers_table("dense", results["baseline"]),
        *(tables.quality_table(results, name) for name in results["evaluations"]),
    ]
    for table in found:
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_cycles_of_real_weights_stand_beside_those_expected(results):
    pick = copy.deepcopy(results["picks"][0])
    layer = pick["layers"][1]
    layer["cycles_of_real_weights"] = layer["cycles"] + 1_000

    table = tables.layers_table("knee", pick)
    predicted, real = (table.columns.index(f"cycles, {which}") for which in ("predicted", "real"))
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert table.rows[0][predicted] == table.rows[0][real]
    assert table.rows[1][predicted] != table.rows[1][real]
    assert table.rows[-1][predicted] != table.rows[-1][real]


def test_shares_of_layers_add_up(results):
    table = tables.layers_table("knee", results["picks"][0])
    shares = [float(row[table.columns.index("share")].split()[0]) for row in table.rows[:-1]]
    assert sum(shares) == pytest.approx(100, abs=1.5)


def test_a_bar_is_full_at_its_limit_and_red_above_it(results):
    html = tables.table_html(tables.limits_table(results, *parts_of(results)))
    assert 'class="over" style="width:100.0%"' in html
    assert "200 %" in html
    assert 'style="width:51.5%"' in html


def test_an_unknown_figure_reads_unknown():
    table = tables.structures_table(build_results(with_energy=False))
    assert {row[table.columns.index("power")] for row in table.rows} == {"unknown"}


def test_data_functions_change_nothing(results):
    before = copy.deepcopy(results)
    verdict.supporting_sentences(results)
    for quantity in figures.COST_SCALES:
        figures.front_points(results, quantity)
    figures.sensitivity_curves(results)
    tables.picks_table(results)
    assert results == before


def test_plotly_accepts_every_figure(results):
    import plotly.graph_objects as go

    times = figures.time_by_layer(results)
    specs = [
        drawing.draw_losses(figures.loss_pairs(results), limit_db=1.0, colours=drawing.COLOURS),
        drawing.draw_times(times["networks"], times["layers"], times["ms"]),
    ]
    specs += [
        front_drawing.draw_front(
            quantity,
            figures.front_points(results, quantity),
            figures.pick_points(results, quantity),
            baselines=figures.baseline_points(results, quantity),
            limits=figures.front_limits(results, quantity),
        )
        for quantity in figures.COST_SCALES
    ]
    specs += [
        drawing.draw_sensitivity(layers, order=list(layers), top_db=3.0)
        for layers in figures.sensitivity_curves(results).values()
    ]
    for spec in specs:
        assert len(go.Figure(spec).data) == len(spec["data"]) > 0


def test_a_limit_far_beyond_the_plans_is_not_drawn(results):
    results["limits"]["flash_bytes"] = 16e6
    spec = front_drawing.draw_front(
        "flash_bytes",
        figures.front_points(results, "flash_bytes"),
        [],
        baselines=figures.baseline_points(results, "flash_bytes"),
        limits=figures.front_limits(results, "flash_bytes"),
    )
    assert [shape["name"] for shape in spec["layout"]["shapes"]] == ["limit-y"]


@pytest.fixture
def skipping(results):
    """The same with a knee that skips 40 % of frames by its plan, and rates that were measured."""
    knee = pick_named(results, "knee")
    knee["plan"]["skip_rate_frac"] = 0.4
    knee["skip_rate_frac_achieved"] = {"unseen": 0.41, "pairs": 0.39}
    knee["estimates"]["mean_latency_ms"] = 0.6 * knee["estimates"]["latency_ms"]
    results["sensitivity"] += [
        {"skip_rate_frac": 0.4, "one_shot_loss_db": 0.9}, {"skip_rate_frac": 0.3, "one_shot_loss_db": 0.5}
    ]  # fmt: skip
    return results


def test_skipped_frames_have_their_columns_and_a_sentence(skipping):
    table = tables.picks_table(skipping)
    row = dict(zip(table.columns, next(row for row in table.rows if row[0] == "knee"), strict=True))
    assert (row["frames skipped, plan"], row["frames skipped, real"]) == ("40 %", "39 %")
    (sentence,) = [
        text for text in verdict.supporting_sentences(skipping) if "kipping" in text and "pick" in text
    ]
    assert sentence.startswith("Skipping 40 % of frames, pick knee takes ")
    assert "only" not in sentence
    assert plan_words(pick_named(skipping, "knee")["plan"]).endswith(", skipping 40 % of frames")


def test_a_pick_that_skips_less_than_its_plan_is_told(skipping):
    pick_named(skipping, "knee")["skip_rate_frac_achieved"] = {"unseen": 0.36, "pairs": 0.41}
    assert any(
        "retrained it skips only 36 % on unseen, so its mean time and energy are stated too low" in text
        for text in verdict.supporting_sentences(skipping)
    )


def test_without_skips_no_column_tells_of_them(results):
    assert not any("skip" in column for column in tables.picks_table(results).columns)


def test_losses_of_held_states_rise_and_are_no_curves_of_layers(skipping):
    assert figures.skip_losses(skipping) == [(0.3, 0.5), (0.4, 0.9)]
    for layers in figures.sensitivity_curves(skipping).values():
        assert set(layers) <= {"lstm_1", "lstm_2", "fc_1", "fc_2"}
