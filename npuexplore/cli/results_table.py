"""What a finished study found, as a table: the baseline on each part, and every pick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from npuexplore.cli.console import note, print_json, print_table

if TYPE_CHECKING:
    from npuexplore.pipeline.run_directory import RunDirectory

COLUMNS = ("network", "ms", "flash kB", "SDR dB", "SI-SDR dB", "lost dB", "predicted")


def show_results(run: RunDirectory, *, as_json: bool) -> None:
    """Prints `results.json`, or its networks as a table. Raises BadInput for unusable results."""
    from npuexplore.pipeline.redraw import read_results, unusable_results
    from npuexplore.report.parts import parts_words

    results = read_results(run)
    if as_json:
        print_json(results)
        return
    try:
        title = f"{results['study']['name']} on {parts_words(results)}: gains over unseen noisy mixtures"
        columns, rows = _table(results)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise unusable_results(run) from None
    print_table(title, columns, rows)
    note(f"Report: {run.report}")
    note(f"Results: {run.results}")


def _table(results: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows; with the part of each row in a shortlist, and with skipped frames where some are."""
    from npuexplore.report.parts import is_shortlist, part_of, parts_of

    baseline, picks = results["baseline"], results["picks"]
    networks = [(part.name, part.dense, _baseline_row(part.dense, baseline)) for part in parts_of(results)]
    networks += [(part_of(pick, results).name, pick, _pick_row(pick)) for pick in picks]
    columns, rows = list(COLUMNS), [row for *_, row in networks]
    if any(pick["plan"]["skip_rate_frac"] for pick in picks):
        columns += ["skipped", "mean ms"]
        rows = [[*row, *_skips(record)] for _, record, row in networks]
    if is_shortlist(results):
        columns = [columns[0], "part", *columns[1:]]
        rows = [[row[0], name, *row[1:]] for (name, *_), row in zip(networks, rows, strict=True)]
    return columns, rows


def _baseline_row(dense: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[str]:
    return [*_costs_and_gains("float baseline", dense["estimates"], baseline["quality"]), "", ""]


def _pick_row(pick: Mapping[str, Any]) -> list[str]:
    losses_db = (pick["achieved"]["quality_loss_db"], pick["predicted"]["quality_loss_db"])
    row = _costs_and_gains(pick["name"], pick["estimates"], pick["achieved"]["quality"])
    return [*row, *(f"{loss_db:.2f}" for loss_db in losses_db)]


def _skips(record: Mapping[str, Any]) -> list[str]:
    """The share of frames that a network skips on unseen mixtures, and its mean time."""
    share = record.get("skip_rate_frac_achieved", {"unseen": 0.0})["unseen"]
    return [f"{share:.0%}", f"{record['estimates']['mean_latency_ms']:.2f}"]


def _costs_and_gains(name: str, estimates: Mapping[str, Any], quality: Mapping[str, Any]) -> list[str]:
    return [
        str(name),
        f"{estimates['latency_ms']:.2f}",
        f"{estimates['flash_bytes'] / 1000:.1f}",
        f"{quality['unseen']['sdr_improvement_db']:+.2f}",
        f"{quality['unseen']['si_sdr_improvement_db']:+.2f}",
    ]
