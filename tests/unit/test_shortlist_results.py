"""Results of several parts on the terminal, and their report drawn again."""

import json

import pytest
from shortlist_builder import build_shortlist

from npuexplore.cli.results_table import show_results
from npuexplore.errors import BadInput
from npuexplore.pipeline.run_directory import RunDirectory
from npuexplore.report import page


@pytest.fixture
def results():
    return build_shortlist()


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run directory."""
    monkeypatch.setattr(page, "_plotly_bundle", lambda: "/* plotly */")
    return RunDirectory(tmp_path)


def write(run, results):
    run.results.write_text(json.dumps(results))


def test_the_table_has_the_dense_network_of_each_part_and_the_part_of_each_pick(run, results, capsys):
    write(run, results)
    show_results(run, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert "hearing-aid on ethos-u55-128 and stm32f746: gains over unseen noisy mixtures" in lines[0]
    rows = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in lines if "│" in line]
    assert [row[:3] for row in rows] == [
        ["float baseline", "ethos-u55-128", "1.91"],
        ["float baseline", "stm32f746", "9.69"],
        ["knee", "ethos-u55-128", "0.93"],
        ["on-stm32f746", "stm32f746", "3.63"],
        ["weight", "stm32f746", "4.12"],
        ["unit", "ethos-u55-128", "0.64"],
        ["best-quality", "stm32f746", "4.70"],
    ]


def test_skipped_frames_stand_behind_the_other_columns(run, results, capsys):
    knee = results["picks"][0]
    knee["plan"]["skip_rate_frac"] = 0.4
    knee["skip_rate_frac_achieved"] = {"unseen": 0.41}
    write(run, results)
    show_results(run, as_json=False)
    rows = [line.strip("│ ").split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
    shares = [row[-2].strip() for row in rows]
    assert shares == ["0%", "0%", "41%", "0%", "0%", "0%", "0%"]


def test_the_report_is_drawn_again(cli, run, results):
    write(run, results)
    assert cli("report", run.folder).code == 0
    assert run.report.read_text() == page.render_page(results)


def test_results_that_lack_a_part_are_refused_in_one_sentence(cli, run, results):
    results["picks"][0]["profile"] = "another"
    write(run, results)
    outcome = cli("report", run.folder)
    assert outcome.code == 3
    assert "not results of this version" in outcome.sentence
    with pytest.raises(BadInput, match="not results of this version"):
        show_results(run, as_json=False)


@pytest.mark.parametrize("key", ["profiles", "baseline", "front"])
def test_results_without_a_key_are_refused(cli, run, results, key):
    del results[key]
    write(run, results)
    assert cli("report", run.folder).code == 3
    with pytest.raises(BadInput, match="not results of this version"):
        show_results(run, as_json=True)
