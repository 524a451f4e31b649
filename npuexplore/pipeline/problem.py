"""A study with the part, or the shortlist of parts, and the network that it names."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from npuexplore.compression.matrix_plan import MatrixChoice
from npuexplore.compression.plan import CompressionPlan, PlanBatch
from npuexplore.compression.reach import refuse_covering_block
from npuexplore.cost.estimate import block_shapes
from npuexplore.cost.supported import refuse_network
from npuexplore.documents.shipped import Kind, shipped_names
from npuexplore.errors import BadInput
from npuexplore.hardware.engines import activation_widths, weight_widths
from npuexplore.hardware.load import load_profile
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.pipeline.start import Start, find_start
from npuexplore.pipeline.study_file import StudyFile, load_study
from npuexplore.search.space import Space, SpaceSpec, space_for
from npuexplore.train.skipping import refuse_unskippable
from npuexplore.train.trainable import refuse_untrainable
from npuexplore.workload.load import load_network
from npuexplore.workload.network import Network, gate_count, matrices


@dataclass(frozen=True)
class Problem:
    """A study's rules, part (or parts) and network; the study names them by name, never by path."""

    study: StudyFile
    profile: HardwareProfile
    """The part; of a shortlist the first."""
    network: Network
    start: Start | None = field(default=None, compare=False)
    """Where the network that the baseline starts from lies, as long as that is known."""
    others: tuple[HardwareProfile, ...] = ()
    """The parts of a shortlist after the first."""

    @property
    def profiles(self) -> tuple[HardwareProfile, ...]:
        """The part, or all of a shortlist in the study's order."""
        return (self.profile, *self.others)

    @property
    def parts(self) -> tuple[Problem, ...]:
        """The same study for each part of a shortlist alone; this problem itself where it has one part."""
        if not self.others:
            return (self,)
        return tuple(
            replace(
                self,
                study=self.study.model_copy(update={"profile": profile.name}),
                profile=profile,
                others=(),
            )
            for profile in self.profiles
        )

    def on(self, name: str | None) -> Problem:
        """The same study for one part of the shortlist, by name; None is the only part."""
        return next(part for part in self.parts if name in (None, part.profile.name))

    def parts_of(self, plans: PlanBatch) -> list[str] | None:
        """The part of each plan, by name; None where the study has one part."""
        return None if plans.part is None else [self.profiles[part].name for part in plans.part.tolist()]


def load_problem(name_or_path: str | Path, *, runs: Path = Path("runs")) -> Problem:
    """A study by shipped name or path, with its profile and network. Raises BadInput.

    A path in the study is seen from the study's own folder first, then from the working folder; `runs` holds
    the run directories that it may name. What its baseline starts from is named by its digest.
    """
    study, path = load_study(name_or_path)
    profiles = [load_profile(_beside(path, name, "hw_profiles")) for name in study.profiles]
    network = load_network(_beside(path, study.network, "networks"))
    _refuse_twins(profiles, where=path)
    refuse_untrainable(network)
    for profile in profiles:
        _refuse_mismatch(study, profile, network, where=path)
    _refuse_own_mismatch(study, network, where=path)
    space = _offered_space(study.space, profiles, where=path)
    start, baseline = None, study.baseline
    if baseline.start is not None:
        start = find_start(baseline.start, network, study=path, runs=runs)
        baseline = baseline.model_copy(update={"start": start.digest})
    part_names = tuple(profile.name for profile in profiles)
    names = {"profile": part_names if study.profiles[1:] else part_names[0], "network": network.name}
    named = study.model_copy(update={**names, "space": space, "baseline": baseline})
    return Problem(named, profiles[0], network, start, tuple(profiles[1:]))


def space_of(problem: Problem) -> Space:
    """What the search may choose from: of a shortlist the part too, and blocks that any part skips."""
    blocks = [block for profile in problem.profiles for block in block_shapes(profile)]
    names = tuple(profile.name for profile in problem.profiles)
    return space_for(problem.study.space, problem.network, tuple(dict.fromkeys(blocks)), parts=names)


def _refuse_twins(profiles: Sequence[HardwareProfile], *, where: Path) -> None:
    names = [profile.name for profile in profiles]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"{where}: profile: two of the files are named {name}; rename one of them")


def _offered_space(spec: SpaceSpec, profiles: Sequence[HardwareProfile], *, where: Path) -> SpaceSpec:
    """The space without bit-widths that a part refuses; a width that the study itself lists is refused."""
    offered = {}
    for key, widths in (("weight_bits", weight_widths), ("activation_bits", activation_widths)):
        left = got = getattr(spec, key)
        for profile in profiles:
            allowed = widths(profile.engine)
            left = tuple(bits for bits in left if bits in allowed)
            if key in spec.model_fields_set and set(got) - set(allowed):
                raise BadInput(
                    f"{where}: space.{key}: got {list(got)}; {profile.name} allows {list(allowed)}; "
                    "list some of those"
                )
        offered[key] = left or (_widest([widths(profile.engine) for profile in profiles], key, where=where),)
    return spec.model_copy(update=offered)


def _widest(allowed: Sequence[Sequence[int]], key: str, *, where: Path) -> int:
    """The most bits that every part runs."""
    shared = set(allowed[0]).intersection(*allowed)
    if not shared:
        each = "; ".join(str(list(bits)) for bits in allowed)
        raise BadInput(f"{where}: profile: these parts share no {key} ({each}); give each a study of its own")
    return max(shared)


def _refuse_mismatch(study: StudyFile, profile: HardwareProfile, network: Network, *, where: Path) -> None:
    refuse_network(profile, network)
    if study.memory_mode is not None and study.memory_mode not in profile.memory_modes:
        raise BadInput(
            f"{where}: memory_mode: got {study.memory_mode!r}; profile {profile.name} has "
            f"{', '.join(profile.memory_modes)}; name one of those or leave the key out"
        )


def _refuse_own_mismatch(study: StudyFile, network: Network, *, where: Path) -> None:
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
    return {
        "study": problem.study.model_dump(mode="json", by_alias=True),
        **profiles_document(problem),
        "network": problem.network.model_dump(mode="json", by_alias=True),
    }


def profiles_document(problem: Problem) -> dict[str, Any]:
    """`profile` of a study of one part, `profiles` of a shortlist."""
    documents = [profile.model_dump(mode="json", by_alias=True) for profile in problem.profiles]
    return {"profiles": documents} if problem.others else {"profile": documents[0]}


def problem_of(document: Mapping[str, Any], *, where: Path) -> Problem:
    """The problem that `problem_document` wrote. Raises BadInput for one of another version."""
    try:
        documents = document["profiles"] if "profiles" in document else [document["profile"]]
        first, *others = (HardwareProfile.model_validate_json(json.dumps(each)) for each in documents)
        return Problem(
            StudyFile.model_validate_json(json.dumps(document["study"])),
            first,
            Network.model_validate_json(json.dumps(document["network"])),
            others=tuple(others),
        )
    except (ValidationError, KeyError, ValueError):
        raise BadInput(
            f"{where}: its study cannot be read by this version; start over with `npuexplore study run`"
        ) from None


def _beside(study: Path, text: str, kind: Kind) -> str:
    beside = os.path.join(study.parent, text)
    return beside if text not in shipped_names(kind) and os.path.isfile(beside) else text
