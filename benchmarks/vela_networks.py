"""What does Vela, Arm's compiler, estimate for a network? Writes TFLite and runs Vela in this process.

python benchmarks/vela_networks.py --network tinylstm --accelerator ethos-u55-128 --json
Needs the `bench` extra (ethos-u-vela, flatbuffers). Activations are int8, weights symmetric int8, batch 1.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.errors import EnvironmentLacking, NpuexploreError, UsageError
from npuexplore.workload.load import load_network
from npuexplore.workload.network import DenseLayer, LstmLayer, Network, input_features

Weights = Mapping[str, NDArray[np.int8]]
"""By `LAYER.w` (dense), `LAYER.w_ih` and `LAYER.w_hh`, rows in gate order ifgo."""

ACTIVATION_SCALE = 0.05
WEIGHT_SCALE = 0.01
CELL_SCALE = 2.0**-11
GATE_ORDER = (0, 1, 2, 3)
"""TFLite wants input, forget, cell, output: our ifgo."""

SYSTEMS = {"u55": "Ethos_U55_High_End_Embedded", "u65": "Ethos_U65_High_End", "u85": "Ethos_U85_SYS_DRAM_Mid"}
LATER_TFLITE_CODE = 127
"""Operator codes above this one do not fit the old one-byte field."""


@dataclass
class _Graph:
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


def vela() -> Any:
    """The modules of ethos-u-vela; raises EnvironmentLacking where the extra is missing."""
    names = ("ethosu.regor", "ethosu.vela.vela", "ethosu.vela.architecture_features", "flatbuffers")
    try:
        return {name: importlib.import_module(name) for name in names}
    except ImportError as missing:
        raise EnvironmentLacking(
            f"ethos-u-vela: got no module {missing.name}; comparing with Vela needs it; install "
            "npuexplore[bench]"
        ) from missing


def tflite_bytes(network: Network, weights: Weights, *, activations: bool = True) -> bytes:
    """The network as an int8 TFLite file for one frame; GRU is refused, TFLite has none.

    weights : see `Weights` ; activations : False writes dense layers without their activation function
    """
    vela()
    graph = _Graph()
    recurrent = any(isinstance(layer, LstmLayer) for layer in network.layers)
    shape = (1, 1, network.bands) if recurrent else (1, network.bands)
    flow = first = graph.tensor("input", shape, "INT8", scale=ACTIVATION_SCALE)
    sequences = [isinstance(layer, LstmLayer) for layer in network.layers]
    for index, (layer, inputs) in enumerate(zip(network.layers, input_features(network), strict=True)):
        if isinstance(layer, LstmLayer):
            flow = _add_lstm(graph, layer, inputs, flow, weights)
        elif isinstance(layer, DenseLayer):
            shape = (1, 1, layer.output_features) if any(sequences[index:]) else (1, layer.output_features)
            flow = _add_dense(graph, layer, flow, weights, shape=shape, activations=activations)
        else:
            raise UsageError(
                f"network {network.name}: layer {layer.name}: got kind {layer.kind}; TFLite and Vela know "
                "dense and lstm; leave this layer out of the comparison"
            )
    return _pack(graph, inputs=[first], outputs=[flow])


def _add_dense(
    graph: _Graph,
    layer: DenseLayer,
    flow: int,
    weights: Weights,
    *,
    shape: tuple[int, ...],
    activations: bool,
) -> int:
    rows = layer.output_features
    matrix = graph.tensor(
        f"{layer.name}_w",
        weights[f"{layer.name}.w"].shape,
        "INT8",
        scale=WEIGHT_SCALE,
        data=weights[f"{layer.name}.w"],
    )
    bias = _bias(graph, layer.name, rows)
    kind = layer.activation if activations else "none"
    out = graph.tensor(layer.name, shape, "INT8", scale=ACTIVATION_SCALE)
    fused = "RELU" if kind == "relu" else "NONE"
    graph.operators.append(
        {
            "code": "FULLY_CONNECTED",
            "inputs": [flow, matrix, bias],
            "outputs": [out],
            "fused": fused,
            "keep": len(shape) > 2,
        }
    )
    if kind not in ("sigmoid", "tanh"):
        return out
    scale = 1 / 256 if kind == "sigmoid" else 1 / 128
    after = graph.tensor(f"{layer.name}_{kind}", shape, "INT8", scale=scale)
    code = {"sigmoid": "LOGISTIC", "tanh": "TANH"}[kind]
    graph.operators.append({"code": code, "inputs": [out], "outputs": [after]})
    return after


def _add_lstm(graph: _Graph, layer: LstmLayer, inputs: int, flow: int, weights: Weights) -> int:
    units = layer.hidden_units
    into = _gate_tensors(graph, f"{layer.name}_x", weights[f"{layer.name}.w_ih"], units, inputs)
    recurrent = _gate_tensors(graph, f"{layer.name}_h", weights[f"{layer.name}.w_hh"], units, units)
    biases = [_bias(graph, f"{layer.name}_{gate}", units) for gate in "ifgo"]
    state = graph.tensor(f"{layer.name}_hstate", (1, units), "INT8", scale=ACTIVATION_SCALE, variable=True)
    cell = graph.tensor(f"{layer.name}_cstate", (1, units), "INT16", scale=CELL_SCALE, variable=True)
    out = graph.tensor(layer.name, (1, 1, units), "INT8", scale=ACTIVATION_SCALE)
    inner = [graph.tensor(f"{layer.name}_s{k}", (1, units), "INT16", scale=2.0**-12) for k in range(4)]
    inner.append(graph.tensor(f"{layer.name}_s4", (1, units), "INT8", scale=ACTIVATION_SCALE))
    none = [-1] * 3
    slots = [flow, *into, *recurrent, *none, *biases, -1, -1, state, cell, *none, -1]
    graph.operators.append(
        {"code": "UNIDIRECTIONAL_SEQUENCE_LSTM", "inputs": slots, "outputs": [out], "inner": inner}
    )
    return out


def _gate_tensors(graph: _Graph, name: str, stacked: NDArray[np.int8], units: int, columns: int) -> list[int]:
    gates = np.ascontiguousarray(stacked.reshape(4, units, columns))
    return [
        graph.tensor(f"{name}{gate}", (units, columns), "INT8", scale=WEIGHT_SCALE, data=gates[gate])
        for gate in GATE_ORDER
    ]


def _bias(graph: _Graph, name: str, rows: int) -> int:
    scale = ACTIVATION_SCALE * WEIGHT_SCALE
    return graph.tensor(f"{name}_b", (rows,), "INT32", scale=scale, data=np.zeros(rows, np.int32))


def _pack(graph: _Graph, *, inputs: list[int], outputs: list[int]) -> bytes:
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


def vela_estimate(
    tflite: bytes, accelerator: str, system_config: str, memory_mode: str, *, operators: bool = True
) -> dict[str, Any]:
    """Vela's figures for a network: totals under the reference files' names, `operators` row by row.

    accelerator : such as ethos-u55-128 ; operators : False leaves out the row-by-row tables
    """
    modules = vela()
    setting, options = _settings(modules, accelerator, system_config, memory_mode, operators=operators)
    family = "".join(part.capitalize() for part in accelerator.split("-")[:-1])
    compiled = modules["ethosu.regor"].compile(
        family, tflite, "TFLITE", setting, options=options, verbose=False
    )
    report = compiled.perf_report
    found: dict[str, Any] = {
        "tot_npu_cycles": report.npuCycles,
        "tot_cycles": report.totalCycles,
        "tot_macs": report.macCount,
        "npu_ops": report.npuOps,
        "cpu_ops": report.cpuOps,
        "orig_weight_bytes": report.originalWeights,
        "enc_weight_bytes": report.encodedWeights,
    }
    for name, memory in report.memories.items():
        found[f"{str(name).lower()}_used_bytes"] = memory.peakUsage
        found[f"{str(name).lower()}_tot_access_cycles"] = memory.totalAccessCycles
    if operators:
        found["operators"] = list(_rows(compiled.opt_database.tables))
    return found


def _settings(
    modules: Mapping[str, Any], accelerator: str, system_config: str, memory_mode: str, *, operators: bool
) -> tuple[str, str]:
    """Texts of Vela's own configuration: the architecture and the compiler's options."""
    features = modules["ethosu.vela.architecture_features"]
    ini = Path(modules["ethosu.regor"].__file__).parent / "config_files" / "Arm" / "vela.ini"
    with contextlib.redirect_stdout(io.StringIO()):
        arch = features.ArchitectureFeatures(
            vela_config_files=[str(ini)],
            system_config=system_config,
            memory_mode=memory_mode,
            accelerator_config=accelerator,
            max_blockdep=3,
            verbose_config=False,
            arena_cache_size=None,
        )
    setting = f"[architecture]\nmacs={arch.num_macs_per_cycle}\ncores={arch.ncores}\n"
    setting += f"[vela]\nsystem_config_name={system_config}\nmemory_mode_name={memory_mode}\n"
    options = "\n[compiler]\n" + ("enable_db=true\n" if operators else "")
    options += "output_format=TFLite\ncop_format=COP1\n\n[scheduler]\noptimize=Performance\n"
    options += f"arena_size_limit={arch.arena_cache_size}\ndisable_feature=\ncpu_tensor_alignment=16\n"
    options += "tensor_allocator=HillClimb\n\n[graph]\n"
    return setting + ini.read_text(encoding="utf-8"), options


def _rows(tables: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Every operator with the columns of all of Vela's performance tables."""
    merged: dict[str, dict[str, str]] = {}
    for name in ("perf", "perf_debug", "perf_debug_main"):
        if name not in tables:
            continue
        header = list(tables[name].header)
        for row in tables[name].data:
            record = dict(zip(header, row, strict=True))
            merged.setdefault(record["id"], {}).update(record)
    yield from merged.values()


