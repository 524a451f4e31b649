"""How long does one training step take, against PyTorch and against its matrix products alone?

    python benchmarks/train_step.py --json

Network tinylstm, forward, backward, clip and Adam. Every contestant runs in a process of its own, in turn,
several rounds; a process counts with its fastest step, a contestant with the median of its processes.
QAT = int8 weights under a 90 % mask, int8 input and h, int16 c at every time step; PyTorch's nn.LSTM cannot
do that, so its user writes a cell loop. Memory is what a process grows by while it trains. Both sides as on a
machine without AVX-512: set OPENBLAS_CORETYPE=Haswell, ATEN_CPU_CAPABILITY=avx2, and ONEDNN_MAX_CPU_ISA and
MKL_ENABLE_INSTRUCTIONS to AVX2.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

MISSING_PEER = (
    "benchmarks/train_step.py: the peer PyTorch is not installed; it is needed for the ratios; "
    'run pip install ".[bench]" first'
)
PLAIN, QAT, LEARNED, SKIPPING = "plain", "QAT", "QAT, learned thresholds", "QAT, skipping"
PRODUCTS, NN_LSTM, CELL_LOOP = "matrix products", "torch nn.LSTM", "torch QAT cell loop"
BY_HAND = "torch QAT cell loop, rounding by hand"
PEERS = (NN_LSTM, CELL_LOOP, BY_HAND)


@dataclass(frozen=True)
class Entry:
    """One row of the table."""

    name: str
    threads: int = 1
    batch: int | None = None
    """The table's own unless given."""
    processes: int = 1
    blas_splits: bool = False
    """Two threads inside every matrix product, not two shares of the batch."""

    @property
    def label(self) -> str:
        shared = ", BLAS splits products" if self.blas_splits else ""
        parts = [
            f"{self.threads} threads{shared}" if self.threads > 1 else "",
            self.batch and f"B = {self.batch}",
        ]
        parts.append(f"{self.processes} processes" if self.processes > 1 else "")
        return ", ".join([self.name, *(part for part in parts if part)])


@dataclass(frozen=True)
class Taken:
    """What one process took."""

    fastest_ms: float
    median_ms: float
    grown_bytes: int


TWO_BLAS = Entry(QAT, threads=2, blas_splits=True)
PAIR = Entry(QAT, processes=2)
ENTRIES = (
    *(Entry(name) for name in (QAT, CELL_LOOP, BY_HAND, PLAIN, NN_LSTM, PRODUCTS, LEARNED, SKIPPING)),
    *(Entry(name, threads=2) for name in (QAT, CELL_LOOP)),
    *(Entry(name, batch=128) for name in (PLAIN, NN_LSTM)),
    TWO_BLAS,
    PAIR,
)


def problem(frames: int, batch: int) -> dict[str, np.ndarray]:
    """Random spectra of the right shapes; the work does not depend on the values."""
    rng = np.random.default_rng(0)
    clean = rng.exponential(size=(frames, batch, 257)).astype(np.float32)
    noisy = clean + rng.exponential(size=clean.shape).astype(np.float32)
    features = rng.standard_normal((frames, batch, 128)).astype(np.float32)
    return {"features": features, "noisy_power": noisy, "cross": clean, "clean_power": clean}


def our_step(frames: int, batch: int, *, kind: str, threads: int, blas_splits: bool) -> Callable[[], object]:
    from npuexplore.audio.mixtures import SpectralBatch
    from npuexplore.audio.stft import front_end
    from npuexplore.compression.plan import LayerPlan, uniform_plan
    from npuexplore.compression.sparsity import layer_masks
    from npuexplore.train.fit import RetrainRecipe
    from npuexplore.train.methods import treatment_at
    from npuexplore.train.model import Treatment, init_params
    from npuexplore.train.run import Task, fresh_run, train_step
    from npuexplore.train.skipping import gated
    from npuexplore.train.team import Team
    from npuexplore.train.thresholds import learning_of
    from npuexplore.workload.load import load_network

    network, spectra = load_network("tinylstm"), SpectralBatch(**problem(frames, batch))
    params = init_params(network, rng=np.random.default_rng(0))
    recipe = RetrainRecipe(
        steps=1000, blas_threads=threads, method="learned" if kind == LEARNED else "frozen"
    )
    skip_rate_frac = 0.4 if kind == SKIPPING else 0.0
    plan = uniform_plan(
        network, LayerPlan(structure="weight", sparsity_frac=0.9), skip_rate_frac=skip_rate_frac
    )
    learning = learning_of(plan, network, params, budget=recipe.budget) if kind == LEARNED else None
    scale = np.ones(network.bands, np.float32)
    task = Task(
        network, recipe, front_end(network).synthesis, scale, plan, method=recipe.method, learning=learning
    )
    run = fresh_run(gated(params, network, plan), network, learning)
    masks = layer_masks(params, plan, network)
    fixed = None if kind == PLAIN else Treatment(plan, masks, frozen=True)
    team = None
    if not blas_splits:
        threadpool_limits(1, "blas")
        team = Team(task, threads) if threads > 1 else None

    def step() -> object:
        treatment = treatment_at(run, task) if kind == LEARNED else fixed
        return train_step(run, task, spectra, treatment, team=team)

    return step


