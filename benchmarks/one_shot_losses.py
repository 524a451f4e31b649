"""What does the shipped network lose when one layer is compressed at once, when two are, when all are?

python benchmarks/one_shot_losses.py --data FOLDER

FOLDER is made by `npuexplore data fetch debian-speech`. Writes docs/results/search/losses.json: every
structure of every layer alone at some sparsities, all bits and every rate of skipped frames, as a study's
sensitivity stage measures them (pipeline/quality.py), on the calibration mixtures of studies/baseline.yaml;
then plans with two layers compressed, drawn so that losses spread evenly over their decades; then whole plans
drawn so, which no fit looks at. About two minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from front_problem import LOSSES, NETWORK, SPEC
from threadpoolctl import threadpool_limits

from npuexplore.audio.mixtures import SpectralBatch
from npuexplore.audio.stft import FrontEnd, front_end
from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.documents.atomic import write_text
from npuexplore.errors import NpuexploreError
from npuexplore.pipeline.checkpoints import TrainedNetwork, find_model, read_network
from npuexplore.pipeline.data import calibration_set, data_document, gather
from npuexplore.pipeline.problem import load_problem
from npuexplore.pipeline.quality import calibration_batch, measure_sensitivity, spectral_quality_db
from npuexplore.pipeline.start import digest_of
from npuexplore.search.space import space_for
from npuexplore.train.apply import one_shot

STUDY = "baseline"
SPARSITY_FRAC = (0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.84, 0.88, 0.92, 0.96, 0.98)
PAIRS, WHOLE = 30, 60
"""Plans of each pair of layers, and of all layers."""
LEAST_DB = 0.02
"""Choices that lose less are as good as dense."""
SCHEMA = "npuexplore.search_losses/1"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Bench:
    """A network, and the sound that it is measured on."""

    network: TrainedNetwork
    batch: SpectralBatch
    front_end: FrontEnd
    dense_db: float

    def lost_db(self, layers: Mapping[str, LayerPlan]) -> float:
        """Loss of compressing these layers at once, without retraining."""
        own, plan = self.network, CompressionPlan(layers=layers)
        params = one_shot(own.params, plan, own.network)
        compressed = TrainedNetwork(own.network, params, own.feature_scale, plan, training={})
        return round(self.dense_db - spectral_quality_db(compressed, self.batch, self.front_end), 4)


def choice_of(row: Row) -> LayerPlan:
    return LayerPlan.model_validate({key: row[key] for key in LayerPlan.model_fields if key in row})


def drawn(rows: Sequence[Row], rng: np.random.Generator) -> Row:
    """A choice whose loss alone is near one drawn evenly over the decades that the layer has."""
    losses = np.log([max(row["one_shot_loss_db"], LEAST_DB) for row in rows])
    near = np.argsort(np.abs(losses - rng.uniform(math.log(LEAST_DB), losses.max())), kind="stable")[:8]
    return rows[int(rng.choice(near))]


def together(
    bench: Bench, by_layer: Mapping[str, Sequence[Row]], names: Sequence[str], count: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Plans with these layers compressed: what each choice loses alone, and what they lose together."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        picked = {name: drawn(by_layer[name], rng) for name in names}
        lost_db = bench.lost_db({name: choice_of(row) for name, row in picked.items()})
        yield {
            "alone_db": {name: row["one_shot_loss_db"] for name, row in picked.items()},
            "together_db": lost_db,
            "choices": {name: words_of(choice_of(row)) for name, row in picked.items()},
        }


def words_of(choice: LayerPlan) -> str:
    block = f" {choice.block[0]}x{choice.block[1]}" if choice.block else ""
    return (
        f"{choice.structure}{block} {choice.sparsity_frac:g} w{choice.weight_bits} a{choice.activation_bits}"
    )


def measured(data: Path) -> dict[str, Any]:
    problem = load_problem(STUDY)
    corpus = gather(problem.study, problem.network, data, on_progress=lambda *_: None)
    geometry = front_end(problem.network)
    batch = calibration_batch(calibration_set(problem.study, problem.network, corpus), geometry)
    path = find_model(NETWORK, runs=Path("runs"))
    network = read_network(path)
    space = space_for(SPEC.model_copy(update={"sparsity_frac": (0.0, *SPARSITY_FRAC)}), network.network)
    rows = measure_sensitivity(network, space, batch, geometry, on_progress=told)
    by_layer: dict[str, list[Row]] = {layer.name: [] for layer in network.network.layers}
    for row in rows:
        if "layer" in row:
            by_layer[row["layer"]].append(row)
    bench = Bench(network, batch, geometry, spectral_quality_db(network, batch, geometry))
    pairs = [
        found
        for seed, pair in enumerate(combinations(by_layer, 2), start=1)
        for found in together(bench, by_layer, pair, PAIRS, seed)
    ]
    return {
        "schema": SCHEMA,
        "command": f"python benchmarks/one_shot_losses.py --data {data.name}",
        "network": {"name": NETWORK, "digest": digest_of(path.read_bytes())},
        "study": STUDY,
        "data": data_document(problem.study, data),
        "rows": rows,
        "pairs": pairs,
        "whole": list(together(bench, by_layer, list(by_layer), WHOLE, 0)),
    }


def one_row_a_line(document: Mapping[str, Any]) -> str:
    """JSON whose lists are easy to compare."""

    def text(value: Any) -> str:
        if not isinstance(value, list):
            return json.dumps(value)
        return "[\n" + ",\n".join(f"  {json.dumps(row)}" for row in value) + "\n]"

    return (
        "{\n" + ",\n".join(f"{json.dumps(key)}: {text(value)}" for key, value in document.items()) + "\n}\n"
    )


def told(done: int, total: int) -> None:
    if done % 100 == 0:
        print(f"  {done} of {total} choices", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with speech/ and noise/")
    options = parser.parse_args()
    try:
        with threadpool_limits(1):
            write_text(LOSSES, one_row_a_line(measured(options.data)))
    except NpuexploreError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
