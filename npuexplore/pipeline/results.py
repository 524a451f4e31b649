"""`results.json`: everything a study found, without a clock, a host or a path in it."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

import npuexplore
from npuexplore.compression.plan import CompressionPlan
from npuexplore.compression.quantize import integer_weights
from npuexplore.compression.sparsity import layer_masks, shrink
from npuexplore.cost.document import layers_document, totals_document
from npuexplore.cost.estimate import estimate
from npuexplore.cost.part import part_of
from npuexplore.cost.real_cycles import cycles_of_real_weights
from npuexplore.cost.stored import stored_weight_bytes
from npuexplore.pipeline.agreement import agreement_document
from npuexplore.pipeline.checkpoints import TrainedNetwork, read_network
from npuexplore.pipeline.front_document import front_document
from npuexplore.pipeline.objectives import constraints_of, fits_of, reserved_sentences
from npuexplore.pipeline.problem import Problem, profiles_document
from npuexplore.pipeline.rounds import Retrained, Rounds
from npuexplore.pipeline.run_directory import RunDirectory
from npuexplore.pipeline.start import start_document
from npuexplore.search.result import SearchResult
from npuexplore.search.space import Space

RESULTS_SCHEMA = "npuexplore.results/1"
SET_WORDS = {
    "unseen": "mixtures of a voice and noises that training never heard",
    "pairs": "recorded pairs, for scoring only",
}
GAIN_BY_SKIPPING = ("mean_latency_ms", "energy_uj", "average_power_mw")
"""Objectives that are means over frames."""
LOSS_METRIC = "si_sdr_improvement_db"


@dataclass(frozen=True)
class Outcome:
    """What the stages of a study leave to report."""

    problem: Problem
    space: Space
    sensitivity: Sequence[Mapping[str, Any]]
    rounds: Rounds
    qualities: Mapping[str, Mapping[str, Any]]
    data: Mapping[str, Any]

    @property
    def found(self) -> SearchResult:
        """The last search."""
        return self.rounds.found


def assemble(outcome: Outcome, run: RunDirectory) -> dict[str, Any]:
    """The document of a finished study; equal inputs, seeds and versions give equal documents."""
    problem, study = outcome.problem, outcome.problem.study
    baseline = read_network(run.baseline)
    retrained = outcome.rounds.retrained
    picks = [_pick(outcome, each, read_network(run.pick(each.pick.name))) for each in retrained]
    return {
        "schema": RESULTS_SCHEMA,
        "study": study.model_dump(mode="json", by_alias=True),
        "data": dict(outcome.data),
        **profiles_document(problem),
        "network": problem.network.model_dump(mode="json", by_alias=True),
        "environment": environment(),
        "seeds": {
            "study": study.seed,
            "baseline": baseline.training.get("seed"),
            "retrain": study.seed + 1,
        },
        "engine": _engine(outcome),
        "search": dict(outcome.found.facts),
        "objectives": list(outcome.found.objective_names),
        "limits": _limits(problem),
        "evaluations": _evaluations(outcome.qualities["baseline"]),
        "baseline": _baseline(outcome, baseline, run),
        "sensitivity": [dict(row) for row in outcome.sensitivity],
        **front_document(problem, outcome.rounds),
        "picks": picks,
        "missing": [*outcome.rounds.missing, *idle_rates(problem, picks)],
        "assumptions": _assumptions(problem),
        "agreement": agreement_document(
            picks,
            recovery_frac=study.picks.recovery_frac,
            summed_db={
                each.pick.name: round(each.assumed_db, 4) / study.picks.recovery_frac for each in retrained
            },
            refits=outcome.rounds.refits(),
        ),
    }


def environment() -> dict[str, str]:
    """Versions that results depend on, and the kernels that numpy's BLAS chose."""
    from threadpoolctl import threadpool_info

    kernels = {
        str(library.get("architecture", "")) for library in threadpool_info() if library["user_api"] == "blas"
    }
    return {
        "npuexplore": npuexplore.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "scipy", "autograd", "optuna")},
        "openblas_architecture": ", ".join(sorted(kernels - {""})) or "unknown",
    }


def _engine(outcome: Outcome) -> dict[str, Any]:
    found, spec = outcome.found, outcome.problem.study.search
    suggested = found.feasible[found.suggested_from :]
    return {
        "name": spec.engine,
        "sampler": spec.sampler if spec.engine in ("optuna", "auto") else None,
        "trials": found.recorded,
        "feasible_trials": found.recorded - len(suggested) + int(suggested.sum()),
        "designs": outcome.space.designs,
        "front_sha256": found.front_sha256,
        "hypervolume_frac": round(found.hypervolume_frac, 6),
    }


