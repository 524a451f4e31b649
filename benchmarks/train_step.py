"""How long does one training step take, against PyTorch and against its matrix products alone?

    python benchmarks/train_step.py --json

Network tinylstm, forward, backward, clip and Adam. Every contestant runs in a process of its own, in turn,
several rounds; a process counts with its fastest step, a contestant with the median of its processes.
QAT = int8 weights under a 90 % mask, int8 input and h, int16 c at every time step; PyTorch's nn.LSTM cannot
do that, so its user writes a cell loop.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

MISSING_PEER = (
    "benchmarks/train_step.py: the peer PyTorch is not installed; it is needed for the ratios; "
    'run pip install ".[oracles]" first'
)
OURS = ("npuexplore", "npuexplore QAT", "matrix products")
PEERS = ("torch nn.LSTM", "torch QAT cell loop")


def problem(frames: int, batch: int) -> dict[str, np.ndarray]:
    """Random spectra of the right shapes; the work does not depend on the values."""
    rng = np.random.default_rng(0)
    clean = rng.exponential(size=(frames, batch, 257)).astype(np.float32)
    noisy = clean + rng.exponential(size=clean.shape).astype(np.float32)
    features = rng.standard_normal((frames, batch, 128)).astype(np.float32)
    return {"features": features, "noisy_power": noisy, "cross": clean, "clean_power": clean}


def our_step(frames: int, batch: int, *, qat: bool) -> Callable[[], object]:
    from npuexplore.audio.mixtures import SpectralBatch
    from npuexplore.audio.stft import front_end
    from npuexplore.compression.plan import LayerPlan, uniform_plan
    from npuexplore.compression.sparsity import layer_masks
    from npuexplore.train.fit import FitRecipe
    from npuexplore.train.model import Treatment, init_params
    from npuexplore.train.run import Task, fresh_run, train_step
    from npuexplore.workload.load import load_network

    network = load_network("tinylstm")
    params = init_params(network, rng=np.random.default_rng(0))
    treatment = None
    if qat:
        plan = uniform_plan(network, LayerPlan(structure="weight", sparsity_frac=0.9))
        treatment = Treatment(plan, layer_masks(params, plan, network), frozen=True)
    threads = int(os.environ["OMP_NUM_THREADS"])
    threadpool_limits(1, "blas")
    pool = ThreadPoolExecutor(threads) if threads > 1 else None
    task = Task(
        network,
        FitRecipe(steps=1000, blas_threads=threads),
        front_end(network).synthesis,
        np.ones(network.bands, np.float32),
    )
    run, spectra = fresh_run(params, network), SpectralBatch(**problem(frames, batch))
    return lambda: train_step(run, task, spectra, treatment, pool=pool)


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
    from npuexplore.train.primitives.recurrent import (
        add_outer_products,
        block_product,
        column_blocks,
        padded_transpose,
        time_chunks,
    )

    width = 4 * units
    w_in, w_back = padded_transpose(_random(width, inputs)), _random(width, inputs)
    blocks = column_blocks(_random(4, units, units), batch)
    state, pull, out = _random(batch, units), _random(4, 1, batch, units), _random(4, batch, units)
    d_in, d_rec = _random(inputs, width), _random(units, width)

    def run() -> None:
        for start, stop in time_chunks(frames, batch, width):
            rows = (stop - start) * batch
            x, h, d_x, linear, d_linear = (buffer[:rows] for buffer in chunk)
            np.matmul(x, w_in, out=linear)
            for _ in range(stop - start):
                block_product(state, blocks, out=out)
                block_product(pull, blocks, out=out)
            add_outer_products(d_in, x, d_linear)
            add_outer_products(d_rec, h, d_linear)
            if not first:
                np.matmul(d_linear, w_back, out=d_x)

    longest = max(stop - start for start, stop in time_chunks(frames, batch, width)) * batch
    chunk = [_random(longest, columns) for columns in (inputs, units, inputs, width, width)]
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


def contestant(name: str, frames: int, batch: int) -> Callable[[], object]:
    if name in PEERS:
        from torch_peers import torch_step

        return torch_step(problem(frames, batch), qat=name == PEERS[1])
    if name == OURS[2]:
        return matrix_products(frames, batch)
    return our_step(frames, batch, qat=name == OURS[1])


def fastest_ms(step: Callable[[], object], steps: int) -> float:
    step()
    step()
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def in_own_process(name: str, threads: int, options: argparse.Namespace) -> float:
    variables = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    command = [sys.executable, __file__, "--only", name, "--steps", str(options.steps)]
    command += ["--batch", str(options.batch), "--frames", str(options.frames)]
    done = subprocess.run(
        command,
        env=os.environ | dict.fromkeys(variables, str(threads)),
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Median of each contestant's processes, by name; two threads only for the QAT ratio."""
    entries = [(name, 1) for name in (*OURS, *PEERS)] + [(OURS[1], 2), (PEERS[1], 2)]
    times: dict[tuple[str, int], list[float]] = {entry: [] for entry in entries}
    for turn in range(options.rounds):
        for name, threads in entries if turn % 2 == 0 else reversed(entries):
            times[name, threads].append(in_own_process(name, threads, options))
    label = {1: "", 2: ", 2 threads"}
    return {f"{name}{label[threads]}": statistics.median(found) for (name, threads), found in times.items()}


def ratios(ms: dict[str, float]) -> dict[str, float]:
    plain, qat, products = (ms[name] for name in OURS)
    return {
        "qat_vs_torch_cell_loop": ms[PEERS[1]] / qat,
        "qat_vs_torch_cell_loop_2_threads": ms[f"{PEERS[1]}, 2 threads"] / ms[f"{OURS[1]}, 2 threads"],
        "vs_torch_nn_lstm": ms[PEERS[0]] / plain,
        "gemm_limit_frac": products / plain,
        "qat_gemm_limit_frac": products / qat,
    }


def openblas_architecture() -> str:
    found = sorted({str(pool.get("architecture")) for pool in threadpool_info() if "architecture" in pool})
    return ", ".join(found) or "none loaded"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8, help="timed steps of each process")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(fastest_ms(contestant(options.only, options.frames, options.batch), options.steps))
        return
    if importlib.util.find_spec("torch") is None:
        print(MISSING_PEER, file=sys.stderr)
        raise SystemExit(4)
    ms = measure(options)
    found = {name: round(ratio, 3) for name, ratio in ratios(ms).items()}
    document = {"schema": "npuexplore.benchmark.train_step/1", **found}
    document |= {"openblas_architecture": openblas_architecture()}
    document |= {
        "batch": options.batch,
        "frames": options.frames,
        "ms": {n: round(t, 1) for n, t in ms.items()},
    }
    if options.json:
        print(json.dumps(document))
        return
    blas = document["openblas_architecture"]
    print(f"one step of tinylstm, B = {options.batch}, T = {options.frames}, OpenBLAS for {blas}")
    for name, time_ms in ms.items():
        print(f"{name:35s}{time_ms:8.1f} ms")
    for name, ratio in found.items():
        print(f"{name:35s}{ratio:8.2f}")


if __name__ == "__main__":
    main()
