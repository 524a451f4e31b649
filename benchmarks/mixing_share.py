"""What share of a training step goes by in waiting for its batch, and how much work is mixing?

python benchmarks/mixing_share.py --json
The recipe is that of a study (studies/hearing-aid.yaml), on noise in place of speech. `wait_share_frac`: time
until a batch that another process mixed is there, over the time of a step; `mixing_cpu_frac`: CPU time of
mixing one into memory that is used again, over that of a step. Medians of interleaved rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from npuexplore.audio.mixtures import SpectralBatch
from npuexplore.pipeline.ahead import SLOTS, BatchSource, batches_ahead
from npuexplore.pipeline.study_file import load_study
from npuexplore.train.fit import fit
from npuexplore.train.model import init_params
from npuexplore.workload.load import load_network

SEGMENTS = 300


def source_of(study_name: str, folder: Path) -> BatchSource:
    """Batches like those of the study's baseline, of segments of noise."""
    study, _ = load_study(study_name)
    network = load_network(study.network)
    clock = network.frame_clock
    samples = (study.mixtures.segment_frames - clock.window_frames + 1) * clock.hop_samples
    rng = np.random.default_rng(0)
    for name in ("speech", "noise"):
        np.save(folder / f"{name}.npy", rng.integers(-9_000, 9_000, (SEGMENTS, samples)).astype(np.int16))
    return BatchSource(network, study.mixtures, folder, study.baseline.batch, study.seed)


def measured(study_name: str, source: BatchSource, *, rounds: int, steps: int) -> dict[str, float]:
    """Seconds and shares, by name."""
    study, _ = load_study(study_name)
    recipe = study.baseline.model_copy(update={"steps": steps})
    geometry, in_place = source.geometry(), source.batches()
    params = init_params(source.network, rng=np.random.default_rng(1))
    scale = np.ones(geometry.bands, np.float32)
    waits, walls, step_cpu, mixing_cpu = [], [], [], []
    slots = [in_place(step) for step in range(SLOTS)]
    with batches_ahead(source, start=0, stop=max(100, rounds * steps)) as batch_at:
        for done in range(rounds):
            seconds: list[float] = []

            def waited(step: int, first: int = done * steps) -> SpectralBatch:
                start = time.perf_counter()
                batch = batch_at(first + step)
                waits.append(time.perf_counter() - start)
                return batch

            before = time.process_time()
            fit(
                source.network,
                params,
                waited,
                recipe,
                synthesis=geometry.synthesis,
                feature_scale=scale,
                on_step=lambda *_, to=seconds: to.append(time.perf_counter()),
            )
            step_cpu.append((time.process_time() - before) / steps)
            walls += list(np.diff(seconds))
            before = time.process_time()
            for step in range(done * 12, done * 12 + 12):
                in_place(step, slots[step % SLOTS])
            mixing_cpu.append((time.process_time() - before) / 12)
    step_s, wait_s = statistics.median(walls), statistics.median(waits)
    cpu_s, mix_s = statistics.median(step_cpu), statistics.median(mixing_cpu)
    return {
        "step_ms": 1e3 * step_s,
        "wait_ms": 1e3 * wait_s,
        "wait_share_frac": wait_s / step_s,
        "step_cpu_ms": 1e3 * cpu_s,
        "mixing_cpu_ms": 1e3 * mix_s,
        "mixing_cpu_frac": mix_s / cpu_s,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="hearing-aid")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = source_of(arguments.study, Path(folder))
        found = measured(arguments.study, source, rounds=arguments.rounds, steps=arguments.steps)
    if arguments.json:
        print(json.dumps({"schema": "npuexplore.mixing_share/1", **found}, indent=2))
        return
    for name, value in found.items():
        print(f"{name:18}{value:10.4f}")


if __name__ == "__main__":
    main()
