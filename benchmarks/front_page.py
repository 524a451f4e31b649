"""docs/results/search/README.md, from what benchmarks/search_front.py measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Rows = Mapping[str, Mapping[str, Any]]

HEAD = """# How much of the front searches find

Written by `python benchmarks/search_front.py --keep` (extra `bench`: pymoo 0.6.2, moocore 0.3.2); every
figure is one of `search-front.json` or, with `--energy`, of `search-front-energy.json`. `{network}` on
`{part}`, {designs:.3g} designs: mean latency, flash and loss of quality, no limits, one seed; below also
with energy per frame. Seconds are of the process on one core. Hypervolume is in log10 of time, bytes and
energy and in linear dB, from the ideal to 1.1 times the way to the worst of the reference front.
"""

LOSSES = """## The losses

Measured, not assumed (`losses.json`, by `python benchmarks/one_shot_losses.py --data FOLDER`): the
shipped network is compressed at once, without retraining, on the calibration mixtures of
`studies/baseline.yaml` in what `npuexplore data fetch debian-speech` gets. {measured_choices:,} choices and
rates of skipped frames were measured alone; between measured sparsities losses lie on straight lines.
Studies add such losses up and expect retraining to leave {recovery_frac:g} of them until picks tell; so does
the separable model here.

Layers do not lose a sum. The full model adds, for each pair of layers, a share of the smaller of their
two losses, by least squares over {measured_pairs:,} measured pairs, and is never below the worst layer
alone:

| layers | share |
|---|---|
{shares}

That is no sum over layers, so that `exact` refuses it. Of {whole_plans:,} measured whole plans that no
fit has seen, before retraining:

| model | mean error, dB | Kendall's tau |
|---|---|---|
| sum | {summed} |
| with pairs | {coupled} |

How skipped frames and zeros act on each other was not measured; the two add up in both models.
"""

WITH_ENERGY = """# With energy

`{part}` is the same part with energy per MAC, byte and cycle
(`benchmarks/ethos-u55-128-energy.yaml`): no figures of the part itself are published, so those of its class
are assumed. They compare searches, and say nothing about the part.
"""

SEPARABLE = """## Losses that add up

Share of the front within 1 % and 0.005 dB of every design. Tables of all layers' choices
({layer_states:,} layer states) take {tables_seconds:g} s once; the 10 % front takes {exact_seconds:g} s
in all, with at most {exact_resident_mb:,} MB resident. `evolve` looks at {evaluations_per_s:,} designs a
second, selection included.
"""

FULL = """## Losses that act on each other

Share of the best-known front, {points:,} designs: `{file}`, SHA-256
`{sha256}`, made by
`{command}`. `auto` starts from elites of the separable front;
`study's auto` is what a study with `engine: auto` runs before Optuna's trials, which also searches each
structure alone at the same evaluations in all: seconds include their tables. `evolve` looks at {rate:,}
designs a second.
"""

COLUMNS = "| search | evaluations | seconds | points | share of hypervolume |\n|---|---|---|---|---|"
SOURCES = """What the best-known front is made of; `kept` are designs that no other search beats.

| search | evaluations | seconds | points | kept | share of hypervolume |
|---|---|---|---|---|---|"""


def page(plain: Mapping[str, Any], with_energy: Mapping[str, Any]) -> str:
    losses = plain["losses"]
    shares = "\n".join(f"| {pair} | {share:+.4f} |" for pair, share in losses["coupling"].items())
    models = {
        key: "{mean_error_db:g} | {kendall_tau:g}".format(**losses[key]) for key in ("summed", "coupled")
    }
    return "\n".join(
        [
            HEAD.format(**plain),
            LOSSES.format(**{**losses, **models}, shares=shares),
            *tables(plain),
            WITH_ENERGY.format(**with_energy),
            *tables(with_energy),
        ]
    )


def tables(found: Mapping[str, Any]) -> Iterator[str]:
    best = found["best_known"]
    full = FULL.format(rate=found["full_evaluations_per_s"], **best)
    yield f"{SEPARABLE.format(**found)}\n{COLUMNS}\n{rows_of(found['separable'])}\n"
    yield f"{full}\n{COLUMNS}\n{rows_of(found['full_model'])}\n"
    yield f"{SOURCES}\n{rows_of(best['searches'])}\n"


def rows_of(rows: Rows) -> str:
    return "\n".join(row_of(name, row) for name, row in rows.items())


def row_of(name: str, row: Mapping[str, Any]) -> str:
    cells = [
        name,
        f"{row['evaluations']:,}" if row["evaluations"] else "",
        f"{row['seconds']:g}",
        f"{row['points']:,}",
        *([f"{row['points_kept']:,}"] if "points_kept" in row else []),
        f"{row['hypervolume_frac']:.4f}",
    ]
    return f"| {' | '.join(cells)} |"
