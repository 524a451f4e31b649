"""The conclusions of a study, as sentences and as one row per structure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from npuexplore.report.numbers import decibels, frame_time, kilobytes, milliseconds, percent, times
from npuexplore.report.parts import (
    Part,
    balance_of,
    is_shortlist,
    listed,
    on_part,
    part_of,
    parts_of,
    quality_limit_db,
)
from npuexplore.report.words import (
    MAIN_SET,
    Record,
    achieved_loss_db,
    asked_skip_rate,
    fits_all,
    least_skip_rate,
    loss_db,
    loss_words,
    plan_words,
    single_structure,
)

LIMIT_WORDS: dict[str, tuple[str, str, Callable[[float], str]]] = {
    "flash": ("flash", "flash_bytes", kilobytes),
    "sram": ("SRAM", "sram_bytes", kilobytes),
    "deadline": ("the deadline", "latency_ms", milliseconds),
}
"""Key in `fits` -> words, quantity and form of that limit."""

KNEE = "knee"
"""The pick of the best balance."""
MIXED = "mixed"
SKIP_SLACK_FRAC = 0.02
"""By how much a retrained pick may skip less than its plan says before that is told."""


@dataclass(frozen=True)
class StructureRow:
    """What one structure reaches: its fastest pick that fits and keeps the quality."""

    structure: str
    """`weight`, `block`, `unit`, or `mixed` for plans of several structures."""
    pick: Record | None
    keeps_quality: bool


def recommended_pick(results: Record) -> Record | None:
    """The best of all picks; None when none fits."""
    return best_of(results["picks"], results)


def best_of(picks: Sequence[Record], results: Record) -> Record | None:
    """The fastest pick that fits and keeps the loss limit; else the one that fits and loses least.

    Of a shortlist the first best balance that does, as the fastest pick only tells which part is fastest.
    None when no pick fits.
    """
    fitting = [pick for pick in picks if fits_all(pick)]
    good = [pick for pick in fitting if keeps_quality(pick, results)]
    balanced = [pick for pick in good if _is_balance(pick, results)]
    if balanced:
        return balanced[0]
    if good:
        return min(good, key=lambda pick: (_latency_ms(pick), str(pick["name"])))
    return min(fitting, key=lambda pick: (_loss_or_worst(pick), str(pick["name"])), default=None)


def _is_balance(pick: Record, results: Record) -> bool:
    """The knee of a shortlist or that of one of its parts in any round, or a rival that has beaten it."""
    stands_for = pick["name"].removesuffix(f"-r{pick.get('round', 1)}").partition("-rival-")[0]
    return is_shortlist(results) and stands_for in (KNEE, balance_of(pick["profile"]))


def keeps_quality(pick: Record, results: Record) -> bool:
    """The pick's loss is known and within the study's limit (any loss where there is none)."""
    loss, limit = loss_db(pick), quality_limit_db(results)
    return loss is not None and (limit is None or loss <= limit)


def in_limits(pick: Record, results: Record) -> bool:
    """The pick keeps flash, SRAM, deadline and quality."""
    return fits_all(pick) and keeps_quality(pick, results)


def structure_rows(results: Record) -> list[StructureRow]:
    """One row per sparse structure and one for mixed plans, best and fastest first; without a pick last.

    2:4 is searched only where a study asks for it, so that without a pick it has no row.
    A structure that only mixed picks have is shown by those of which it is the main one.
    """
    picks = results["picks"]
    mixed = [pick for pick in picks if not single_structure(pick["plan"])]
    rows = []
    for structure in ("weight", "block", "unit", "two_four"):
        main = [pick for pick in picks if pick["structure"] == structure]
        if not main and structure == "two_four":
            continue
        rows.append(_row(structure, [pick for pick in main if pick not in mixed] or main, results))
    row = _row(MIXED, mixed, results)
    if row.pick is not None and all(row.pick is not other.pick for other in rows):
        rows.append(row)
    return sorted(rows, key=_structure_order)


def _row(structure: str, picks: Sequence[Record], results: Record) -> StructureRow:
    fitting = [pick for pick in picks if fits_all(pick)] or picks
    good = [pick for pick in fitting if keeps_quality(pick, results)]
    return StructureRow(structure, min(good or fitting, key=_latency_ms, default=None), bool(good))


def _structure_order(row: StructureRow) -> tuple[bool, bool, bool, float]:
    if row.pick is None:
        return True, True, True, 0.0
    return False, not fits_all(row.pick), not row.keeps_quality, _latency_ms(row.pick)


def headline(results: Record) -> str:
    """The recommended pick in one sentence, or why there is none."""
    best, picks = recommended_pick(results), results["picks"]
    parts = listed([part.name for part in parts_of(results)])
    if not picks:
        return f"On {parts}, no plan was picked: nothing that was searched keeps the limits."
    if best is None:
        broken = _over(picks, part_of(picks[0], results))
        return f"On {parts}, none of the {len(picks)} retrained picks fits: {broken}."
    estimates, part = best["estimates"], part_of(best, results)
    return (
        f"On {part.name}, {plan_words(best['plan'])} {_role(best, results)}: "
        f"{frame_time(estimates)}{_allowed(part)}, "
        f"{kilobytes(estimates['flash_bytes'])} of flash, {_loss_sentence(best)}."
    )


def _role(best: Record, results: Record) -> str:
    if not keeps_quality(best, results):
        return "loses least, but more than allowed"
    return "is the best balance" if _is_balance(best, results) else "is the fastest pick"


def _allowed(part: Part) -> str:
    deadline = part.limits.get("latency_ms")
    return f" of the {milliseconds(deadline)} allowed" if deadline else ""


def _loss_sentence(pick: Record) -> str:
    achieved = achieved_loss_db(pick)
    if achieved is None:
        predicted = (pick.get("predicted") or {}).get("quality_loss_db")
        return f"{decibels(predicted)} of SI-SDR predicted to be lost (not retrained yet)"
    return loss_words(achieved)


def supporting_sentences(results: Record) -> list[str]:
    """What stands behind the headline: gain over dense, the other structures, what does not fit."""
    sentences = [_against_dense(results), *_other_structures(results), *_baseline_fits(results)]
    sentences += [_skipping(pick) for pick in results["picks"]]
    sentences += [str(sentence) for sentence in results.get("missing") or []]
    return [sentence for sentence in sentences if sentence]


def _against_dense(results: Record) -> str:
    best = recommended_pick(results)
    if best is None:
        return ""
    part = part_of(best, results)
    own, dense = best["estimates"], part.dense["estimates"]
    sentence = (
        f"Against the dense network{_there(part, results)} that is "
        f"{times(dense['latency_ms'] / own['latency_ms'])} faster and "
        f"{times(dense['weight_bytes'] / own['weight_bytes'])} smaller in weights"
    )
    before, after = _network_cycles(part.dense), _network_cycles(best)
    if before and after and before < dense["cycles"]:
        share = percent(1 - after / own["cycles"])
        sentence += (
            f"; its layers alone are {times(before / after)} faster, the front end takes {share} of the time"
        )
    return f"{sentence}."


def _network_cycles(record: Record) -> float:
    """Cycles of the network's own layers, the front end left out; 0 where layers are not listed."""
    return float(
        sum(layer["cycles"] for layer in record.get("layers") or [] if layer.get("kind") != "front_end")
    )


