"""Plans and structures in words, and the facts about a study that several parts of the page use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from npuexplore.report.numbers import decibels, percent

Record = Mapping[str, Any]

MATRICES = ("w_x", "w_h")
"""Keys of what a recurrent layer's matrices have of their own."""
FIXED_SPARSITY_FRAC = {"dense": {"sparsity_frac": 0.0}, "two_four": {"sparsity_frac": 0.5}}
"""Structures that have one sparsity only."""
STRUCTURES = ("weight", "block", "unit", "two_four", "dense")
MAIN_SET = "unseen"
"""The evaluation set that losses of quality refer to."""


def layer_words(choice: Record) -> str:
    """One layer's plan: `block 1×16, 70 %, int8`; of matrices that differ, one after the other.

    >>> layer_words({"structure": "weight", "sparsity_frac": 0.5, "w_h": {"weight_bits": 4}})
    'w_x weight, 50 %, int8; w_h weight, 50 %, int4'
    """
    own = matrix_choices(choice)
    if len(own) == 1:
        return _choice_words(choice)
    return "; ".join(f"{key} {_choice_words(each)}" for key, each in zip(MATRICES, own, strict=True))


def matrix_choices(choice: Record) -> list[Record]:
    """What is done to a layer's matrices: one choice where they are alike, else that of w_x and of w_h."""
    if not any(key in choice for key in MATRICES):
        return [choice]
    layer = {key: value for key, value in choice.items() if key not in MATRICES}
    return [layer | _settled(layer, choice.get(key, {})) for key in MATRICES]


def _settled(layer: Record, own: Record) -> dict[str, Any]:
    """A matrix' own words, and what its structure leaves no choice of."""
    structure = own.get("structure", layer.get("structure", "dense"))
    block = own.get("block", layer.get("block")) if structure == "block" else None
    return {"block": block, **FIXED_SPARSITY_FRAC.get(structure, {}), **own}


def _choice_words(choice: Record) -> str:
    structure = str(choice.get("structure", "dense"))
    bits = f"int{choice.get('weight_bits', 8)}"
    if structure == "dense":
        return f"dense, {bits}"
    return f"{structure_words(choice)}, {percent(choice.get('sparsity_frac', 0.0))}, {bits}"


def structure_words(choice: Record) -> str:
    """A structure with its block shape: `block 1×16`; two of four as `2:4`."""
    block, structure = choice.get("block"), str(choice["structure"])
    return f"block {block[0]}×{block[1]}" if block else {"two_four": "2:4"}.get(structure, structure)


def plan_words(plan: Record) -> str:
    """A whole plan in one phrase: structures, range of sparsities, bits, skipped frames.

    >>> plan_words({"layers": {"a": {"structure": "unit", "sparsity_frac": 0.5, "weight_bits": 8}}})
    'unit at 50 % with int8'
    >>> plan_words({"layers": {"a": {}}, "skip_rate_frac": 0.4})
    'dense with int8, skipping 40 % of frames'
    """
    rate = plan.get("skip_rate_frac", 0.0)
    skips = f", skipping {percent(rate)} of frames" if rate else ""
    layers = [choice for layer in plan["layers"].values() for choice in matrix_choices(layer)]
    sparse = [layer for layer in layers if layer.get("structure", "dense") != "dense"]
    bits = " and ".join(f"int{width}" for width in sorted({layer.get("weight_bits", 8) for layer in layers}))
    if not sparse:
        return f"dense with {bits}{skips}"
    names = list(dict.fromkeys(structure_words(layer) for layer in sparse))
    mix = names[0] if len(names) == 1 else f"a mix of {' and '.join(names)}"
    return f"{mix} at {_span([layer['sparsity_frac'] for layer in sparse])} with {bits}{skips}"


def _span(fractions: Sequence[float]) -> str:
    low, high = min(fractions), max(fractions)
    return percent(low) if low == high else f"{100 * low:.0f} to {percent(high)}"


def dominant_structure(plan: Record, layer_weights: Mapping[str, float]) -> str:
    """The structure of most weights among the sparse layers of a plan; `dense` where none is sparse."""
    shares = dict.fromkeys(STRUCTURES, 0.0)
    for name, layer in plan["layers"].items():
        own = matrix_choices(layer)
        for choice in own:
            structure = choice.get("structure", "dense")
            if structure != "dense":
                shares[structure] += layer_weights.get(name, 1.0) / len(own)
    best = max(STRUCTURES, key=lambda name: shares[name])
    return best if shares[best] > 0 else "dense"


def network_name(results: Record) -> str:
    """The network's own name."""
    return str((results.get("network") or {}).get("name", "the network"))


def single_structure(plan: Record) -> bool:
    """The plan's sparse layers all have one structure."""
    structures = {layer.get("structure", "dense") for layer in plan["layers"].values()} - {"dense"}
    return len(structures) < 2


def loss_words(loss: float) -> str:
    """`0.69 dB of SI-SDR lost`, or that there is none."""
    if loss > -0.005:
        return f"{decibels(loss)} of SI-SDR lost" if loss >= 0.005 else "no SI-SDR lost"
    return f"no SI-SDR lost ({decibels(-loss)} better than the baseline)"


def achieved_loss_db(pick: Record) -> float | None:
    """Loss of SI-SDR of a retrained pick against the baseline; None before it is retrained."""
    achieved = pick.get("achieved") or {}
    loss: float | None = achieved.get("quality_loss_db")
    return loss


def loss_db(pick: Record) -> float | None:
    """The achieved loss, or the predicted one before retraining."""
    achieved = achieved_loss_db(pick)
    return (pick.get("predicted") or {}).get("quality_loss_db") if achieved is None else achieved


def asked_skip_rate(record: Record) -> float:
    """Share of frames that a pick's plan skips."""
    return float((record.get("plan") or {}).get("skip_rate_frac", 0.0))


def least_skip_rate(pick: Record) -> tuple[str, float] | None:
    """The set on which a retrained pick skips the smallest share of frames, and that share."""
    achieved = pick.get("skip_rate_frac_achieved") or {}
    return min(achieved.items(), key=lambda item: (item[1], item[0]), default=None)


def fits_all(record: Record) -> bool:
    """Flash, SRAM and deadline are all kept."""
    return all((record.get("fits") or {}).values())
