"""The same part with dearer or cheaper weight decoding and index look-ups: `decode=0.5,index=2`.

Factors are of costs: `decode=2` takes twice the cycles to decode, `index=2` twice the cycles and bits to say
which blocks are stored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from npuexplore.cost.sensitivity import Knob, turned_by
from npuexplore.errors import UsageError
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.hardware.profile import HardwareProfile

KNOBS = {
    "decode": Knob(
        "decode",
        rates=("engine.decode_cycles_per_output",),
        costs=("engine.*decoded_bytes_per_cycle", "engine.*decoded_weights_per_cycle"),
    ),
    "index": Knob(
        "index",
        rates=(
            "engine.cycles_per_index",
            "engine.cycles_per_block_row",
            "engine.map_bits_per_granule",
            "engine.index_bits_per_stored_granule",
            "engine.pointer_bits_per_granule_row",
        ),
    ),
}
LEAST_FACTOR, GREATEST_FACTOR = 0.01, 100.0

Factors = Mapping[str, float]


def default_what_ifs(profile: HardwareProfile) -> Sequence[Factors]:
    """Half and twice the decode and index costs of a generic microNPU, whose figures are often assumed."""
    if not isinstance(profile.engine, MicroNpu):
        return ()
    asked: list[Factors] = [{name: factor} for name in KNOBS for factor in (0.5, 2.0)]
    return [factors for factors in asked if changed_profile(profile, factors) is not None]


def read_what_if(text: str) -> Factors:
    """The factors of `decode=0.5,index=2`. Raises UsageError for anything else."""
    factors: dict[str, float] = {}
    for item in text.split(","):
        match = re.fullmatch(r"\s*([a-z]+)=([0-9]+(?:\.[0-9]+)?)\s*", item)
        if match is None or match[1] not in KNOBS or match[1] in factors:
            raise UsageError(
                f"--what-if {text!r}: write a factor of cost for {' or '.join(KNOBS)} or both, each once, "
                "as decode=0.5,index=2"
            )
        factors[match[1]] = float(match[2])
        if not LEAST_FACTOR <= factors[match[1]] <= GREATEST_FACTOR:
            raise UsageError(
                f"--what-if {text!r}: {match[1]} {match[2]} is out of range; allowed is "
                f"{LEAST_FACTOR:g} to {GREATEST_FACTOR:g}"
            )
    return factors


def changed_profile(profile: HardwareProfile, factors: Factors) -> HardwareProfile | None:
    """The profile with its costs multiplied; None where it has no such costs."""
    for name, factor in factors.items():
        if factor == 1.0:
            continue
        changed = turned_by(profile, KNOBS[name], factor)
        if changed is None:
            return None
        profile = changed
    return profile


def refuse_unchanged(profile: HardwareProfile, factors: Factors) -> HardwareProfile:
    """The changed profile. Raises UsageError where the part has nothing that would change."""
    changed = changed_profile(profile, factors)
    if changed is None:
        raise UsageError(
            f"--what-if {what_if_words(factors)}: {profile.name} has no figures that this would change, or "
            "they would leave their range; leave it out or name another cost"
        )
    return changed


def what_if_words(factors: Factors) -> str:
    """`decode=0.5,index=2`."""
    return ",".join(f"{name}={factor:g}" for name, factor in factors.items())
