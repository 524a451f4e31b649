"""`npuexplore profile ...`: hardware profiles, shipped and the user's own."""

from __future__ import annotations

from typing import Annotated

import typer

from npuexplore.cli.console import Json, print_json, print_table
from npuexplore.errors import LimitsNotMet

app = typer.Typer(no_args_is_help=True, help="List, show and check hardware profiles.")

Profile = Annotated[str, typer.Argument(metavar="PROFILE", help="Shipped profile or a path.")]


@app.command("list")
def list_all(as_json: Json = False) -> None:
    """The profiles that come with npuexplore."""
    from npuexplore.hardware.load import list_profiles, load_profile

    profiles = [load_profile(name) for name in list_profiles()]
    if as_json:
        rows = [
            {"name": p.name, "family": p.engine.family, "clock_hz": p.clock_hz, "description": p.description}
            for p in profiles
        ]
        print_json({"schema": "npuexplore.profiles/1", "profiles": rows})
        return
    print_table(
        "hardware profiles",
        ["name", "family", "clock MHz", "description"],
        [[p.name, p.engine.family, f"{p.clock_hz / 1e6:g}", p.description] for p in profiles],
    )


@app.command("show")
def show(profile: Profile, as_json: Json = False) -> None:
    """Every figure of a profile with its source."""
    from npuexplore.hardware.lint import profile_document
    from npuexplore.hardware.load import load_profile

    document = profile_document(load_profile(profile))
    if as_json:
        print_json(document)
        return
    rows = [[figure["key"], f"{figure['value']:,}", figure["source"]] for figure in document["figures"]]
    print_table(f"{document['name']}: {document['description']}", ["figure", "value", "source"], rows)


@app.command("check")
def check(profile: Profile, as_json: Json = False) -> None:
    """Whether a profile is sound physics as well as sound YAML; exit 1 where it is not."""
    from npuexplore.hardware.lint import check_profile
    from npuexplore.hardware.load import load_profile

    findings = check_profile(load_profile(profile))
    if as_json:
        print_json({"schema": "npuexplore.profile-check/1", "profile": profile, "findings": findings})
    elif not findings:
        print_table(profile, ["check", "result"], [["physics", "ok"]])
    if findings:
        raise LimitsNotMet(f"{profile}: " + "; ".join(findings))
