"""The stage that measures what compressing one layer at a time costs, by several processes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

import npuexplore
from npuexplore.audio.sources import Pair
from npuexplore.audio.stft import front_end
from npuexplore.pipeline.checkpoints import read_network
from npuexplore.pipeline.data import calibration_set
from npuexplore.pipeline.quality import Bench, calibration_batch, cases_of
from npuexplore.pipeline.row_cache import SCHEMA, Case, case_key, kept_rows, known_losses
from npuexplore.pipeline.run_directory import RunDirectory, digest, read_stage, write_stage
from npuexplore.pipeline.segments import prepare_validation
from npuexplore.pipeline.start import digest_of
from npuexplore.pipeline.study_job import Sound, StudyJob
from npuexplore.pipeline.workers import Send, Task
from npuexplore.train.losses import LossName
from npuexplore.workload.counts import network_tables
from npuexplore.workload.network import Network

WORTH_A_PROCESS_MACS = 2 * 10**10
"""Starting a process takes about as long as so many multiplications."""


@dataclass(frozen=True)
class _Share:
    """What a worker needs to measure its share of the cases."""

    baseline: Path
    calibration: Path
    network: Network
    loss: LossName
    cases: tuple[Case, ...]


def sensitivity_stage(job: StudyJob, sound: Sound, baseline: Path) -> list[dict[str, Any]]:
    """The rows of `measure_sensitivity`, in its order.

    Each is measured once for a run, and not at all where a run beside it has measured the same. How many
    processes measure changes nothing. Raises what `run_tasks` raises; finished rows are kept.
    """
    if stored := read_stage(job.run, "sensitivity"):
        return list(stored["rows"])
    problem = job.problem
    pairs = calibration_set(problem.study, problem.network, sound.read())
    with job.timed("sensitivity"):
        measured_on = _measured_on(baseline, pairs, problem.network, problem.study.baseline.loss)
        losses = known_losses(job.run, measured_on)
        cases = cases_of(job.space)
        known = [case for case in cases if case_key(case) in losses]
        missing = [case for case in cases if case_key(case) not in losses]
        with kept_rows(job.run, measured_on, [_with_loss(case, losses) for case in known]) as keep:

            def on_row(_: str, row: Case) -> None:
                keep(row)
                losses[case_key(row)] = row["one_shot_loss_db"]
                job.tell("sensitivity", sum(case_key(case) in losses for case in cases), len(cases), "")

            _measure(job, sound, baseline, pairs, missing, on_row)
    rows = [_with_loss(case, losses) for case in cases]
    write_stage(job.run, "sensitivity", {"rows": rows})
    return rows


def _with_loss(case: Case, losses: Mapping[str, float]) -> dict[str, Any]:
    return {**case, "one_shot_loss_db": losses[case_key(case)]}


def _measured_on(baseline: Path, pairs: Sequence[Pair], network: Network, loss: LossName) -> str:
    """Digest of all that the loss of a case depends on, but for the case."""
    sound = hashlib.sha256()
    for pair in pairs:
        for signal in (pair.clean, pair.noisy):
            sound.update(str(signal.shape).encode() + np.ascontiguousarray(signal, np.float32).tobytes())
    kernels = {str(each.get("architecture")) for each in threadpool_info() if each["user_api"] == "blas"}
    return digest(
        {
            "schema": SCHEMA,
            "npuexplore": npuexplore.__version__,
            "numpy": np.__version__,
            "kernels": sorted(kernels),
            "baseline": digest_of(baseline.read_bytes()),
            "calibration": sound.hexdigest(),
            "frame_clock": network.frame_clock.model_dump(mode="json", exclude={"deadline_ms"}),
            "bands": network.bands,
            "loss": loss,
        }
    )


def _measure(
    job: StudyJob,
    sound: Sound,
    baseline: Path,
    pairs: Sequence[Pair],
    cases: Sequence[Case],
    on_row: Callable[[str, Case], None],
) -> None:
    """Measures the cases: here where that is quickly done, else in processes of their own."""
    problem, workers = job.problem, min(job.request.workers, len(cases))
    network, loss = problem.network, problem.study.baseline.loss
    if workers < 2 or _macs(network, pairs, cases) < WORTH_A_PROCESS_MACS:
        geometry = front_end(network)
        bench = Bench(read_network(baseline), calibration_batch(pairs, geometry), geometry, loss)
        for case in cases:
            on_row("", bench.measured(case))
        return
    run = RunDirectory(job.run.folder.absolute())
    calibration = prepare_validation(run, problem.study, network, sound.read())
    shares = [
        _Share(run.baseline, calibration, network, loss, tuple(cases[first::workers]))
        for first in range(workers)
    ]
    tasks = [Task(f"sensitivity {at}", _measure_share, share) for at, share in enumerate(shares)]
    job.executor.run(tasks, on_message=on_row)


def _macs(network: Network, pairs: Sequence[Pair], cases: Sequence[Case]) -> int:
    """Multiplications that measuring the cases takes, about."""
    samples = sum(pair.clean.size for pair in pairs)
    frames = samples // network.frame_clock.hop_samples
    return int(network_tables(network).dense_macs.sum()) * frames * len(cases)


def _measure_share(share: _Share, send: Send) -> None:
    clean, noisy = np.load(share.calibration)
    pairs = [Pair(str(at), *both) for at, both in enumerate(zip(clean, noisy, strict=True))]
    geometry = front_end(share.network)
    batch = calibration_batch(pairs, geometry)
    bench = Bench(read_network(share.baseline), batch, geometry, share.loss)
    for case in share.cases:
        send(bench.measured(case))
