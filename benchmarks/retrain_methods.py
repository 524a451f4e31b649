"""Which retraining method loses least at equal zeros? From one baseline, against a dense control.

python benchmarks/retrain_methods.py STUDY.yaml --data FOLDER --start tinylstm --steps 500 --json OUT.json
A run that was stopped goes on; the rows of finished networks are not made again.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from npuexplore.audio.sources import Corpus
from npuexplore.compression.plan import CompressionPlan, LayerPlan, uniform_plan
from npuexplore.compression.quantize import integer_weights
from npuexplore.compression.sparsity import layer_masks, shrink
from npuexplore.cost.document import totals_document
from npuexplore.cost.estimate import estimate
from npuexplore.documents.atomic import write_json
from npuexplore.hardware.load import load_profile
from npuexplore.pipeline.checkpoints import TrainedNetwork, find_model, read_network
from npuexplore.pipeline.data import credits_of, evaluation_sets, gather
from npuexplore.pipeline.jobs import TrainingJob, run_jobs
from npuexplore.pipeline.listening import score_network
from npuexplore.pipeline.problem import Problem, load_problem
from npuexplore.pipeline.results import environment
from npuexplore.pipeline.run_directory import RunDirectory
from npuexplore.pipeline.segments import prepare_segments, prepare_validation
from npuexplore.train.fit import FitRecipe, RetrainRecipe
from npuexplore.workload.network import Network

PARTS = ("ethos-u55-128", "stm32f746")
UNITS_FOR_2_9 = 0.445
"""Share of the units of both LSTMs and of the first dense layer whose removal leaves 1/2.9 of the MACs."""
CHOICES = {
    "int8": LayerPlan(),
    "weight 90 %": LayerPlan(structure="weight", sparsity_frac=0.9),
    "block 1x16 85 %": LayerPlan(structure="block", block=(1, 16), sparsity_frac=0.85),
    "unit 2.9x": LayerPlan(structure="unit", sparsity_frac=UNITS_FOR_2_9),
}
METHODS: dict[str, dict[str, Any]] = {
    "learned": {"method": "learned", "budget": "layer"},
    "learned, network budget": {"method": "learned", "budget": "network"},
    "gradual": {"method": "gradual"},
    "frozen": {"method": "frozen"},
    "offline": {"method": "offline"},
    "learned, taught": {"method": "learned", "budget": "network", "distillation": {}},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study")
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument(
        "--start", default="tinylstm", help="the float baseline: a checkpoint or RUN:baseline"
    )
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--cases", nargs="+", default=list(CHOICES), choices=list(CHOICES))
    parser.add_argument("--methods", nargs="+", default=list(METHODS)[:5], choices=list(METHODS))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    problem = load_problem(arguments.study)
    run = RunDirectory(arguments.runs / f"methods-{problem.study.name}-{arguments.steps}")
    corpus = gather(problem.study, problem.network, arguments.data, on_progress=lambda *_: None)
    jobs = list(jobs_of(problem, run, corpus, arguments))
    run_jobs(jobs, workers=arguments.workers, on_progress=tell)
    rows = list(rows_of(problem, corpus, jobs))
    print_rows(rows)
    if arguments.json:
        command = "python benchmarks/retrain_methods.py " + shlex.join(sys.argv[1:])
        write_json(arguments.json, {"command": command, "environment": environment(), "rows": rows})


def jobs_of(
    problem: Problem, run: RunDirectory, corpus: Corpus, arguments: argparse.Namespace
) -> Iterator[TrainingJob]:
    """The dense control, and every case by every method; a control trains as long as they do."""
    study, network = problem.study, problem.network
    segments = prepare_segments(run, study, network, corpus, workers=2, on_progress=lambda *_: None)
    recipe = study.retrain.model_copy(update={"steps": arguments.steps})
    control = TrainingJob(
        name="dense",
        network=network,
        recipe=FitRecipe.model_validate({name: getattr(recipe, name) for name in FitRecipe.model_fields}),
        mixtures=study.mixtures,
        pool_folder=segments,
        state=run.training_state("dense"),
        output=run.pick("dense"),
        seed=study.seed + 1,
        start=find_model(arguments.start, runs=arguments.runs),
        credits=credits_of(corpus),
        validation=prepare_validation(run, study, network, corpus),
        curve=run.curve("dense"),
    )
    yield control
    for case in arguments.cases:
        plan = plan_of(case, network)
        for method in arguments.methods if case != "int8" else ["gradual"]:
            name = "".join(c if c.isalnum() else "-" for c in f"{case} {method}")
            yield replace(
                control,
                name=name,
                recipe=RetrainRecipe.model_validate({**recipe.model_dump(), **METHODS[method]}),
                state=run.training_state(name),
                output=run.pick(name),
                plan=plan,
                curve=run.curve(name),
            )


def plan_of(case: str, network: Network) -> CompressionPlan:
    """A case for every layer but, of zeros, the last one."""
    return uniform_plan(network, CHOICES[case])


def rows_of(problem: Problem, corpus: Corpus, jobs: list[TrainingJob]) -> Iterator[dict[str, Any]]:
    """Quality, zeros, bytes and cycles of every network, and what it lost against the control."""
    sets = evaluation_sets(problem.study, problem.network, corpus)
    control: dict[str, float] = {}
    for job in jobs:
        trained = read_network(job.output)
        gains = {
            name: score_network(trained, pairs).mean["sdr_improvement_db"] for name, pairs in sets.items()
        }
        control = control or gains
        yield {
            "name": job.name,
            **dict(trained.training),
            "credits": None,
            **{f"{name}_sdr_improvement_db": round(gain, 3) for name, gain in gains.items()},
            **{f"{name}_loss_db": round(control[name] - gain, 3) for name, gain in gains.items()},
            **sizes_of(trained),
        }


def sizes_of(trained: TrainedNetwork) -> dict[str, Any]:
    """Weights that are not zero, and what two parts make of the plan."""
    if trained.plan is None:
        return {"plan": None}
    small = shrink(
        trained.params, layer_masks(trained.params, trained.plan, trained.network), trained.network
    )
    codes = [
        q
        for entry in integer_weights(small, trained.plan, trained.network).values()
        for q, _ in entry.values()
    ]
    full = sum(
        w.size for entry in trained.params.values() for name, w in entry.items() if name.startswith("w")
    )
    totals = {}
    for part in PARTS:
        costs = totals_document(estimate(load_profile(part), trained.network, trained.plan), 0)
        totals[part] = {name: costs[name] for name in ("weight_bytes", "cycles")}
    return {
        "nonzero_frac": round(sum(int((q != 0).sum()) for q in codes) / full, 5),
        "weights_left_frac": round(sum(q.size for q in codes) / full, 5),
        "parts": totals,
        "plan": trained.plan.model_dump(mode="json"),
    }


def print_rows(rows: list[dict[str, Any]]) -> None:
    print(
        f"{'network':40} {'unseen dB':>9} {'lost':>6} {'pairs dB':>9} {'lost':>6} {'nonzero':>8} {'left':>6}"
    )
    for row in rows:
        print(
            f"{row['name']:40} {row['unseen_sdr_improvement_db']:9.2f} {row['unseen_loss_db']:6.2f} "
            f"{row.get('pairs_sdr_improvement_db', 0):9.2f} {row.get('pairs_loss_db', 0):6.2f} "
            f"{row.get('nonzero_frac', 1):8.4f} {row.get('weights_left_frac', 1):6.3f}"
        )


STARTED = time.monotonic()


def tell(name: str, step: int, steps: int, loss_db: float) -> None:
    """A line every hundred steps."""
    if step % 100 == 0 or step == steps:
        print(
            f"{time.monotonic() - STARTED:6.0f} s  {name}: {step}/{steps} {loss_db:+.2f} dB", file=sys.stderr
        )


if __name__ == "__main__":
    main()
