"""What do the papers' methods lose, against a float network trained as long and beside smaller dense ones?

python benchmarks/quality_table.py STUDY.yaml --data FOLDER --pairs FOLDER --steps 1000 --json OUT.json
A run that was stopped goes on. Networks that are finished are neither trained nor scored again, and the table
holds those alone: `--rows` and `--seeds` say which to train now, `--table` that none is.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from keep_trained_row import keep_half

from npuexplore.audio.sources import Corpus, Pair, load_pairs
from npuexplore.compression.plan import CompressionPlan, LayerPlan, uniform_plan
from npuexplore.compression.quantize import integer_weights
from npuexplore.compression.sparsity import layer_masks, shrink
from npuexplore.cost.document import layers_document, totals_document
from npuexplore.cost.estimate import estimate
from npuexplore.cost.part import part_of
from npuexplore.cost.real_cycles import cycles_of_real_weights
from npuexplore.cost.stored import stored_weight_bytes
from npuexplore.documents.atomic import write_json
from npuexplore.hardware.load import load_profile
from npuexplore.pipeline.checkpoints import TrainedNetwork, find_model, read_network
from npuexplore.pipeline.data import credits_of, evaluation_sets, gather
from npuexplore.pipeline.executors import LocalProcesses
from npuexplore.pipeline.jobs import TrainingJob, run_jobs
from npuexplore.pipeline.listening import score_network, skipped_share
from npuexplore.pipeline.problem import Problem, load_problem
from npuexplore.pipeline.results import environment
from npuexplore.pipeline.run_directory import RunDirectory, digest
from npuexplore.pipeline.segments import prepare_segments, prepare_validation
from npuexplore.pipeline.start import digest_of
from npuexplore.train.apply import one_shot
from npuexplore.train.fit import FitRecipe, RetrainRecipe
from npuexplore.workload.network import DenseLayer, Network

PARTS = ("ethos-u55-128", "stm32f746")
METHODS: dict[str, dict[str, Any]] = {
    "learned": {"method": "learned", "budget": "network"},
    "gradual": {"method": "gradual"},
    "taught": {"method": "gradual", "distillation": {}},
    "learned-taught": {"method": "learned", "budget": "network", "distillation": {}},
    "offline": {"method": "offline"},
}
PRUNING = ("learned", "gradual", "offline")
PEER_UNITS = {"dense-488k": 176, "dense-334k": 142, "dense-195k": 104, "dense-165k": 93, "dense-111k": 74}
"""Units of both LSTMs of smaller dense networks, by their weights; the layer before the mask has half."""


@dataclass(frozen=True)
class Case:
    """One way to compress every layer."""

    choice: LayerPlan
    methods: tuple[str, ...] = PRUNING
    skip_rate_frac: float = 0.0


def weights(sparsity_frac: float) -> Case:
    choice = LayerPlan(structure="weight", sparsity_frac=sparsity_frac)
    return Case(choice, (*PRUNING, "learned-taught"))


def blocks(sparsity_frac: float) -> Case:
    choice = LayerPlan(structure="block", block=(1, 16), sparsity_frac=sparsity_frac)
    return Case(choice, (*PRUNING, "learned-taught"))


def units(removed_frac: float) -> Case:
    return Case(LayerPlan(structure="unit", sparsity_frac=removed_frac), (*PRUNING, "taught"))


def skipping(rate_frac: float) -> Case:
    return Case(LayerPlan(), ("gradual", "taught"), rate_frac)


CASES = {
    "float": Case(LayerPlan(), ()),
    "int8": Case(LayerPlan(), ("gradual", "offline")),
    "int4": Case(LayerPlan(weight_bits=4), ("gradual", "offline")),
    "weights-80": weights(0.8),
    "weights-90": weights(0.9),
    "weights-95": weights(0.95),
    "blocks-70": blocks(0.7),
    "blocks-85": blocks(0.85),
    "blocks-90": blocks(0.9),
    "units-2.0x": units(0.31),
    "units-2.9x": units(0.445),
    "units-4.0x": units(0.54),
    "skip-20": skipping(0.2),
    "skip-40": skipping(0.4),
    "skip-60": skipping(0.6),
}
KEPT = (
    "weights-90_learned_1",
    "weights-95_learned_1",
    "blocks-85_learned_1",
    "units-2.9x_taught_1",
    "skip-40_taught_1",
)
"""Networks whose copies stay beside the table."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study")
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--pairs", type=Path, default=None, help="folder with clean/ and noisy/, scored too")
    parser.add_argument("--start", default="tinylstm", help="the float baseline")
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--rows", nargs="*", default=list(CASES), choices=[*CASES, *PEER_UNITS])
    parser.add_argument("--methods", nargs="+", default=list(PRUNING), choices=list(METHODS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument(
        "--keep", type=Path, default=None, help="folder for float16 copies of the first seed's"
    )
    arguments = parser.parse_args()
    problem = load_problem(arguments.study)
    run = RunDirectory(arguments.runs / f"quality-{problem.study.name}-{arguments.steps}")
    corpus = gather(problem.study, problem.network, arguments.data, on_progress=lambda *_: None)
    if not arguments.table:
        jobs = list(jobs_of(problem, run, corpus, arguments))
        run_jobs(jobs, executor=LocalProcesses(arguments.workers), on_progress=tell)
    start = find_model(arguments.start, runs=arguments.runs)
    rows = table(run, start, sets_of(problem, corpus, arguments.pairs))
    print_rows(rows)
    if arguments.keep:
        for name in KEPT:
            keep_half(run.pick(name), arguments.keep / f"{name}.npz")
    if arguments.json:
        command = "python benchmarks/quality_table.py " + shlex.join(sys.argv[1:])
        write_json(arguments.json, {"command": command, "environment": environment(), "rows": rows})


def jobs_of(
    problem: Problem, run: RunDirectory, corpus: Corpus, arguments: argparse.Namespace
) -> Iterator[TrainingJob]:
    """Every row by every method with every seed; smaller dense networks from nothing, for as many frames."""
    study, network = problem.study, problem.network
    segments = prepare_segments(run, study, network, corpus, workers=2, on_progress=lambda *_: None)
    start = find_model(arguments.start, runs=arguments.runs)
    recipe = study.retrain.model_copy(update={"steps": arguments.steps})
    general = TrainingJob(
        name="",
        network=network,
        recipe=FitRecipe.model_validate({name: getattr(recipe, name) for name in FitRecipe.model_fields}),
        mixtures=study.mixtures,
        pool_folder=segments,
        state=run.folder,
        output=run.folder,
        seed=study.seed,
        start=start,
        credits=credits_of(corpus),
        validation=prepare_validation(run, study, network, corpus),
    )
    for row in arguments.rows:
        if row in PEER_UNITS:
            peer = smaller(network, PEER_UNITS[row])
            longer = study.baseline.model_copy(update={"steps": study.baseline.steps + arguments.steps})
            yield named(replace(general, network=peer, recipe=longer, start=None), run, f"{row} trained 1")
            continue
        case = CASES[row]
        for seed in arguments.seeds:
            seeded = replace(general, seed=study.seed + seed)
            if row == "float":
                yield named(seeded, run, f"float trained {seed}")
            for method in [each for each in case.methods if each in arguments.methods]:
                if method == "offline" and seed != arguments.seeds[0]:
                    continue
                how = RetrainRecipe.model_validate({**recipe.model_dump(), **METHODS[method]})
                plan = uniform_plan(network, case.choice, skip_rate_frac=case.skip_rate_frac)
                yield named(replace(seeded, recipe=how, plan=plan), run, f"{row} {method} {seed}")


def named(job: TrainingJob, run: RunDirectory, words: str) -> TrainingJob:
    """The job with a name, `ROW METHOD SEED`, and its files."""
    name = words.replace(" ", "_")
    return replace(
        job, name=name, state=run.training_state(name), output=run.pick(name), curve=run.curve(name)
    )


def smaller(network: Network, lstm_units: int) -> Network:
    """The network with fewer units in every layer but the last."""
    layers = [
        layer.model_copy(
            update={"output_features": lstm_units // 2}
            if isinstance(layer, DenseLayer)
            else {"hidden_units": lstm_units}
        )
        for layer in network.layers[:-1]
    ]
    return network.model_copy(update={"layers": (*layers, network.layers[-1])})


def sets_of(problem: Problem, corpus: Corpus, pairs: Path | None) -> dict[str, tuple[Pair, ...]]:
    """`unseen`: mixtures of the data's test voices and noises; `pairs`: what `--pairs` names."""
    sets = evaluation_sets(problem.study, problem.network, corpus)
    if pairs is not None:
        rate_hz = problem.network.frame_clock.sample_rate_hz
        sets["pairs"] = tuple(load_pairs(pairs / "clean", pairs / "noisy", rate_hz=rate_hz))
    return sets


def table(run: RunDirectory, start: Path, sets: Mapping[str, Sequence[Pair]]) -> list[dict[str, Any]]:
    """A row per finished network; losses are against the float network trained as long from the same seed."""
    finished = sorted((run.folder / "picks").glob("*.npz"))
    rows = [row_of("baseline as it is 0", start, run, sets)]
    rows += [row_of(path.stem.replace("_", " "), path, run, sets) for path in finished]
    controls = {row["seed"]: row for row in rows if row["row"] == "float"}
    for row in rows:
        row["peer"] = peer_of(row, rows)
        control = controls.get(row["seed"]) or controls.get(1)
        for name in sets:
            key = f"{name}_sdr_improvement_db"
            row[f"{name}_loss_db"] = None if control is None else round(control[key] - row[key], 3)
    return rows


def peer_of(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The dense network that a compressed one has to beat: the nearest in bytes on the Cortex-M, or in cycles
    where frames are skipped; None where none is within a quarter.
    """
    if row["plan"] is None or row["row"] in PEER_UNITS or row["row"] == "int8":
        return None
    cost = "cycles" if row["plan"]["skip_rate_frac"] else "weight_bytes"
    own = row["parts"][PARTS[1]][cost]
    ratios = {
        each["row"]: abs(np.log(each["parts"][PARTS[1]][cost] / own))
        for each in rows
        if each["row"] in PEER_UNITS
    }
    near = [peer for peer, ratio in ratios.items() if ratio < np.log(1.25)]
    return min(near, key=ratios.__getitem__, default=None)


def row_of(name: str, path: Path, run: RunDirectory, sets: Mapping[str, Sequence[Pair]]) -> dict[str, Any]:
    """Quality, zeros, bytes and cycles of one network; its scores are kept by the hash of what it holds."""
    row, *method, seed = name.split(" ")
    trained = read_network(path)
    if row in PEER_UNITS:
        dense = CompressionPlan()
        trained = replace(trained, plan=dense, params=one_shot(trained.params, dense, trained.network))
    key = digest([digest_of(path.read_bytes()), {each: [pair.name for pair in sets[each]] for each in sets}])
    stored = run.stage(f"scores-{path.stem}")
    known = json.loads(stored.read_text(encoding="utf-8")) if stored.is_file() else {}
    if known.get("key") != key:
        gains = {
            f"{each}_sdr_improvement_db": round(score_network(trained, pairs).mean["sdr_improvement_db"], 3)
            for each, pairs in sets.items()
        }
        skipped = {f"{each}_skipped_frac": skipped_share(trained, pairs) for each, pairs in sets.items()}
        known = {"key": key, "gains": gains, "skipped": skipped}
        write_json(stored, known)
    training = {name: value for name, value in trained.training.items() if name not in ("credits", "start")}
    return {
        **training,
        "row": row,
        "method": " ".join(method),
        "seed": int(seed),
        **known["gains"],
        **known["skipped"],
        **sizes_of(trained),
    }


def sizes_of(trained: TrainedNetwork) -> dict[str, Any]:
    """Weights that are not zero; bytes of the real weights and cycles a frame on two parts."""
    plan = trained.plan or CompressionPlan()
    small = shrink(trained.params, layer_masks(trained.params, plan, trained.network), trained.network)
    codes = {
        layer: {name: values for name, (values, _) in entry.items()}
        for layer, entry in integer_weights(small, plan, trained.network).items()
    }
    kept = sum(int(np.count_nonzero(each)) for entry in codes.values() for each in entry.values())
    return {
        "nonzero_weights": kept,
        "parts": {part: costs_on(part, trained.network, plan, codes) for part in PARTS},
        "plan": None if trained.plan is None else plan.model_dump(mode="json"),
    }


def costs_on(
    name: str, network: Network, plan: CompressionPlan, codes: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Stored bytes of the real weights, mean cycles a frame (with the real masks where they are priced)."""
    profile = load_profile(name)
    costs = estimate(profile, network, plan)
    layers = layers_document(costs, 0)
    real = cycles_of_real_weights(part_of(profile, network), plan, codes, layers)
    of_network = [layer for layer in layers if layer["name"] in codes]
    others = totals_document(costs, 0)["cycles"] - sum(layer["cycles"] for layer in of_network)
    network_cycles = sum(real.get(layer["name"], layer["cycles"]) for layer in of_network)
    return {
        "weight_bytes": sum(
            stored_weight_bytes(
                profile, plan.of(layer["name"]), codes[layer["name"]], weight_format=layer["weight_format"]
            )
            for layer in of_network
        ),
        "cycles": round(others + network_cycles * (1.0 - plan.skip_rate_frac)),
    }


def print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """A line per row and method: mean and range over seeds."""
    sets = [key.removesuffix("_loss_db") for key in rows[0] if key.endswith("_loss_db")]
    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        grouped.setdefault((row["row"], row["method"]), []).append(row)
    print(
        "| network | method | seeds | SDR gained, dB | lost, dB | beside | bytes, cycles on "
        + " and ".join(PARTS)
    )
    for (name, method), same in grouped.items():
        gains = " / ".join(
            mean_and_range([row[f"{each}_sdr_improvement_db"] for row in same]) for each in sets
        )
        losses = " / ".join(mean_and_range([row[f"{each}_loss_db"] for row in same]) for each in sets)
        costs = "; ".join(
            f"{same[0]['parts'][part]['weight_bytes']:,}, {same[0]['parts'][part]['cycles']:,}"
            for part in PARTS
        )
        print(f"| {name} | {method} | {len(same)} | {gains} | {losses} | {same[0]['peer'] or ''} | {costs} |")


def mean_and_range(values: Sequence[float | None]) -> str:
    """`1.20` of one value, `1.20 (1.10..1.30)` of several."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    mean = f"{np.mean(known):.2f}"
    return mean if len(known) == 1 else f"{mean} ({min(known):.2f}..{max(known):.2f})"


STARTED = time.monotonic()


def tell(name: str, step: int, steps: int, loss_db: float) -> None:
    """A line every hundred steps."""
    if step % 100 == 0 or step == steps:
        print(
            f"{time.monotonic() - STARTED:6.0f} s  {name}: {step}/{steps} {loss_db:+.2f} dB", file=sys.stderr
        )


if __name__ == "__main__":
    main()
