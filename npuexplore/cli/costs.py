"""`npuexplore estimate`: one plan on one part, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npuexplore.cli.console import Json, print_json
from npuexplore.errors import UsageError

if TYPE_CHECKING:
    from npuexplore.compression.plan import CompressionPlan
    from npuexplore.workload.network import Network

ProfileName = Annotated[str, typer.Option("--profile", "-p", help="Shipped hardware profile or a path.")]
NetworkName = Annotated[str, typer.Option("--network", "-n", help="Shipped network or a path.")]


def estimate(
    profile: ProfileName,
    network: NetworkName,
    plan: Annotated[Path | None, typer.Option("--plan", help="YAML of a plan, layer by layer.")] = None,
    structure: Annotated[
        str | None, typer.Option(help="dense, weight, block, unit or two_four, for every layer.")
    ] = None,
    sparsity: Annotated[
        float | None, typer.Option(help="Zeros/total, or removed units; 0 to below 1.")
    ] = None,
    block: Annotated[str | None, typer.Option(help="Block as outputs x inputs: 1x16.")] = None,
    weight_bits: Annotated[int | None, typer.Option(help="2, 3, 4, 6, 8 or 16, as the part allows.")] = None,
    activation_bits: Annotated[int | None, typer.Option(help="8 or 16.")] = None,
    skip_rate: Annotated[
        float | None, typer.Option(help="Share of frames without a state update; 0 to below 1.")
    ] = None,
    memory_mode: Annotated[str | None, typer.Option(help="A memory mode of the profile.")] = None,
    sensitivities: Annotated[
        bool | None,
        typer.Option(
            help="What half and twice of every rate would change, or of none; by default of what binds a "
            "layer, and of all where that is quick.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Cycles, time, memory and energy of one compressed network on one part."""
    from npuexplore.cli.estimate_tables import show_estimate
    from npuexplore.cost.document import estimate_document
    from npuexplore.cost.estimate import estimate as estimate_costs
    from npuexplore.cost.sensitivity import Which, is_quick
    from npuexplore.hardware.load import load_profile
    from npuexplore.workload.load import load_network

    part, workload = load_profile(profile), load_network(network)
    flags = {
        "--structure": structure,
        "--sparsity": sparsity,
        "--block": block,
        "--weight-bits": weight_bits,
        "--activation-bits": activation_bits,
        "--skip-rate": skip_rate,
    }
    result = estimate_costs(part, workload, _choice(plan, flags, workload), memory_mode=memory_mode)
    by_default: Which = "all" if is_quick(part) else "binding"
    asked: dict[bool | None, Which] = {None: by_default, True: "all", False: "none"}
    document = estimate_document(result, 0, which=asked[sensitivities])
    show = print_json if as_json else show_estimate
    show(document)


def _choice(plan: Path | None, flags: dict[str, Any], network: Network) -> CompressionPlan:
    """The plan of a file, or the same choice for all layers."""
    from npuexplore.compression.given import load_plan

    given = [name for name, value in flags.items() if value is not None]
    if plan is not None and given:
        raise UsageError(f"--plan and {given[0]}: give a plan file or flags for all layers, not both")
    return load_plan(plan, network) if plan is not None else _uniform(flags, network)


def _uniform(flags: dict[str, Any], network: Network) -> CompressionPlan:
    """The same choice for all layers, from flags."""
    from npuexplore.compression.given import plan_of_flags

    return plan_of_flags(
        network,
        structure=flags["--structure"],
        sparsity_frac=flags["--sparsity"],
        block=flags["--block"],
        weight_bits=flags["--weight-bits"],
        activation_bits=flags["--activation-bits"],
        skip_rate_frac=flags["--skip-rate"],
    )
