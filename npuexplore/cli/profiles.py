"""`npuexplore profile ...`: hardware profiles, shipped and the user's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from npuexplore.cli.console import Json, note, print_json, print_table
from npuexplore.cli.new_profile import new
from npuexplore.errors import LimitsNotMet, UsageError

app = typer.Typer(no_args_is_help=True, help="List, show, check and start hardware profiles.")
app.command("new")(new)

Profile = Annotated[str, typer.Argument(metavar="PROFILE", help="Name of a profile, or a path.")]
SHOWN_FINDINGS = 3


@app.command("list")
def list_all(as_json: Json = False) -> None:
    """The profiles that come with npuexplore and your own, with where they lie."""
    from npuexplore.hardware.catalogue import missing_folders
    from npuexplore.hardware.listing import listed

    for folder in missing_folders():
        note(f"NPUEXPLORE_PROFILES names {folder}: no such folder; correct or remove it")
    found = listed()
    if as_json:
        print_json({"schema": "npuexplore.profiles/1", "profiles": [entry.document() for entry in found]})
        return
    print_table(
        "hardware profiles",
        ["name", "family", "clock MHz", "from", "description"],
        [list(entry.row()) for entry in found],
    )
    for entry in found:
        for remark in entry.remarks():
            note(remark)


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
    from npuexplore.hardware.lint import check_located
    from npuexplore.hardware.load import load_located

    findings = check_located(load_located(profile))
    if as_json:
        rows = [vars(finding) for finding in findings]
        print_json({"schema": "npuexplore.profile-check/1", "profile": profile, "findings": rows})
    elif findings:
        for finding in findings:
            typer.echo(finding)
    else:
        print_table(profile, ["check", "result"], [["physics", "ok"]])
    if findings:
        more = len(findings) - SHOWN_FINDINGS
        told = "; ".join(str(finding) for finding in findings[:SHOWN_FINDINGS])
        raise LimitsNotMet(
            f"{profile}: {told}{f' and {more} more' if more > 0 else ''}; correct these, or their sources"
        )


@app.command("schema")
def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write instead.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """The JSON Schema of profiles, with which editors complete and check them while you type."""
    from npuexplore.documents.atomic import write_json
    from npuexplore.hardware.schema import modeline, profile_schema

    document = profile_schema()
    if output is None:
        print_json(document)
        return
    if output.exists() and not force and not _is_schema(output, document):
        raise UsageError(f"{output}: exists already; name another file, or --force to replace it")
    write_json(output, document)
    note(f"Written: {output}\nFirst line of a profile beside it: {modeline(output.name)}")


def _is_schema(path: Path, document: dict[str, Any]) -> bool:
    """Whether a file holds a schema of ours, of whatever version."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("$id") == document["$id"]
