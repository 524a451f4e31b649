"""How long does it take to record trials of a search, to open its record again and to read its front?

python benchmarks/record_speed.py --json
Trials of tinylstm's space in a journal file, and in SQLite beside what Optuna's own `add_trials` takes there;
--storage URL measures another database (give an empty one). Seconds are of the process, so that other work on
the machine does not count; what a database server does and what waits for a disk is not in them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from npuexplore.errors import NpuexploreError
from npuexplore.search.pareto import feasible_front
from npuexplore.search.record import Trial, open_record
from npuexplore.search.space import SpaceSpec, params_of, random_choices, space_for
from npuexplore.search.storage_faults import masked
from npuexplore.search.suggest import distributions
from npuexplore.workload.load import load_network

SCHEMA = "npuexplore.benchmark.record_speed/1"
NETWORK = "tinylstm"
OBJECTIVES = ("mean_latency_ms", "flash_bytes", "quality_loss_db")
LIMITS = ("flash_bytes", "sram_bytes", "latency_ms")
ELITES = 500
BY_OPTUNA = 20
"""Trials that Optuna's own way is timed with."""
SPACE = space_for(SpaceSpec(), load_network(NETWORK))
DISTRIBUTIONS = distributions(SPACE)


def trials(count: int) -> list[Trial]:
    """Random designs with random figures, two in five of them feasible."""
    rng = np.random.default_rng(1)
    objectives = rng.random((count, len(OBJECTIVES)))
    limits = rng.random((count, len(LIMITS))) - 0.75
    rows = random_choices(SPACE, rng, count)
    return [
        Trial(number, "mixed", 0, params_of(SPACE, row), tuple(values), tuple(broken))
        for number, (row, values, broken) in enumerate(
            zip(rows, objectives.tolist(), limits.tolist(), strict=True)
        )
    ]


def opened(storage: Path | str) -> Any:
    return open_record(
        storage, directions=["minimize"] * len(OBJECTIVES), metric_names=OBJECTIVES, fingerprint="benchmark"
    )


def seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def front(record: Any) -> np.ndarray:
    """Indices of the feasible trials that no other beats."""
    finished = record.finished_trials()
    objectives = np.array([trial.objectives for trial in finished])
    violations = np.array([trial.violations for trial in finished])
    return feasible_front(objectives, (violations <= 0.0).all(axis=1))


def journal(path: Path, count: int) -> dict[str, float]:
    planned = trials(count)
    with opened(path) as record:
        elites = seconds(lambda: stored(record, planned[:ELITES]))
        stored(record, planned[ELITES:])
    start = time.process_time()
    with opened(path) as record:
        opening = time.process_time() - start
        return {
            "record_500_s": elites,
            "open_s": opening,
            "front_s": seconds(lambda: front(record)),
            "mb": path.stat().st_size / 1e6,
        }


def database(url: str) -> dict[str, float]:
    planned = trials(ELITES + BY_OPTUNA)
    with opened(url) as record:
        elites = seconds(lambda: stored(record, planned[:ELITES]))
        frozen = record.study.get_trials(deepcopy=False)[:BY_OPTUNA]
        theirs = seconds(lambda: record.study.add_trials(frozen))
    return {"record_500_s": elites, "record_500_by_optuna_s": theirs * ELITES / BY_OPTUNA}


def stored(record: Any, planned: Sequence[Trial]) -> None:
    record.store(planned, distributions=DISTRIBUTIONS, constraint_names=LIMITS)


def measured(count: int, url: str | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "schema": SCHEMA,
            "network": NETWORK,
            "parameters": len(SPACE.parameters),
            "trials": count,
            "journal": journal(Path(folder) / "search.log", count),
            "sqlite": database(f"sqlite:///{folder}/search.db"),
        }
    if url is not None:
        found["storage"] = {"url": masked(url), **database(url)}
    return found


def show(found: dict[str, Any]) -> None:
    kept, lite = found["journal"], found["sqlite"]
    rows = [
        (f"{ELITES} trials into a journal", kept["record_500_s"]),
        (f"open a journal of {found['trials']:,} trials ({kept['mb']:.0f} MB)", kept["open_s"]),
        (f"front of {found['trials']:,} trials of an open journal", kept["front_s"]),
        (f"{ELITES} trials into SQLite", lite["record_500_s"]),
        (f"the same by Optuna's add_trials (from {BY_OPTUNA})", lite["record_500_by_optuna_s"]),
    ]
    if "storage" in found:
        rows.append((f"{ELITES} trials into {found['storage']['url']}", found["storage"]["record_500_s"]))
        rows.append(("the same by Optuna's add_trials", found["storage"]["record_500_by_optuna_s"]))
    print(f"{found['network']}, {found['parameters']} parameters, processor seconds")
    for what, taken in rows:
        print(f"{what:<60} {taken:>8.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--storage", help="URL of an empty database to measure as well")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.trials < ELITES:
        parser.error(f"--trials: got {options.trials}; give at least {ELITES}")
    try:
        found = measured(options.trials, options.storage)
    except NpuexploreError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
