"""Keep a finished run: its results, and its networks as float16, beside the commit that trained them.

python benchmarks/keep_trained_row.py runs/hearing-aid docs/results/hearing-aid --ship tinylstm
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

from npuexplore.documents.atomic import write_json, write_text
from npuexplore.documents.shipped import shipped_folder
from npuexplore.pipeline.checkpoints import read_network, write_network
from npuexplore.pipeline.run_directory import RunDirectory

LARGEST_BYTES = 2_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("destination", type=Path)
    parser.add_argument("--command", default="", help="the command that made the run")
    parser.add_argument("--commit", default="", help="commit that trained it; the checkout's where not given")
    parser.add_argument("--sources", default="", help="packages that the audio came from, for the credits")
    parser.add_argument("--ship", default="", help="also ship the baseline under this name")
    arguments = parser.parse_args()
    run = RunDirectory(arguments.run)
    results = json.loads(run.results.read_text(encoding="utf-8"))
    write_json(arguments.destination / "results.json", results)
    for pick in results["picks"]:
        keep_half(run.pick(pick["name"]), arguments.destination / "picks" / f"{pick['name']}.npz")
    if arguments.ship:
        shipped = shipped_folder("studies") / "checkpoints" / f"{arguments.ship}.npz"
        keep_half(run.baseline, shipped)
        write_text(shipped.with_suffix(".md"), credits_text(arguments.ship, results, arguments.sources))
    trained = {
        "commit": arguments.commit or head_commit(),
        "command": arguments.command,
        "timings": json.loads(run.timings.read_text(encoding="utf-8"))["seconds"],
    }
    write_json(arguments.destination / "trained.json", trained)


def keep_half(source: Path, destination: Path) -> None:
    write_network(destination, read_network(source), half=True)
    size_bytes = destination.stat().st_size
    if size_bytes > LARGEST_BYTES:
        raise SystemExit(f"{destination}: {size_bytes} bytes, more than {LARGEST_BYTES}")
    print(f"{destination}: {size_bytes:,} bytes")


def credits_text(name: str, results: dict[str, object], sources: str) -> str:
    baseline = results["baseline"]
    assert isinstance(baseline, dict)
    listed = "\n".join(f"- {credit}" for credit in baseline["credits"])
    return (
        f"# {name}\n\nWeights trained by npuexplore on recorded speech and noise. As part of it is "
        "CC-BY-SA-3.0, the weights are under CC-BY-SA-3.0 (https://creativecommons.org/licenses/by-sa/3.0/), "
        f"not under Apache-2.0.\n\nAudio they learned from, by licence and maker:\n\n{listed}\n"
        + (
            f"\nIt came from these packages, whose copyright files name every author: {sources}.\n"
            if sources
            else ""
        )
    )


def head_commit() -> str:
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
