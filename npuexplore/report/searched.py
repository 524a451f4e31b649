"""Who searched, how good the front is, and what chance would have found."""

from __future__ import annotations

from npuexplore.report import numbers
from npuexplore.report.html import Html, element
from npuexplore.report.tables import DASH, Table, table_html
from npuexplore.report.words import Record

ENGINES = {
    "optuna": "Optuna, in islands of one structure each and then among mixed plans",
    "exact": "the exact search, layer by layer",
    "evolve": "an evolution of plans",
    "auto": "the exact search of what is separable, an evolution from its elites, and Optuna from the best",
}
REFERENCES = {
    "enumerated": "the front of all designs, each looked at",
    "exact": "the exact front",
    "tolerance": "a front that no design is better than by more than {eps_frac} or {eps_db}",
    "best_known": "the best that this run knows of, as no exact front can be proved",
}
ROWS = ("this search", "random plans")


def who_searched(results: Record, objectives: str) -> str:
    """How many plans were searched by whom, and what is on the front. objectives : their names, joined"""
    engine = results["engine"]
    kept = sum(1 for point in results["front"] if point["feasible"])
    rest = f"no other plan is better in every objective ({objectives})."
    if engine.get("name", "optuna") != "optuna":
        looked = numbers.count((results.get("search") or {}).get("evaluations"))
        return (
            f"{looked} plans were looked at by the engine {engine['name']}, {kept} of those are on the "
            f"front: {rest}"
        )
    return (
        f"{numbers.count(engine.get('trials'))} plans were searched with {engine.get('name', 'the engine')} "
        f"({engine.get('sampler', 'default')}), "
        f"{numbers.count(engine.get('feasible_trials'))} kept every limit, {kept} of those are on the front: "
        f"{rest}"
    )


def search(results: Record) -> Html | str:
    """How good the search's front is; nothing where that was not measured."""
    found = results.get("search") or {}
    if "proof" not in found:
        return ""
    sentences = [_who(found), _how_good(found["proof"]), _optuna(found)]
    return element(
        "section",
        element("h2", "How good the search was"),
        element("p", " ".join(filter(None, sentences))),
        table_html(search_table(found)),
        id="search",
    )


def search_table(found: Record) -> Table:
    """The search beside as many random plans."""
    proof = found["proof"]
    measured = ({**proof, "evaluations": found["evaluations"]}, proof["random"])
    rows = tuple(
        (
            name,
            numbers.count(each["evaluations"]),
            _share(each["hypervolume_frac"]),
            _share(each["coverage_frac"]),
        )
        for name, each in zip(ROWS, measured, strict=True)
    )
    near = f"found within {numbers.percent(proof['coverage_eps_frac'])} and {proof['coverage_eps_db']:g} dB"
    return Table(
        "Found of the front that it is measured by",
        ("", "plans looked at", "hypervolume", f"points {near}"),
        rows,
        frozenset({1, 2, 3}),
    )


def _who(found: Record) -> str:
    return f"The search was done by {ENGINES.get(found['engine'], found['engine'])}."


def _how_good(proof: Record) -> str:
    reference = REFERENCES.get(proof["reference"], REFERENCES["best_known"]).format(
        eps_frac=numbers.percent(proof["reference_eps_frac"]), eps_db=f"{proof['reference_eps_db']} dB"
    )
    least = proof["hypervolume_frac_at_least"]
    proved = ""
    if proof["reference"] == "tolerance" and least is not None:
        proved = f", and at least {_share(least)} of what any search could find"
    return (
        f"It is measured by {reference}: {numbers.count(proof['reference_points'])} points. Of the "
        f"hypervolume that those dominate (logarithms of time, bytes and energy, decibels of loss) it found "
        f"{_share(proof['hypervolume_frac'])}{proved}."
    )


def _optuna(found: Record) -> str:
    share = found.get("optuna")
    if share is None:
        return ""
    return (
        f"Optuna's {numbers.count(share['trials'])} trials added {numbers.count(share['front_points'])} "
        f"points to the front, from {_share(share['hypervolume_frac_before'])} to "
        f"{_share(share['hypervolume_frac_after'])} of the hypervolume."
    )


def _share(frac: float | None) -> str:
    """A share with a decimal: close to all, that is what differs.

    >>> _share(0.98776), _share(None)
    ('98.8 %', '–')
    """
    return DASH if frac is None else f"{100 * frac:.1f} %"
