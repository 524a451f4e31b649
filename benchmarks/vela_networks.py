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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tflite_file import Graph, packed

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
    graph = Graph()
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
    return packed(graph, inputs=[first], outputs=[flow])


def _add_dense(
    graph: Graph,
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


def _add_lstm(graph: Graph, layer: LstmLayer, inputs: int, flow: int, weights: Weights) -> int:
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


def _gate_tensors(graph: Graph, name: str, stacked: NDArray[np.int8], units: int, columns: int) -> list[int]:
    gates = np.ascontiguousarray(stacked.reshape(4, units, columns))
    return [
        graph.tensor(f"{name}{gate}", (units, columns), "INT8", scale=WEIGHT_SCALE, data=gates[gate])
        for gate in GATE_ORDER
    ]


def _bias(graph: Graph, name: str, rows: int) -> int:
    scale = ACTIVATION_SCALE * WEIGHT_SCALE
    return graph.tensor(f"{name}_b", (rows,), "INT32", scale=scale, data=np.zeros(rows, np.int32))


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
