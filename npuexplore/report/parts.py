"""The parts of a study, each seen alone: those of a shortlist, or the only one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from npuexplore.report.words import Record

MOST_NAMED = 3
"""Parts that a title names."""


@dataclass(frozen=True)
class Part:
    """A part, the limits on it and the dense network on it."""

    name: str
    """The profile's own name; a study may name it by a path, which does not belong on the page."""
    sources: Sequence[Record]
    """Where its figures come from."""
    limits: Mapping[str, float]
    """Upper limits by quantity; the deadline also follows from the baseline's real-time factor."""
    dense: Record
    """`estimates`, `fits` and `layers` of the dense baseline."""


def parts_of(results: Record) -> tuple[Part, ...]:
    """The parts in the study's order; one where the study has one."""
    if "profiles" not in results:
        return (_part(results.get("profile") or {}, results.get("limits"), results["baseline"]),)
    limits, dense = results.get("limits") or {}, results["baseline"]["parts"]
    return tuple(
        _part(profile, limits.get(profile["name"]), dense[profile["name"]]) for profile in results["profiles"]
    )


def _part(profile: Record, limits: Record | None, dense: Record) -> Part:
    name = str(profile.get("name", "this part"))
    return Part(name, profile.get("sources") or [], _with_deadline(limits or {}, dense["estimates"]), dense)


def _with_deadline(limits: Record, totals: Record) -> dict[str, float]:
    found = {name: float(value) for name, value in limits.items()}
    if "latency_ms" not in found and totals.get("real_time_factor"):
        found["latency_ms"] = totals["latency_ms"] / totals["real_time_factor"]
    return found


def part_of(record: Record, results: Record) -> Part:
    """The part that a pick or a point of the front is for. Raises KeyError for one that the study has not."""
    first, *others = parts_of(results)
    return {part.name: part for part in (first, *others)}[record["profile"]] if others else first


def own_of(part: Part, records: Sequence[Record], results: Record) -> list[Record]:
    """Those of the picks, or of the points of the front, that are for one part."""
    alone = not is_shortlist(results)
    return [record for record in records if alone or record["profile"] == part.name]


def points_of(results: Record) -> list[Record]:
    """The points of the front, then those of a shortlist that only other parts beat."""
    return [*results["front"], *results.get("beaten", ())]


def networks_on(part: Part, results: Record) -> list[tuple[str, Record]]:
    """The dense baseline and the picks on one part, by name."""
    picks = own_of(part, results["picks"], results)
    return [("dense baseline", part.dense), *((pick["name"], pick) for pick in picks)]


def is_shortlist(results: Record) -> bool:
    """The study has several parts, from which every plan has its own."""
    return len(parts_of(results)) > 1


def on_part(name: str, part: Part, results: Record, *, joint: str = " on ") -> str:
    """A network's name, with its part where the study has several and the name does not say it.

    `knee` is `knee on stm32f746`; `on-stm32f746` stays as it is.
    """
    return (
        f"{name}{joint}{part.name}"
        if is_shortlist(results) and not name.startswith(balance_of(part.name))
        else name
    )


def balance_of(part: str) -> str:
    """The name of the pick that is the best balance of one part of a shortlist."""
    return f"on-{part}"


def listed(names: Sequence[str], *, joint: str = "and") -> str:
    """Names in a sentence.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    *first, last = names
    return f"{', '.join(first)} {joint} {last}" if first else last


def parts_words(results: Record) -> str:
    """The parts in a title: their names, or how many there are."""
    names = [part.name for part in parts_of(results)]
    return listed(names) if len(names) <= MOST_NAMED else f"{len(names)} parts"


def quality_limit_db(results: Record) -> float | None:
    """The loss that the study allows, on whatever part."""
    return parts_of(results)[0].limits.get("quality_loss_db")


def layer_weights(results: Record) -> dict[str, float]:
    """Weights of each layer of the dense baseline, by name (MACs where nothing else is stated)."""
    layers = parts_of(results)[0].dense.get("layers", [])
    return {layer["name"]: float(layer.get("macs") or 1.0) for layer in layers}