def _evaluations(qualities: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {
            "what": SET_WORDS[name],
            "items": quality["items"],
            "sdr_in_db": quality["mean"]["sdr_in_db"],
            "si_sdr_in_db": quality["mean"]["si_sdr_in_db"],
        }
        for name, quality in qualities.items()
    }


def _limits(problem: Problem) -> dict[str, Any]:
    """Upper limits by name; of a shortlist by part."""
    by_part = {
        part.profile.name: {limit.name: limit.limit for limit in constraints_of(part, with_quality=True)}
        for part in problem.parts
    }
    return by_part if problem.others else by_part[problem.profile.name]


def _costs(problem: Problem, plan: CompressionPlan) -> dict[str, Any]:
    """What the estimator says of a plan on the problem's one part."""
    result = estimate(problem.profile, problem.network, plan, memory_mode=problem.study.memory_mode)
    return {
        "estimates": totals_document(result, 0),
        "fits": fits_of(problem, result, 0),
        "layers": layers_document(result, 0),
    }


def _assumptions(problem: Problem) -> list[str]:
    """What the cost model takes for granted, and how quality is predicted."""
    return [
        *_cost_assumptions(problem),
        *reserved_sentences(problem),
        f"predicted loss: one-shot losses of the layers{_of_skips(problem)}, measured on calibration "
        f"mixtures and summed, times {problem.study.picks.recovery_frac:g}, the share expected to stay after "
        "retraining",
        *_rounds_sentence(problem),
        *_start_sentence(problem),
    ]


def _cost_assumptions(problem: Problem) -> list[str]:
    """Those of the estimator; of a shortlist first what all parts share, then what names its part."""
    most_skipped = CompressionPlan(skip_rate_frac=max(problem.study.space.skip_rate_frac))
    by_part = {
        part.profile.name: estimate(
            part.profile, part.network, most_skipped, memory_mode=part.study.memory_mode
        ).assumptions
        for part in problem.parts
    }
    shared = [each for each in by_part[problem.profile.name] if all(each in own for own in by_part.values())]
    own = [f"{name}: {each}" for name, said in by_part.items() for each in said if each not in shared]
    return [*shared, *own]


def _of_skips(problem: Problem) -> str:
    if not any(problem.study.space.skip_rate_frac):
        return ""
    return " and of states held in an evenly spread share of the frames"


