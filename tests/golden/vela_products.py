"""Asks Vela for products that the reference data lacks: odd sizes, 16-bit inputs, 1x1 convolutions.

python tests/golden/vela_products.py rewrites vela/products.csv; needs the `bench` extra (ethos-u-vela).
"""

from __future__ import annotations

import csv
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "benchmarks"))
networks = importlib.import_module("vela_networks")
tflite_file = importlib.import_module("tflite_file")

SYSTEMS = {
    "u55": ("Ethos_U55_High_End_Embedded", "Shared_Sram"),
    "u65": ("Ethos_U65_Mid_End", "Sram_Only"),
    "u85": ("Ethos_U85_SYS_Flash_Low", "Shared_Sram"),
}
PARTS = (
    "ethos-u55-32", "ethos-u55-64", "ethos-u55-128", "ethos-u55-256", "ethos-u65-256", "ethos-u65-512",
    "ethos-u85-128", "ethos-u85-256", "ethos-u85-512", "ethos-u85-1024", "ethos-u85-2048",
)  # fmt: skip
CASES = (
    (1, 1, 1, 8), (13, 7, 1, 8), (63, 129, 1, 8), (640, 33, 1, 8), (1000, 257, 1, 8), (8, 1025, 1, 8),
    (5, 20, 1, 16), (64, 100, 1, 16), (257, 40, 1, 16), (1, 640, 1, 16),
    (32, 40, 2, 8), (64, 96, 17, 8), (8, 16, 100, 8), (48, 128, 65, 8), (40, 24, 10, 16),
)  # fmt: skip
"""(inputs, outputs, positions, bits of an input)."""
QUANTITIES = ("npu_cycles", "mac_cycles", "ao_cycles", "cmd_cycles")
COLUMNS = (
    *("accelerator", "system_config", "memory_mode", "inputs", "outputs", "positions", "input_bits"),
    *("weight_bytes", "weight_format", "staged", "ofm_block", "ifm_block_depth"),
)


def product_bytes(inputs: int, outputs: int, positions: int, bits: int) -> bytes:
    """One product as a TFLite file: fully connected, or a convolution over positions along the width."""
    graph, kind = tflite_file.Graph(), f"INT{bits}"
    levels = np.random.default_rng(0).standard_normal((outputs, inputs)) * 31.75
    data = np.clip(np.rint(levels), -127, 127).astype(np.int8)
    single = positions == 1
    shapes = [(1, n) if single else (1, 1, positions, n) for n in (inputs, outputs)]
    weights = (outputs, inputs) if single else (outputs, 1, 1, inputs)
    first = graph.tensor("in", shapes[0], kind, scale=0.05)
    matrix = graph.tensor("w", weights, "INT8", scale=0.01, data=data.reshape(weights))
    wide = bits == 16
    zeros = np.zeros(outputs, np.int64 if wide else np.int32)
    bias = graph.tensor("b", (outputs,), "INT64" if wide else "INT32", scale=0.0005, data=zeros)
    last = graph.tensor("out", shapes[1], kind, scale=0.05)
    code = "FULLY_CONNECTED" if single else "CONV_2D"
    graph.operators.append(
        {"code": code, "inputs": [first, matrix, bias], "outputs": [last], "fused": "NONE", "keep": False}
    )
    return bytes(tflite_file.packed(graph, inputs=[first], outputs=[last]))


def convolution(builder: Any, schema: Any, op: Any, index: int) -> Any:
    """A convolution's table; everything else is the benchmark's."""
    if op["code"] != "CONV_2D":
        return plain_operator(builder, schema, op, index)
    options = importlib.import_module("ethosu.vela.tflite.Conv2DOptions")
    padding = importlib.import_module("ethosu.vela.tflite.Padding").Padding
    functions = schema["ActivationFunctionType"].ActivationFunctionType
    steps = dict.fromkeys(("StrideW", "StrideH", "DilationWFactor", "DilationHFactor"), 1)
    given = {"Padding": padding.VALID, "FusedActivationFunction": functions.NONE, **steps}
    fields = {
        "OpcodeIndex": index,
        "BuiltinOptionsType": schema["BuiltinOptions"].BuiltinOptions.Conv2DOptions,
        "BuiltinOptions": tflite_file._table(builder, options, "Conv2DOptions", given),
        "Inputs": tflite_file._ints(builder, op["inputs"]),
        "Outputs": tflite_file._ints(builder, op["outputs"]),
    }
    return tflite_file._table(builder, schema["Operator"], "Operator", fields)


plain_operator = tflite_file._operator


def rows() -> Iterator[list[object]]:
    """One row per part and case."""
    tflite_file._operator = convolution
    for part in PARTS:
        system, mode = SYSTEMS[part.split("-")[1]]
        for case in CASES:
            found = networks.vela_estimate(product_bytes(*case), part, system, mode)["operators"][0]
            block = "x".join(found[f"ofm_block_{axis}"] for axis in "hwc")
            given = [part, system, mode, *case, found["weight_total_bytes"], found["weight_format"]]
            yield [
                *given,
                int(bool(found["weight_buffering"])),
                block,
                found["ifm_block_c"],
                *(found[name] for name in QUANTITIES),
                "Vela 5.2.0 (ethos-u-vela, core C++)",
            ]


def main() -> None:
    with (HERE / "vela" / "products.csv").open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*COLUMNS, *QUANTITIES, "source"])
        writer.writerows(rows())


if __name__ == "__main__":
    main()
