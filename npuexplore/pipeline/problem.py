"""A study with the part and the network that it names."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from npuexplore.compression.matrix_plan import MatrixChoice
from npuexplore.compression.plan import CompressionPlan
from npuexplore.compression.reach import refuse_covering_block
from npuexplore.cost.supported import refuse_network
from npuexplore.documents.shipped import Kind, shipped_names
from npuexplore.errors import BadInput
from npuexplore.hardware.engines import activation_widths, weight_widths
from npuexplore.hardware.load import load_profile
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.pipeline.start import Start, find_start
from npuexplore.pipeline.study_file import StudyFile, load_study
from npuexplore.search.space import SpaceSpec
from npuexplore.train.skipping import refuse_unskippable
from npuexplore.train.trainable import refuse_untrainable
from npuexplore.workload.load import load_network
from npuexplore.workload.network import Network, gate_count, matrices


@dataclass(frozen=True)
class Problem:
    """A study's rules, part and network; the study names them by name, never by path."""

    study: StudyFile
    profile: HardwareProfile
    network: Network
    start: Start | None = field(default=None, compare=False)
    """Where the network that the baseline starts from lies, as long as that is known."""


def load_problem(name_or_path: str | Path, *, runs: Path = Path("runs")) -> Problem:
    """A study by shipped name or path, with its profile and network. Raises BadInput.

    A path in the study is seen from the study's own folder first, then from the working folder; `runs` holds
    the run directories that it may name. What its baseline starts from is named by its digest.
    """
    study, path = load_study(name_or_path)
    profile = load_profile(_beside(path, study.profile, "hw_profiles"))
    network = load_network(_beside(path, study.network, "networks"))
    _refuse_mismatch(study, profile, network, where=path)
    space = _offered_space(study.space, profile, where=path)
    start, baseline = None, study.baseline
    if baseline.start is not None:
        start = find_start(baseline.start, network, study=path, runs=runs)
        baseline = baseline.model_copy(update={"start": start.digest})
    names = {"profile": profile.name, "network": network.name}
    named = study.model_copy(update={**names, "space": space, "baseline": baseline})
    return Problem(named, profile, network, start)


def _offered_space(spec: SpaceSpec, profile: HardwareProfile, *, where: Path) -> SpaceSpec:
    """The space without bit-widths that the part refuses; a width that the study itself lists is refused."""
    widths = {
        "weight_bits": weight_widths(profile.engine),
        "activation_bits": activation_widths(profile.engine),
    }
    offered = {}
    for key, allowed in widths.items():
        got = getattr(spec, key)
        offered[key] = tuple(bits for bits in got if bits in allowed) or (max(allowed),)
        if key in spec.model_fields_set and set(got) - set(allowed):
            raise BadInput(
                f"{where}: space.{key}: got {list(got)}; {profile.name} allows {list(allowed)}; "
                "list some of those"
            )
    return spec.model_copy(update=offered)


def _refuse_mismatch(study: StudyFile, profile: HardwareProfile, network: Network, *, where: Path) -> None:
    refuse_untrainable(network)
    refuse_network(profile, network)
    if study.memory_mode is not None and study.memory_mode not in profile.memory_modes:
        raise BadInput(
            f"{where}: memory_mode: got {study.memory_mode!r}; profile {profile.name} has "
            f"{', '.join(profile.memory_modes)}; name one of those or leave the key out"
        )
    _refuse_skips(study, network, where=where)
    _refuse_covering_blocks(study.space, network, where=where)
    clock = network.frame_clock
    overlap = clock.window_frames
    if study.mixtures.segment_frames < 2 * overlap:
        raise BadInput(
            f"{where}: mixtures.segment_frames: got {study.mixtures.segment_frames}; a window of network "
            f"{network.name} spans {overlap} frames, so at least {2 * overlap} are needed"
        )


def _refuse_skips(study: StudyFile, network: Network, *, where: Path) -> None:
    """Refuses skipped frames where no state could be held, or no gate be trained."""
    rates = study.space.skip_rate_frac
    try:
        refuse_unskippable(CompressionPlan(skip_rate_frac=max(rates)), network)
    except BadInput as error:
        raise BadInput(f"{where}: space.skip_rate_frac: {error}") from None
    if max(rates) > 0 and study.retrain.method == "offline":
        raise BadInput(
            f"{where}: space.skip_rate_frac: got {list(rates)}, and retrain.method offline, which trains "
            "nothing; what to skip is learned: choose another method or leave skip_rate_frac out"
        )


def _refuse_covering_blocks(spec: SpaceSpec, network: Network, *, where: Path) -> None:
    """Refuses a block shape of the study that covers a whole matrix of some layer."""
    layers = {layer.name: layer for layer in network.layers}
    for block in spec.blocks or ():
        choice = MatrixChoice("block", max(spec.sparsity_frac), block, 8)
        for name, matrix, rows, columns in matrices(network):
            gate_rows = rows // gate_count(layers[name].kind)
            try:
                refuse_covering_block(choice, layers[name], matrix, rows=gate_rows, columns=columns)
            except BadInput as error:
                raise BadInput(f"{where}: space.blocks: {error}") from None


def problem_document(problem: Problem) -> dict[str, Any]:
    """The problem as plain JSON, complete: nothing in it refers to another file."""
    documents = {"study": problem.study, "profile": problem.profile, "network": problem.network}
    return {name: document.model_dump(mode="json", by_alias=True) for name, document in documents.items()}


def problem_of(document: Mapping[str, Any], *, where: Path) -> Problem:
    """The problem that `problem_document` wrote. Raises BadInput for one of another version."""
    try:
        return Problem(
            StudyFile.model_validate_json(json.dumps(document["study"])),
            HardwareProfile.model_validate_json(json.dumps(document["profile"])),
            Network.model_validate_json(json.dumps(document["network"])),
        )
    except (ValidationError, KeyError):
        raise BadInput(
            f"{where}: its study cannot be read by this version; start over with `npuexplore study run`"
        ) from None


def _beside(study: Path, text: str, kind: Kind) -> str:
    beside = os.path.join(study.parent, text)
    return beside if text not in shipped_names(kind) and os.path.isfile(beside) else text