def idle_rates(problem: Problem, picks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why no pick skips frames although the study offers it."""
    offered = any(problem.study.space.skip_rate_frac)
    gains = [name for name in GAIN_BY_SKIPPING if name in problem.study.search.objectives]
    if gains or not offered or any(pick["plan"]["skip_rate_frac"] > 0 for pick in picks):
        return []
    return [
        "No pick skips frames, as no objective gains from it: the latency is that of a frame that is not "
        f"skipped; name {', '.join(GAIN_BY_SKIPPING[:-1])} or {GAIN_BY_SKIPPING[-1]} among the objectives."
    ]


def _rounds_sentence(problem: Problem) -> list[str]:
    """Where later rounds have their predictions from."""
    if problem.study.rounds == 1:
        return []
    return [
        "from round 2 on, those shares are fitted to what the retrained picks lose on the calibration "
        "mixtures: one share for each structure, for rounding and for skipping"
    ]


def _start_sentence(problem: Problem) -> list[str]:
    """What nobody can check of a network that was trained elsewhere."""
    if problem.study.baseline.start is None:
        return []
    return [
        "the baseline starts from a network trained before this study: the voices and noises kept back here "
        "are taken to be unknown to it"
    ]


def _means(qualities: Mapping[str, Any]) -> dict[str, Any]:
    return {name: quality["mean"] for name, quality in qualities.items()}


def _origin(outcome: Outcome, trained: TrainedNetwork, run: RunDirectory) -> dict[str, Any]:
    """How the baseline was trained; of one that was taken as it is, `start` says where that was."""
    spec = outcome.problem.study.baseline
    taken = {"start": start_document(run.baseline)} if spec.start is not None and spec.steps == 0 else {}
    return {**dict(trained.training), **taken}


def _baseline(outcome: Outcome, trained: TrainedNetwork, run: RunDirectory) -> dict[str, Any]:
    return {
        "checkpoint": "baseline.npz",
        "what": "float weights as trained; cost estimated for the same network in dense int8",
        **_origin(outcome, trained, run),
        "quality": _means(outcome.qualities["baseline"]),
        "files": {name: quality["files"] for name, quality in outcome.qualities["baseline"].items()},
        **_baseline_costs(outcome.problem),
    }


def _baseline_costs(problem: Problem) -> dict[str, Any]:
    """The dense network on the part; on each of a shortlist."""
    if not problem.others:
        return _costs(problem, CompressionPlan())
    return {"parts": {part.profile.name: _costs(part, CompressionPlan()) for part in problem.parts}}


def _pick(outcome: Outcome, retrained: Retrained, trained: TrainedNetwork) -> dict[str, Any]:
    pick, predicted_loss_db = retrained.pick, retrained.predicted_db
    problem = outcome.problem.on(pick.part)
    plan = trained.plan or CompressionPlan()
    reference, achieved = outcome.qualities["baseline"], outcome.qualities[pick.name]
    loss_db = reference["unseen"]["mean"][LOSS_METRIC] - achieved["unseen"]["mean"][LOSS_METRIC]
    costs = _costs(problem, plan)
    layers = _layers(problem, plan, trained, costs["layers"])
    return {
        "name": pick.name,
        "why": pick.why,
        "structure": pick.structure,
        "round": retrained.round,
        **({} if pick.part is None else {"profile": pick.part}),
        "plan": plan.model_dump(mode="json"),
        **_skipping(plan, achieved),
        **costs,
        "layers": layers,
        "predicted": {
            "quality_loss_db": round(predicted_loss_db, 4),
            "uncertainty_db": round(retrained.uncertainty_db, 4),
            LOSS_METRIC: round(reference["unseen"]["mean"][LOSS_METRIC] - predicted_loss_db, 3),
            "weight_bytes": costs["estimates"]["weight_bytes"],
        },
        "achieved": {
            "quality": _means(achieved),
            "files": {name: quality["files"] for name, quality in achieved.items()},
            "quality_loss_db": round(loss_db, 3),
            **_on_calibration(retrained),
            "weight_bytes": sum(layer["weight_bytes"] for layer in layers if "zeros_frac" in layer),
            "zeros_frac": _zeros_frac(layers),
        },
        **dict(trained.training),
        "checkpoint": f"picks/{pick.name}.npz",
    }


def _on_calibration(retrained: Retrained) -> dict[str, float]:
    """The loss that a round learned from, where one did."""
    if retrained.calibration_db is None:
        return {}
    return {"calibration_quality_loss_db": retrained.calibration_db}


def _skipping(plan: CompressionPlan, achieved: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Share of the frames that a pick really skips on each set, where its plan skips any."""
    if plan.skip_rate_frac == 0.0:
        return {}
    return {"skip_rate_frac_achieved": {name: quality["skipped_frac"] for name, quality in achieved.items()}}


def _layers(
    problem: Problem, plan: CompressionPlan, trained: TrainedNetwork, costs: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """One row per layer of the estimate; network layers with what their real weights hold."""
    masks = layer_masks(trained.params, plan, problem.network)
    small = shrink(trained.params, masks, problem.network)
    integers = integer_weights(small, plan, problem.network)
    matrices_of = {
        name: {matrix: values for matrix, (values, _) in entry.items()} for name, entry in integers.items()
    }
    part = part_of(problem.profile, problem.network, memory_mode=problem.study.memory_mode)
    real_cycles = cycles_of_real_weights(part, plan, matrices_of, costs)
    full = {
        layer.name: sum(w.size for name, w in trained.params[layer.name].items() if name.startswith("w"))
        for layer in problem.network.layers
    }
    rows = []
    for cost in costs:
        row = {key: cost[key] for key in ("name", "kind", "cycles", "bound_by")}
        if cost["name"] in integers:
            choice = plan.of(cost["name"])
            matrices = matrices_of[cost["name"]]
            kept = sum(int(np.count_nonzero(matrix)) for matrix in matrices.values())
            row |= choice.model_dump(mode="json")
            row |= {
                "kept_weights": kept,
                "zeros_frac": round(1.0 - kept / full[cost["name"]], 6),
                "weight_bytes_predicted": cost["weight_bytes"],
                "weight_bytes": stored_weight_bytes(
                    problem.profile, choice, matrices, weight_format=cost["weight_format"]
                ),
            }
        if cost["name"] in real_cycles:
            row["cycles_of_real_weights"] = real_cycles[cost["name"]]
        rows.append(row)
    return rows


def _zeros_frac(layers: Sequence[Mapping[str, Any]]) -> float:
    """Zeros over all weights of the dense network; removed units count as zeros."""
    sparse = [layer for layer in layers if "zeros_frac" in layer]
    total = sum(layer["kept_weights"] / max(1.0 - layer["zeros_frac"], 1e-9) for layer in sparse)
    return round(float(1.0 - sum(layer["kept_weights"] for layer in sparse) / total), 6)
