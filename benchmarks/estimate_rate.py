"""How many plans are costed in a second on one core: by estimate(), by the search's tables, and by Vela?

python benchmarks/estimate_rate.py --json
Vela comes with the `bench` extra (ethos-u-vela); --no-peers leaves it out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits
from vela_networks import estimates_per_s, random_weights, tflite_bytes, vela

from npuexplore.compression.plan import STRUCTURES, LayerPlan, PlanBatch
from npuexplore.cost.choices import ChoiceTables, choice_tables, totals_of_choices
from npuexplore.cost.estimate import block_shapes, estimate
from npuexplore.errors import NpuexploreError
from npuexplore.hardware.load import load_profile
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.load import load_network
from npuexplore.workload.network import Network

PROFILES = ("ethos-u55-128", "ethos-u85-256", "micronpu-block16", "stm32f746")
VELA_PART = "ethos-u55-128"
SPARSITIES = tuple(step / 20 for step in range(1, 20))


def layer_choices(network: Network, blocks: list[tuple[int, int]]) -> list[list[LayerPlan]]:
    """Every structure, sparsity and bit-width of every layer; the mask layer keeps its outputs.

    blocks : what a search would offer on the part
    """
    ways = [{"structure": "dense"}]
    for sparsity in SPARSITIES:
        ways += [{"structure": name, "sparsity_frac": sparsity} for name in ("weight", "unit")]
        ways += [{"structure": "block", "sparsity_frac": sparsity, "block": block} for block in blocks]
    choices = [
        LayerPlan.model_validate({**way, "weight_bits": weight_bits, "activation_bits": activation_bits})
        for way, weight_bits, activation_bits in product(ways, (4, 8), (8, 16))
    ]
    mask = [choice for choice in choices if choice.structure != "unit"]
    return [choices] * (len(network.layers) - 1) + [mask]


def plans_of(picked: np.ndarray, choices: list[list[LayerPlan]]) -> PlanBatch:
    """The plans that an array of choices (P, L) stands for."""

    def column(value: Callable[[LayerPlan], Any], dtype: type) -> np.ndarray:
        tables = [np.array([value(choice) for choice in layer], dtype) for layer in choices]
        return np.stack([table[picked[:, layer]] for layer, table in enumerate(tables)], axis=1)

    return PlanBatch(
        structure=column(lambda c: STRUCTURES.index(c.structure), np.int8),
        sparsity_frac=column(lambda c: c.sparsity_frac, np.float64),
        block_rows=column(lambda c: (c.block or (1, 1))[0], np.int64),
        block_columns=column(lambda c: (c.block or (1, 1))[1], np.int64),
        weight_bits=column(lambda c: c.weight_bits, np.int64),
        activation_bits=column(lambda c: c.activation_bits, np.int64),
        skip_rate_frac=np.zeros(len(picked)),
    )


def search_figures(tables: ChoiceTables, picked: np.ndarray) -> None:
    """What a search asks: every objective, and how far each limit is exceeded."""
    totals = totals_of_choices(tables, picked)
    memories, route = tables.part.profile.memories, tables.part.route
    totals.flash_bytes / memories[route.storage].capacity_bytes - 1.0
    totals.sram_bytes / memories[route.activations].capacity_bytes - 1.0
    totals.real_time_factor - 1.0


def rates(
    profile: HardwareProfile, network: Network, *, plans: int, tflite: bytes | None, repeats: int
) -> dict[str, float]:
    """Medians over alternating runs."""
    choices = layer_choices(network, block_shapes(profile))
    picked = np.stack(
        [np.random.default_rng(layer).integers(0, len(each), plans) for layer, each in enumerate(choices)],
        axis=1,
    )
    batch = plans_of(picked, choices)
    start = time.perf_counter()
    tables = choice_tables(profile, network, choices)
    building_s = time.perf_counter() - start
    estimate(profile, network, batch.take(slice(0, 100)))
    search_figures(tables, picked[:100])
    found: dict[str, list[float]] = {"plans_per_s": [], "search_plans_per_s": [], "vela_estimates_per_s": []}
    for _ in range(repeats):
        found["plans_per_s"].append(plans / seconds(lambda: estimate(profile, network, batch)))
        found["search_plans_per_s"].append(plans / seconds(lambda: search_figures(tables, picked)))
        if tflite is not None:
            found["vela_estimates_per_s"].append(estimates_per_s(tflite, VELA_PART))
    medians = {name: statistics.median(values) for name, values in found.items() if values}
    return {**medians, "table_building_s": building_s, "table_rows": tables.rows}


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def openblas_architecture() -> str:
    found = sorted({str(pool.get("architecture")) for pool in threadpool_info() if "architecture" in pool})
    return ", ".join(found) or "none loaded"


def measured(options: argparse.Namespace) -> dict[str, Any]:
    network = load_network(options.network)
    tflite = None
    if not options.no_peers:
        vela()
        tflite = tflite_bytes(network, random_weights(network, seed=0))
    with threadpool_limits(1):
        by_profile = {
            name: rates(
                load_profile(name),
                network,
                plans=options.plans,
                tflite=tflite if name == VELA_PART else None,
                repeats=options.repeats,
            )
            for name in options.profile or PROFILES
        }
    slowest = {
        name: round(min(each[name] for each in by_profile.values()))
        for name in ("plans_per_s", "search_plans_per_s")
    }
    peers = [each["vela_estimates_per_s"] for each in by_profile.values() if "vela_estimates_per_s" in each]
    return {
        "schema": "npuexplore.benchmark.estimate_rate/2",
        "network": network.name,
        "plans": options.plans,
        **slowest,
        "vela_estimates_per_s": round(peers[0], 1) if peers else None,
        "by_profile": by_profile,
        "openblas_architecture": openblas_architecture(),
    }


def show(document: dict[str, Any]) -> None:
    print(f"{document['network']}, {document['plans']:,} plans, one core, medians of alternating runs")
    print(f"{'':<20} {'estimate()':>14} {'search tables':>15} {'table building':>15}")
    for name, each in document["by_profile"].items():
        print(
            f"{name:<20} {each['plans_per_s']:>10,.0f} /s {each['search_plans_per_s']:>11,.0f} /s "
            f"{each['table_building_s']:>7.2f} s for {each['table_rows']:,} layer states"
        )
    vela_rate = document["vela_estimates_per_s"]
    if vela_rate:
        ours = document["by_profile"][VELA_PART]
        ratios = [ours[name] / vela_rate for name in ("plans_per_s", "search_plans_per_s")]
        print(
            f"Vela in this process: {vela_rate:,.1f} estimates/s; estimate() is {ratios[0]:,.0f} times, "
            f"the tables are {ratios[1]:,.0f} times as fast"
        )
    print(f"OpenBLAS kernels: {document['openblas_architecture']}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", action="append", help="profile; may be repeated")
    parser.add_argument("--network", default="tinylstm")
    parser.add_argument("--plans", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    try:
        document = measured(options)
    except NpuexploreError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if options.as_json:
        print(json.dumps(document, indent=2))
    else:
        show(document)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