def _other_structures(results: Record) -> list[str]:
    best = recommended_pick(results)
    sentences: list[str] = []
    told = {best["name"]} if best else set()
    for row in structure_rows(results):
        if row.pick is None or best is None or row.pick["name"] in told:
            continue
        told.add(row.pick["name"])
        sentences.append(_other_structure(row.structure, row.pick, row.keeps_quality, results))
    return sentences


def _other_structure(structure: str, pick: Record, keeps_quality: bool, results: Record) -> str:
    part, estimates = part_of(pick, results), pick["estimates"]
    there = _there(part, results)
    if not fits_all(pick):
        return f"The best {structure} pick does not fit{there}: {_over([pick], part)}."
    note = "" if keeps_quality else " and misses the quality limit"
    return (
        f"The best {structure} pick ({plan_words(pick['plan'])}{there and f',{there}'}) takes "
        f"{milliseconds(estimates['latency_ms'])} and {kilobytes(estimates['flash_bytes'])}, "
        f"{_loss_sentence(pick)}{note}."
    )


def _skipping(pick: Record) -> str:
    """What skipped frames bring a pick on average, and whether it skips as many as that counts on."""
    asked, estimates = asked_skip_rate(pick), pick["estimates"]
    if asked == 0.0:
        return ""
    sentence = (
        f"Skipping {percent(asked)} of frames, pick {pick['name']} takes "
        f"{milliseconds(estimates.get('mean_latency_ms'))} on average and {frame_time(estimates)} at worst"
    )
    least = least_skip_rate(pick)
    if least is not None and least[1] < asked - SKIP_SLACK_FRAC:
        sentence += (
            f"; but retrained it skips only {percent(least[1])} on {least[0]}, so its mean time and "
            "energy are stated too low"
        )
    return f"{sentence}."


def _baseline_fits(results: Record) -> list[str]:
    """Whether the dense network fits, part by part."""
    known = [part for part in parts_of(results) if part.dense.get("fits")]
    fitting = [part.name for part in known if fits_all(part.dense)]
    on = f" on {listed(fitting)}" if fitting and is_shortlist(results) else ""
    sentences = [f"The dense network would fit{on} too; sparsity buys time, energy and room."]
    return sentences * bool(fitting) + [
        f"The dense network does not fit{_there(part, results)}: {_over([part.dense], part)}."
        for part in known
        if part.name not in fitting
    ]


def _there(part: Part, results: Record) -> str:
    """` on stm32f746` in a shortlist."""
    return on_part("", part, results)


def _over(records: Sequence[Record], part: Part) -> str:
    """Which limits are broken, with figures for a single network: `over flash (569 kB of 524 kB)`."""
    names = []
    for key, (words, quantity, form) in LIMIT_WORDS.items():
        over = [record for record in records if not (record.get("fits") or {}).get(key, True)]
        if over and len(records) == 1 and quantity in part.limits:
            names.append(f"{words} ({form(over[0]['estimates'][quantity])} of {form(part.limits[quantity])})")
        elif over:
            names.append(words)
    return f"over {' and '.join(names)}" if names else "no limit is known"


def _latency_ms(pick: Record) -> float:
    return float(pick["estimates"]["latency_ms"])


def _loss_or_worst(pick: Record) -> float:
    loss = loss_db(pick)
    return float("inf") if loss is None else loss


def improvement_db(quality: Record, measure: str, evaluation: str = MAIN_SET) -> float | None:
    """`si_sdr` or `sdr` improvement of a network on a set; None where it was not measured."""
    return (quality.get(evaluation) or {}).get(f"{measure}_improvement_db")
