"""How many plans does estimate() cost in a second on one core, every total included?

python benchmarks/estimate_rate.py --json
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from npuexplore.compression.plan import STRUCTURES, PlanBatch
from npuexplore.cost.estimate import estimate
from npuexplore.hardware.load import list_profiles, load_profile
from npuexplore.workload.load import load_network
from npuexplore.workload.network import Network

BLOCKS = np.array([[1, 4], [1, 16], [4, 4], [8, 16]])


def random_plans(network: Network, count: int, *, seed: int) -> PlanBatch:
    rng = np.random.default_rng([seed])
    shape = (count, len(network.layers))
    structure = rng.integers(0, len(STRUCTURES), shape).astype(np.int8)
    structure[:, -1] = np.minimum(structure[:, -1], STRUCTURES.index("block"))
    block = BLOCKS[rng.integers(0, len(BLOCKS), shape)]
    is_block = structure == STRUCTURES.index("block")
    return PlanBatch(
        structure=structure,
        sparsity_frac=np.where(structure == STRUCTURES.index("dense"), 0.0, rng.integers(0, 20, shape) / 20),
        block_rows=np.where(is_block, block[..., 0], 1),
        block_columns=np.where(is_block, block[..., 1], 1),
        weight_bits=rng.choice([4, 8], shape),
        activation_bits=rng.choice([8, 16], shape),
        skip_rate_frac=np.zeros(count),
    )


def plans_per_s(profile_name: str, network: Network, plans: PlanBatch, *, repeats: int) -> float:
    profile = load_profile(profile_name)
    estimate(profile, network, plans.take(slice(0, 100)))
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        estimate(profile, network, plans)
        best = min(best, time.perf_counter() - start)
    return len(plans) / best


def openblas_architecture() -> str:
    found = sorted({str(pool.get("architecture")) for pool in threadpool_info() if "architecture" in pool})
    return ", ".join(found) or "none loaded"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", action="append", help="shipped profile; may be repeated (default: all)")
    parser.add_argument("--network", default="tinylstm")
    parser.add_argument("--plans", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    network = load_network(options.network)
    plans = random_plans(network, options.plans, seed=0)
    with threadpool_limits(1):
        rates = {
            name: plans_per_s(name, network, plans, repeats=options.repeats)
            for name in options.profile or list_profiles()
        }
    document = {
        "schema": "npuexplore.benchmark.estimate_rate/1",
        "network": network.name,
        "plans": options.plans,
        "plans_per_s": round(min(rates.values())),
        "plans_per_s_by_profile": {name: round(rate) for name, rate in rates.items()},
        "openblas_architecture": openblas_architecture(),
    }
    if options.as_json:
        print(json.dumps(document, indent=2))
        return
    print(f"estimate() on {network.name}, {options.plans:,} plans, one core, best of {options.repeats}")
    for name, rate in rates.items():
        print(f"  {name:<20} {rate:>12,.0f} plans/s")
    print(f"  OpenBLAS kernels: {document['openblas_architecture']}")


if __name__ == "__main__":
    main()
