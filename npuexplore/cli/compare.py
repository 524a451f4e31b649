"""`npuexplore compare-structures`: weight, block and unit on one part at equal zeros."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from npuexplore.cli.console import Json, note, print_json, print_table
from npuexplore.cli.costs import NetworkName, ProfileName

SHOWN_ZEROS = (0.25, 0.5, 0.75, 0.9, 0.95, 0.98)
NEAR_ENOUGH_FRAC = 0.02
"""A structure that comes no nearer to the zeros of a column has no figure there."""


def compare_structures(
    profile: ProfileName,
    network: NetworkName,
    memory_mode: Annotated[str | None, typer.Option(help="A memory mode of the profile.")] = None,
    weight_bits: Annotated[int, typer.Option(help="2, 3, 4, 6, 8 or 16, as the part allows.")] = 8,
    activation_bits: Annotated[int, typer.Option(help="8 or 16.")] = 8,
    what_if: Annotated[
        list[str] | None,
        typer.Option(help="Factors of the part's costs, as decode=0.5,index=2; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Cycles and bytes of weight, block and unit sparsity at equal zeros, and where each begins to pay."""
    from npuexplore.compression.given import refuse_bits
    from npuexplore.cost.break_even_document import comparison_document
    from npuexplore.cost.part import part_of
    from npuexplore.cost.what_if import default_what_ifs, read_what_if
    from npuexplore.hardware.load import load_profile
    from npuexplore.workload.load import load_network

    refuse_bits(weight_bits, activation_bits)
    asked = [read_what_if(text) for text in what_if or ()]
    part = part_of(load_profile(profile), load_network(network), memory_mode=memory_mode)
    document = comparison_document(
        part,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        what_ifs=asked or default_what_ifs(part.profile),
    )
    if as_json:
        print_json(document)
    else:
        _show(document)


def _show(document: dict[str, Any]) -> None:
    structures, layers = document["structures"], document["layers"]
    print_table(
        f"{document['network']} on {document['profile']}, {document['memory_mode']}\n"
        f"{document['weight_bits']}-bit weights, {document['activation_bits']}-bit activations",
        ["dense", "cycles", "ms", "weight bytes"],
        [_dense_row("all layers", document), *(_dense_row(layer["name"], layer) for layer in layers)],
    )
    columns = [f"{100 * zeros:.0f} %" for zeros in SHOWN_ZEROS]
    for title, key, shown in (
        ("times faster than dense, at a share of zeros", "cycles_zeros_frac", _speed_up),
        ("weight bytes in % of dense, at a share of zeros", "weight_bytes_zeros_frac", _size),
    ):
        rows = [
            [_label(each), _since(each["break_even"][key]), *(shown(each, zeros) for zeros in SHOWN_ZEROS)]
            for each in structures
        ]
        print_table(title, ["structure", "pays from", *columns], rows)
    labels = [_label(each) for each in structures]
    for title, key in (("faster", "cycles_zeros_frac"), ("smaller", "weight_bytes_zeros_frac")):
        rows = [[layer["name"], *_layer_cells(layer, labels, key)] for layer in layers]
        print_table(f"each layer alone: {title} from", ["layer", *labels], rows)
    if document["what_if"]:
        rows = [[_factors(each), *_faster_cells(each)] for each in [document, *document["what_if"]]]
        print_table("other costs: faster from; times faster at 90 %", ["cost", *labels], rows)
    for sentence in document["notes"]:
        note(f"Note: {sentence}")


def _dense_row(name: str, comparison: dict[str, Any]) -> list[str]:
    dense = comparison["dense"]
    return [name, f"{dense['cycles']:,}", f"{dense['latency_ms']:.4g}", f"{dense['weight_bytes']:,}"]


def _label(curve: dict[str, Any]) -> str:
    block = curve["block"]
    if block:
        return f"block {block[0]}x{block[1]}"
    return {"two_four": "2:4"}.get(curve["structure"], str(curve["structure"]))


def _since(zeros: float | None) -> str:
    return "never" if zeros is None else f"{100 * zeros:.1f} %"


def _point(curve: dict[str, Any], zeros: float) -> dict[str, Any] | None:
    point = min(curve["points"], key=lambda each: abs(each["zeros_frac"] - zeros))
    return point if abs(point["zeros_frac"] - zeros) <= NEAR_ENOUGH_FRAC else None


def _speed_up(curve: dict[str, Any], zeros: float) -> str:
    point = _point(curve, zeros)
    return "" if point is None else f"{point['speed_up']:.2f}"


def _size(curve: dict[str, Any], zeros: float) -> str:
    point = _point(curve, zeros)
    return "" if point is None else f"{100 * point['size_ratio']:.1f}"


def _layer_cells(layer: dict[str, Any], labels: list[str], key: str) -> list[str]:
    found = {_label(curve): _since(curve["break_even"][key]) for curve in layer["structures"]}
    return [found.get(label, "") for label in labels]


def _factors(comparison: dict[str, Any]) -> str:
    factors = comparison.get("cost_factors")
    return "as it is" if factors is None else ", ".join(f"{name} x {f:g}" for name, f in factors.items())


def _faster_cells(comparison: dict[str, Any]) -> list[str]:
    return [
        f"{_since(curve['break_even']['cycles_zeros_frac'])}; {_speed_up(curve, 0.9) or '-'}"
        for curve in comparison["structures"]
    ]