def random_weights(network: Network, *, seed: int) -> dict[str, NDArray[np.int8]]:
    """Dense Gaussian int8 weights of every matrix."""
    rng = np.random.default_rng([seed])
    found: dict[str, NDArray[np.int8]] = {}
    for layer, inputs in zip(network.layers, input_features(network), strict=True):
        if isinstance(layer, DenseLayer):
            shapes = {"w": (layer.output_features, inputs)}
        else:
            shapes = {"w_ih": (4 * layer.hidden_units, inputs), "w_hh": (4 * layer.hidden_units,) * 2}
            shapes["w_hh"] = (4 * layer.hidden_units, layer.hidden_units)
        for matrix, shape in shapes.items():
            values = np.rint(rng.standard_normal(shape) * (127 / 4))
            found[f"{layer.name}.{matrix}"] = np.clip(values, -127, 127).astype(np.int8)
    return found


def estimates_per_s(tflite: bytes, accelerator: str, *, seconds: float = 2.0) -> float:
    """Compilations with an estimate per second of one core, in this process, without row tables."""
    system, mode = SYSTEMS[accelerator.split("-")[1]], "Sram_Only"
    vela_estimate(tflite, accelerator, system, mode, operators=False)
    start, count = time.process_time(), 0
    while time.process_time() - start < seconds:
        vela_estimate(tflite, accelerator, system, mode, operators=False)
        count += 1
    return count / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="tinylstm", help="shipped name or path (default: tinylstm)")
    parser.add_argument("--accelerator", default="ethos-u55-128")
    parser.add_argument("--system-config", help="(default: the family's larger system)")
    parser.add_argument("--memory-mode", default="Sram_Only")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    try:
        network = load_network(chosen.network)
        tflite = tflite_bytes(network, random_weights(network, seed=0))
        system = chosen.system_config or SYSTEMS[chosen.accelerator.split("-")[1]]
        found = vela_estimate(tflite, chosen.accelerator, system, chosen.memory_mode)
    except NpuexploreError as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(problem.exit_code) from None
    if chosen.json:
        print(json.dumps(found))
        return
    for key, value in found.items():
        if key != "operators":
            print(f"{key:32} {value}")
    for row in found["operators"]:
        print(f"{row['operator']:24} {row['op_cycles']:>10} {row['npu_cycles']:>10}  {row['name']}")


if __name__ == "__main__":
    main()