def matrix_products(frames: int, batch: int) -> Callable[[], object]:
    """The products of our step and nothing else, in the same layouts and chunks."""
    steps = [_lstm_products(frames, batch, inputs, first=inputs == 128) for inputs in (128, 256)]
    steps += [_dense_products(frames * batch, inputs, 128, backward=2) for inputs in (256, 128)]
    steps.append(_dense_products(frames * batch, 128, 257, backward=1))
    return lambda: [step() for step in steps]


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def _lstm_products(
    frames: int, batch: int, inputs: int, *, first: bool, units: int = 256
) -> Callable[[], None]:
    from npuexplore.train.primitives.products import (
        add_outer_products,
        block_product,
        column_blocks,
        time_chunks,
    )

    width = 4 * units
    w_in, w_rec, w_back = (
        column_blocks(_random(*shape), batch)
        for shape in ((4, inputs, units), (4, units, units), (1, width, units))
    )
    w_ih, d_weights = _random(width, inputs), _random(width, inputs + units)
    state, out = _random(batch, units), _random(4, batch, units)

    def forward(rows: int) -> None:
        block_product(chunk[0][:rows], w_in, out=projected[:, :rows])
        for _ in range(rows // batch):
            block_product(state, w_rec, out=out)

    def backward(rows: int) -> None:
        before, d_x, d_linear = (buffer[:rows] for buffer in chunk[1:])
        for pull in d_linear.reshape(-1, batch, width):
            block_product(pull, w_back, out=state[None])
        add_outer_products(d_weights, d_linear, before)
        if not first:
            np.matmul(d_linear, w_ih, out=d_x)

    def run() -> None:
        for way in (forward, backward):
            for start, stop in time_chunks(frames, batch, width):
                way((stop - start) * batch)

    longest = max(stop - start for start, stop in time_chunks(frames, batch, width)) * batch
    chunk = [_random(longest, columns) for columns in (inputs, inputs + units, inputs, width)]
    projected = _random(4, longest, units)
    return run


def _dense_products(rows: int, inputs: int, outputs: int, *, backward: int) -> Callable[[], None]:
    x, w, y = _random(rows, inputs), _random(outputs, inputs), _random(rows, outputs)
    d_x, d_w, d_y = np.empty_like(x), np.empty_like(w), _random(rows, outputs)

    def run() -> None:
        np.matmul(x, w.T, out=y)
        np.matmul(d_y, w, out=d_x)
        if backward == 2:
            np.matmul(d_y.T, x, out=d_w)

    return run


def contestant(options: argparse.Namespace) -> Callable[[], object]:
    name, frames, batch = options.only, options.frames, options.batch
    if name in PEERS:
        from torch_peers import round_by_hand, round_fused, torch_step

        rounded = {CELL_LOOP: round_fused, BY_HAND: round_by_hand}.get(name)
        return torch_step(problem(frames, batch), rounded=rounded)
    if name == PRODUCTS:
        return matrix_products(frames, batch)
    return our_step(frames, batch, kind=name, threads=options.threads, blas_splits=options.blas_splits)


def peak_bytes() -> int:
    """Largest memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def take(options: argparse.Namespace) -> Taken:
    """Run one contestant here. What it imports counts as there before."""
    if options.only in PEERS:
        importlib.import_module("torch_peers")
    else:
        importlib.import_module("npuexplore.train.fit")
    before = peak_bytes()
    step = contestant(options)
    step()
    step()
    times = []
    for _ in range(options.steps):
        start = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - start))
    return Taken(min(times), statistics.median(times), peak_bytes() - before)


def started(entry: Entry, options: argparse.Namespace) -> subprocess.Popen[str]:
    variables = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    command = [sys.executable, __file__, "--only", entry.name, "--steps", str(options.steps)]
    command += ["--batch", str(entry.batch or options.batch), "--frames", str(options.frames)]
    command += ["--threads", str(entry.threads)] + ["--blas-splits"] * entry.blas_splits
    return subprocess.Popen(
        command,
        env=os.environ | dict.fromkeys(variables, str(entry.threads)),
        stdout=subprocess.PIPE,
        text=True,
    )


def in_own_process(entry: Entry, options: argparse.Namespace) -> Taken:
    """What an entry's process took; the slowest one's, where it has several side by side."""
    children = [started(entry, options) for _ in range(entry.processes)]
    outputs = [child.communicate()[0] for child in children]
    if any(child.returncode for child in children):
        raise SystemExit(f"benchmarks/train_step.py: {entry.label}: the process failed")
    return max((Taken(**json.loads(output)) for output in outputs), key=lambda taken: taken.median_ms)


def measure(options: argparse.Namespace) -> dict[Entry, list[Taken]]:
    """What every entry's processes took, in rounds whose order turns."""
    found: dict[Entry, list[Taken]] = {entry: [] for entry in ENTRIES}
    for turn in range(options.rounds):
        for entry in ENTRIES if turn % 2 == 0 else reversed(ENTRIES):
            found[entry].append(in_own_process(entry, options))
    return found


def ratios(found: dict[Entry, list[Taken]]) -> dict[str, float]:
    """Times of peers over ours, shares of the products' time, and what extras cost."""

    def ms(name: str, **where: int) -> float:
        return statistics.median(taken.fastest_ms for taken in found[Entry(name, **where)])

    def sustained_ms(entry: Entry) -> float:
        return statistics.median(taken.median_ms for taken in found[entry])

    def grown(name: str) -> float:
        return statistics.median(taken.grown_bytes for taken in found[Entry(name)])

    step_of_pair = sustained_ms(PAIR) / PAIR.processes
    return {
        "qat_vs_torch_cell_loop": ms(CELL_LOOP) / ms(QAT),
        "qat_vs_torch_cell_loop_2_threads": ms(CELL_LOOP, threads=2) / ms(QAT, threads=2),
        "qat_vs_torch_cell_loop_by_hand": ms(BY_HAND) / ms(QAT),
        "vs_torch_nn_lstm": ms(NN_LSTM) / ms(PLAIN),
        "vs_torch_nn_lstm_batch_128": ms(NN_LSTM, batch=128) / ms(PLAIN, batch=128),
        "gemm_limit_frac": ms(PRODUCTS) / ms(PLAIN),
        "qat_gemm_limit_frac": ms(PRODUCTS) / ms(QAT),
        "learned_thresholds_extra_frac": ms(LEARNED) / ms(QAT) - 1.0,
        "skipping_extra_frac": ms(SKIPPING) / ms(QAT) - 1.0,
        "qat_memory_vs_torch_cell_loop": grown(QAT) / grown(CELL_LOOP),
        "memory_vs_torch_nn_lstm": grown(PLAIN) / grown(NN_LSTM),
        "two_processes_vs_two_blas_threads": sustained_ms(TWO_BLAS) / step_of_pair,
        "two_processes_vs_two_threads": sustained_ms(Entry(QAT, threads=2)) / step_of_pair,
    }


def openblas_architecture() -> str:
    found = sorted({str(pool.get("architecture")) for pool in threadpool_info() if "architecture" in pool})
    return ", ".join(found) or "none loaded"


def document_of(found: dict[Entry, list[Taken]], options: argparse.Namespace) -> dict[str, object]:
    times = {entry.label: statistics.median(taken.fastest_ms for taken in found[entry]) for entry in found}
    mib = {
        entry.label: statistics.median(taken.grown_bytes for taken in found[entry]) / 2**20 for entry in found
    }
    return {
        "schema": "npuexplore.benchmark.train_step/1",
        **{name: round(ratio, 3) for name, ratio in ratios(found).items()},
        "openblas_architecture": openblas_architecture(),
        "batch": options.batch,
        "frames": options.frames,
        "load_average": round(os.getloadavg()[0], 2),
        "ms": {name: round(time_ms, 1) for name, time_ms in times.items()},
        "memory_mib": {name: round(grown) for name, grown in mib.items()},
    }


def print_table(document: dict[str, object]) -> None:
    where = f"B = {document['batch']}, T = {document['frames']}"
    print(f"one step of tinylstm, {where}, OpenBLAS for {document['openblas_architecture']}")
    for name, time_ms in document["ms"].items():
        print(f"{name:42s}{time_ms:8.1f} ms{document['memory_mib'][name]:7d} MiB")
    for name, ratio in document.items():
        if isinstance(ratio, float) and name != "load_average":
            print(f"{name:42s}{ratio:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8, help="timed steps of each process")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--blas-splits", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(vars(take(options))))
        return
    if importlib.util.find_spec("torch") is None:
        print(MISSING_PEER, file=sys.stderr)
        raise SystemExit(4)
    document = document_of(measure(options), options)
    if options.json:
        print(json.dumps(document))
    else:
        print_table(document)


if __name__ == "__main__":
    main()
