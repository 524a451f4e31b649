"""One network whose weights are the mean of those of several that were trained on from one of them.

python benchmarks/averaged_network.py FIRST.npz MORE.npz ... --output MEAN.npz
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from npuexplore.pipeline.checkpoints import read_network, write_network


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True, help="float16")
    arguments = parser.parse_args()
    first, *others = [read_network(path) for path in arguments.networks]
    params = {
        layer: {
            name: np.mean([value, *(each.params[layer][name] for each in others)], axis=0, dtype=np.float32)
            for name, value in own.items()
        }
        for layer, own in first.params.items()
    }
    write_network(arguments.output, replace(first, params=params), half=True)
    print(f"{arguments.output}: {arguments.output.stat().st_size:,} bytes, mean of {1 + len(others)}")


if __name__ == "__main__":
    main()
