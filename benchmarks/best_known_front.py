"""What is the best front of the full model that anyone has found?

python benchmarks/best_known_front.py     (extra `bench`; a few minutes of one core; --energy: with energy)

The union of the separable front within 3 %, looked at with the full model, three evolutions of a million
evaluations and pymoo's NSGA-II of 200,000: docs/results/search/best-known.npz holds the designs that no other
beats and their figures, best-known.json its SHA-256, how it was made, and its hypervolume; with energy these
are best-known-energy.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from front_problem import (
    FOLDER,
    PLAIN,
    WITH_ENERGY,
    WORST,
    Problem,
    Question,
    load_problem,
    problem_digest,
)
from front_searches import Row, by_evolution, by_pymoo, by_tolerance, front_of, peers_are_here, timed
from threadpoolctl import threadpool_limits

from npuexplore.documents.atomic import write_bytes, write_json
from npuexplore.errors import BadInput, NpuexploreError

COMMAND = "python benchmarks/best_known_front.py"
FRONT, DESCRIBED = "best-known.npz", "best-known.json"
SCHEMA = "npuexplore.best_known/1"
EVOLVED, SEEDS, PYMOO = 1_000_000, (101, 102, 103), 200_000
LARGEST_BYTES = 2_000_000
SAME = 1e-9
"""Figures that differ by rounding alone."""


@dataclass(frozen=True)
class BestKnown:
    """A reference for hypervolume."""

    rows: np.ndarray
    """(F, K) choice indices."""
    objectives: np.ndarray
    """(F, M) log10 of ms, bytes and uJ, dB."""
    volume: float
    """Of the front, its figures scaled to 0..1, below WORST in each."""
    document: dict[str, Any]


def command(question: Question) -> str:
    return f"{COMMAND} --energy" if question == WITH_ENERGY else COMMAND


def scaled_to(reference: np.ndarray, objectives: np.ndarray) -> np.ndarray:
    low, high = reference.min(axis=0), reference.max(axis=0)
    return (objectives - low) / (high - low)


def volume_of(scaled: np.ndarray) -> float:
    import moocore

    return float(moocore.hypervolume(scaled, ref=np.full(scaled.shape[1], WORST)))


def searches(problem: Problem, evolved: int, pymoo: int) -> Iterator[Row]:
    yield timed("exact 3 %", 0, lambda: by_tolerance(problem, 0.03, problem.full))
    for seed in SEEDS:
        name = f"evolve, seed {seed}"
        yield timed(name, evolved, lambda seed=seed: by_evolution(problem, problem.full, evolved, seed))
    yield timed("pymoo NSGA-II", pymoo, lambda: by_pymoo(problem, problem.full, pymoo, 1))


def union(found: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """The front of all fronts, by rising figures."""
    rows, objectives = front_of(
        np.concatenate([each.rows for each in found]), np.concatenate([each.objectives for each in found])
    )
    order = np.lexsort(objectives.T[::-1])
    return rows[order], objectives[order]


def packed(rows: np.ndarray, objectives: np.ndarray) -> bytes:
    """As NPZ; equal fronts give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, rows=rows.astype(np.uint8), objectives=objectives)
    return buffer.getvalue()


def made(problem: Problem, evolved: int, pymoo: int) -> tuple[bytes, dict[str, Any]]:
    found = list(searches(problem, evolved, pymoo))
    rows, objectives = union(found)
    content = packed(rows, objectives)
    if len(content) > LARGEST_BYTES:
        raise BadInput(f"best-known.npz: {len(content)} bytes, and {LARGEST_BYTES} are allowed")
    volume = volume_of(scaled_to(objectives, objectives))
    kept = {tuple(row) for row in rows.tolist()}
    return content, {
        "schema": SCHEMA,
        "command": command(problem.question),
        "sha256": hashlib.sha256(content).hexdigest(),
        "problem_sha256": problem_digest(problem.question),
        "points": len(rows),
        "hypervolume": volume,
        "searches": {
            each.search: {
                "evaluations": each.evaluations,
                "seconds": round(each.seconds, 1),
                "points": len(each.rows),
                "points_kept": sum(tuple(row) in kept for row in each.rows.tolist()),
                "hypervolume_frac": round(volume_of(scaled_to(objectives, each.objectives)) / volume, 4),
            }
            for each in found
        },
    }


def read_best_known(problem: Problem, folder: Path = FOLDER) -> BestKnown:
    """The front that is kept, checked. Raises BadInput where it is missing, changed or stale."""
    question, again = problem.question, command(problem.question)
    path, described = (question.kept(name, folder) for name in (FRONT, DESCRIBED))
    if not (path.is_file() and described.is_file()):
        raise BadInput(f"{path.name}: no best-known front; make one: {again}")
    content, document = path.read_bytes(), json.loads(described.read_text(encoding="utf-8"))
    digest = hashlib.sha256(content).hexdigest()
    if digest != document["sha256"]:
        raise BadInput(
            f"{path.name}: SHA-256 is {digest[:12]}..., and {described.name} says "
            f"{document['sha256'][:12]}...; take both from one commit, or make them again: {again}"
        )
    if document["problem_sha256"] != problem_digest(question):
        raise _stale(path, again, "the space or the measured losses are others than when it was made")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        rows, objectives = arrays["rows"].astype(np.int64), arrays["objectives"]
    other = (np.abs(problem.full(rows) - objectives) > SAME).any(axis=1)
    if other.any():
        raise _stale(
            path, again, f"the model says something else of {other.sum():,} of its {len(rows):,} designs"
        )
    return BestKnown(rows, objectives, document["hypervolume"], document)


def _stale(path: Path, again: str, why: str) -> BadInput:
    return BadInput(f"{path.name}: the front is stale: {why}; make it again: {again}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--energy", action="store_true", help="energy is an objective as well")
    parser.add_argument("--evolved", type=int, default=EVOLVED, help="evaluations of each evolution")
    parser.add_argument("--pymoo", type=int, default=PYMOO, help="evaluations of pymoo")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of the front")
    options = parser.parse_args()
    question = WITH_ENERGY if options.energy else PLAIN
    try:
        peers_are_here()
        with threadpool_limits(1):
            content, document = made(load_problem(question), options.evolved, options.pymoo)
    except NpuexploreError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    write_bytes(question.kept(FRONT, options.output), content)
    write_json(question.kept(DESCRIBED, options.output), document)
    print(json.dumps(document, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
