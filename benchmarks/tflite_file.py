"""Writes a TFLite file from plain lists of tensors and operators."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LATER_TFLITE_CODE = 127
"""Operator codes above this one do not fit the old one-byte field."""


@dataclass
class Graph:
    """Tensors, buffers and operators of one subgraph, as plain lists."""

    buffers: list[bytes] = field(default_factory=lambda: [b""])
    tensors: list[dict[str, Any]] = field(default_factory=list)
    operators: list[dict[str, Any]] = field(default_factory=list)

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: str,
        *,
        scale: float,
        data: NDArray[Any] | None = None,
        variable: bool = False,
    ) -> int:
        self.buffers.append(b"" if data is None else data.tobytes())
        self.tensors.append(
            {
                "name": name,
                "shape": tuple(shape),
                "kind": kind,
                "scale": scale,
                "buffer": len(self.buffers) - 1,
                "variable": variable,
            }
        )
        return len(self.tensors) - 1


def packed(graph: Graph, *, inputs: list[int], outputs: list[int]) -> bytes:
    """Flatbuffer bytes, children first."""
    names = (
        "Buffer",
        "BuiltinOperator",
        "BuiltinOptions",
        "ActivationFunctionType",
        "FullyConnectedOptions",
        "Model",
        "Operator",
        "OperatorCode",
        "QuantizationParameters",
        "SubGraph",
        "Tensor",
        "TensorType",
        "UnidirectionalSequenceLSTMOptions",
    )
    schema = {name: importlib.import_module(f"ethosu.vela.tflite.{name}") for name in names}
    builder = importlib.import_module("flatbuffers").Builder(1 << 16)
    buffers = [_buffer(builder, schema, data) for data in graph.buffers]
    tensors = [_tensor(builder, schema, spec) for spec in graph.tensors]
    codes = sorted({str(op["code"]) for op in graph.operators})
    code_tables = [_operator_code(builder, schema, code) for code in codes]
    operators = [_operator(builder, schema, op, codes.index(op["code"])) for op in graph.operators]
    name = builder.CreateString("main")
    parts = {
        "Tensors": _offsets(builder, tensors),
        "Inputs": _ints(builder, inputs),
        "Outputs": _ints(builder, outputs),
        "Operators": _offsets(builder, operators),
        "Name": name,
    }
    subgraph = _table(builder, schema["SubGraph"], "SubGraph", parts)
    model = {
        "Version": 3,
        "OperatorCodes": _offsets(builder, code_tables),
        "Subgraphs": _offsets(builder, [subgraph]),
        "Buffers": _offsets(builder, buffers),
    }
    builder.Finish(_table(builder, schema["Model"], "Model", model), b"TFL3")
    return bytes(builder.Output())


def _table(builder: Any, module: Any, name: str, fields: Mapping[str, Any]) -> Any:
    """A table of scalars and offsets made before."""
    getattr(module, f"{name}Start")(builder)
    for key, value in fields.items():
        getattr(module, f"{name}Add{key}")(builder, value)
    return getattr(module, f"{name}End")(builder)


def _offsets(builder: Any, items: Sequence[Any]) -> Any:
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        builder.PrependUOffsetTRelative(item)
    return builder.EndVector()


def _ints(builder: Any, values: Sequence[int]) -> Any:
    return builder.CreateNumpyVector(np.asarray(values, np.int32))


def _buffer(builder: Any, schema: Mapping[str, Any], data: bytes) -> Any:
    if not data:
        return _table(builder, schema["Buffer"], "Buffer", {})
    builder.StartVector(1, len(data), 16)
    builder.head -= len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    builder.vectorNumElems = len(data)
    return _table(builder, schema["Buffer"], "Buffer", {"Data": builder.EndVector()})


def _tensor(builder: Any, schema: Mapping[str, Any], spec: Mapping[str, Any]) -> Any:
    scale = builder.CreateNumpyVector(np.asarray([spec["scale"]], np.float32))
    zero = builder.CreateNumpyVector(np.asarray([0], np.int64))
    grid = _table(
        builder,
        schema["QuantizationParameters"],
        "QuantizationParameters",
        {"Scale": scale, "ZeroPoint": zero},
    )
    fields = {
        "Shape": _ints(builder, spec["shape"]),
        "Type": getattr(schema["TensorType"].TensorType, spec["kind"]),
        "Buffer": spec["buffer"],
        "Name": builder.CreateString(spec["name"]),
        "Quantization": grid,
        "IsVariable": spec["variable"],
    }
    return _table(builder, schema["Tensor"], "Tensor", fields)


def _operator_code(builder: Any, schema: Mapping[str, Any], code: str) -> Any:
    number = getattr(schema["BuiltinOperator"].BuiltinOperator, code)
    fields = {"DeprecatedBuiltinCode": min(number, LATER_TFLITE_CODE), "BuiltinCode": number, "Version": 1}
    return _table(builder, schema["OperatorCode"], "OperatorCode", fields)


def _operator(builder: Any, schema: Mapping[str, Any], op: Mapping[str, Any], index: int) -> Any:
    fields: dict[str, Any] = {"OpcodeIndex": index}
    kinds = schema["BuiltinOptions"].BuiltinOptions
    functions = schema["ActivationFunctionType"].ActivationFunctionType
    if op["code"] == "FULLY_CONNECTED":
        options = {"FusedActivationFunction": getattr(functions, op["fused"]), "KeepNumDims": op["keep"]}
        fields["BuiltinOptionsType"] = kinds.FullyConnectedOptions
        table = schema["FullyConnectedOptions"]
        fields["BuiltinOptions"] = _table(builder, table, "FullyConnectedOptions", options)
    elif op["code"] == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        options = {"FusedActivationFunction": functions.TANH, "CellClip": 0.0, "ProjClip": 0.0}
        fields["BuiltinOptionsType"] = kinds.UnidirectionalSequenceLSTMOptions
        table = schema["UnidirectionalSequenceLSTMOptions"]
        fields["BuiltinOptions"] = _table(builder, table, "UnidirectionalSequenceLSTMOptions", options)
        fields["Intermediates"] = _ints(builder, op["inner"])
    vectors = {"Inputs": _ints(builder, op["inputs"]), "Outputs": _ints(builder, op["outputs"])}
    return _table(builder, schema["Operator"], "Operator", {**fields, **vectors})
