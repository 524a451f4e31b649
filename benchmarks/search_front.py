"""How much of the true front does a search find, after how many evaluations and seconds of one core?

python benchmarks/search_front.py --json
Peers come with the `bench` extra (pymoo, moocore); --no-peers leaves them out. --keep writes what is found to
docs/results/search. --energy asks for energy as well, of which figures are assumed.

tinylstm on ethos-u55-128 with at least 1e14 designs; mean latency, flash and loss of quality
(benchmarks/front_problem.py). Hypervolume in log10 of time, bytes and energy and in linear dB, from the ideal
to 1.1 times the way to the worst of a reference: where losses add up, the front within 1 % and 0.005 dB of
every design (search/engines/exact.py); where they do not, the best-known front that is kept beside the
results (benchmarks/best_known_front.py). Seconds are of the process, so that other work on the machine does
not count.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from best_known_front import FRONT, BestKnown, read_best_known, scaled_to, volume_of
from front_page import page
from front_problem import (
    FOLDER,
    NETWORK,
    PLAIN,
    WITH_ENERGY,
    WORST,
    Problem,
    Question,
    load_problem,
    losses_document,
    measured_losses,
)
from front_searches import (
    Found,
    Row,
    by_auto,
    by_chance,
    by_driver,
    by_evolution,
    by_optuna,
    by_pymoo,
    by_study,
    by_tolerance,
    peers_are_here,
    timed,
)
from threadpoolctl import threadpool_limits

from npuexplore.documents.atomic import write_json, write_text
from npuexplore.errors import NpuexploreError
from npuexplore.search.pareto import hypervolume

MEASURED = "search-front.json"
SCHEMA = "npuexplore.benchmark.search_front/1"


def measured(question: Question, seed: int, *, peers: bool) -> dict[str, Any]:
    if peers:
        peers_are_here()
    start = time.process_time()
    problem = load_problem(question)
    tables_s = time.process_time() - start
    best_known = read_best_known(problem)
    rows, resident_mb = separable_rows(problem, seed, peers=peers)
    reference = rows[0].objectives
    whole = volume(scaled_to(reference, reference), fast=peers)
    separable = {
        row.search: document(row, volume(scaled_to(reference, row.objectives), fast=peers) / whole)
        for row in rows
    }
    full = {
        row.search: document(row, covered(best_known, row, fast=peers))
        for row in full_rows(problem, seed, peers=peers)
    }
    return {
        "schema": SCHEMA,
        "part": question.profile.name,
        "network": NETWORK,
        "objectives": list(question.objectives),
        "designs": problem.model.space.designs,
        "layer_states": problem.model.tables.rows,
        "tables_seconds": round(tables_s, 2),
        "exact_resident_mb": resident_mb,
        **headline(separable, full, tables_s),
        "separable": separable,
        "full_model": full,
        "losses": losses_document(measured_losses()),
        "best_known": {
            "file": question.kept(FRONT).name,
            "command": best_known.document["command"],
            "sha256": best_known.document["sha256"],
            "points": len(best_known.rows),
            "searches": best_known.document["searches"],
        },
    }


def volume(scaled: np.ndarray, *, fast: bool) -> float:
    return volume_of(scaled) if fast else hypervolume(scaled, reference=np.full(scaled.shape[1], WORST))


def covered(best_known: BestKnown, row: Row, *, fast: bool) -> float:
    return volume(scaled_to(best_known.objectives, row.objectives), fast=fast) / best_known.volume


def separable_rows(problem: Problem, seed: int, *, peers: bool) -> tuple[list[Row], int]:
    """Rows, the reference first, and the megabytes that were resident after the 10 % front."""
    points = problem.summed

    def exact(eps_frac: float) -> Row:
        return timed(f"exact {eps_frac:.0%}", 0, lambda: by_tolerance(problem, eps_frac, points))

    coarse = exact(0.1)
    resident_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    runs: list[tuple[str, int, Callable[..., Found]]] = [
        ("random", 20_000, by_chance),
        ("evolve", 1_000, by_evolution),
        ("evolve", 20_000, by_evolution),
        ("evolve", 100_000, by_evolution),
        ("Optuna NSGA-II", 1_000, by_optuna),
    ]
    if peers:
        runs += [("pymoo NSGA-II", 1_000, by_pymoo), ("pymoo NSGA-II", 20_000, by_pymoo)]
    rows = [exact(0.01), exact(0.03), coarse, *(ran(problem, points, seed, *each) for each in runs)]
    rows.append(timed("study's Optuna 1k", 1_000, lambda: by_driver(problem, 1_000, seed)))
    return rows, resident_mb


def full_rows(problem: Problem, seed: int, *, peers: bool) -> list[Row]:
    """Where layers lose other than a sum together."""
    points = problem.full
    runs: list[tuple[str, int, Callable[..., Found]]] = [
        ("random", 20_000, by_chance),
        ("evolve", 20_000, by_evolution),
        ("auto", 20_000, by_auto),
        ("study's auto", 20_000, by_study),
        ("evolve", 100_000, by_evolution),
        ("auto", 100_000, by_auto),
        ("study's auto", 100_000, by_study),
        ("Optuna NSGA-II", 1_000, by_optuna),
    ]
    if peers:
        runs.append(("pymoo NSGA-II", 20_000, by_pymoo))
    relaxed = timed("exact 3% re-evaluated", 0, lambda: by_tolerance(problem, 0.03, points))
    return [relaxed, *(ran(problem, points, seed, *each) for each in runs)]


def ran(
    problem: Problem,
    points: Callable[[np.ndarray], np.ndarray],
    seed: int,
    name: str,
    evaluations: int,
    search: Callable[..., Found],
) -> Row:
    called = f"{name} {evaluations // 1000}k"
    return timed(called, evaluations, lambda: search(problem, points, evaluations, seed))


def document(row: Row, share: float) -> dict[str, Any]:
    return {
        "evaluations": row.evaluations,
        "seconds": round(row.seconds, 2),
        "points": len(row.objectives),
        "hypervolume_frac": round(share, 4),
    }


def headline(separable: dict[str, Any], full: dict[str, Any], tables_s: float) -> dict[str, Any]:
    def share(rows: dict[str, Any], name: str) -> float | None:
        return rows[name]["hypervolume_frac"] if name in rows else None

    cold = separable["evolve 20k"]
    return {
        "exact_seconds": round(tables_s + separable["exact 10%"]["seconds"], 2),
        "exact_hypervolume_frac": share(separable, "exact 10%"),
        "evolve_20k_hypervolume_frac": share(separable, "evolve 20k"),
        "evolve_20k_warm_hypervolume_frac": share(full, "auto 20k"),
        "evolve_100k_warm_hypervolume_frac": share(full, "auto 100k"),
        "evaluations_per_s": round(cold["evaluations"] / max(cold["seconds"], 1e-9)),
        "full_evaluations_per_s": round(
            full["evolve 20k"]["evaluations"] / max(full["evolve 20k"]["seconds"], 1e-9)
        ),
        "pymoo_20k_hypervolume_frac": share(separable, "pymoo NSGA-II 20k"),
        "optuna_1k_hypervolume_frac": share(separable, "Optuna NSGA-II 1k"),
    }


def show(found: dict[str, Any]) -> None:
    print(f"{found['network']} on {found['part']}, {found['designs']:.3g} designs, one core")
    print(f"objectives: {', '.join(found['objectives'])}")
    print(f"tables of all layers' choices: {found['tables_seconds']:.1f} s")
    for title, key in (
        ("losses add up; share of the 1 % front's hypervolume", "separable"),
        ("losses act on each other; share of the best known", "full_model"),
    ):
        print(f"\n{title}\n{'':<28} {'evaluations':>12} {'seconds':>9} {'points':>8} {'share':>8}")
        for name, row in found[key].items():
            print(
                f"{name:<28} {row['evaluations']:>12,} {row['seconds']:>9.2f} {row['points']:>8,} "
                f"{row['hypervolume_frac']:>8.4f}"
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--energy", action="store_true", help="energy is an objective as well")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--keep", action="store_true", help="write docs/results/search as well")
    options = parser.parse_args()
    if options.energy and options.no_peers:
        parser.error("--energy: hypervolume of four objectives needs the peer moocore; leave --no-peers out")
    question = WITH_ENERGY if options.energy else PLAIN
    try:
        with threadpool_limits(1):
            found = measured(question, options.seed, peers=not options.no_peers)
    except NpuexploreError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if options.keep:
        write_json(question.kept(MEASURED), found)
        both = [json.loads(each.kept(MEASURED).read_text(encoding="utf-8")) for each in (PLAIN, WITH_ENERGY)]
        write_text(FOLDER / "README.md", page(*both))
    if options.as_json:
        print(json.dumps(found, indent=2))
    else:
        show(found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
