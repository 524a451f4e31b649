"""The table of mean code lengths behind expected sizes: the exact coder, run on weights drawn at random.

`python -m npuexplore.compression.mlw.sampling` writes it anew. How zeros lie (runs) is not in it; that is
`runs`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.mlw.levels import CLIP_SIGMAS, Kept, draw_levels
from npuexplore.compression.mlw.palette import WEIGHT_RANGE, Section, value_codes
from npuexplore.compression.mlw.size import section_bits

TABLE_FILE = Path(__file__).with_name("mean_bits.json")
CODED_COUNTS = tuple(math.ceil(2 ** (step / 2)) for step in range(2, 35))
"""Weights coded one by one in a section: 2 to 131,072 in half-octaves."""
BY_RUNS_SHARES: dict[Kept, tuple[float, ...]] = {
    "random": (0.0,),
    "two_four": (0.5,),
    "magnitude": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99),
}
"""Shares of pruned weights on which the levels of the others depend; zeros are coded by runs."""
ONE_BY_ONE_SHARES: dict[Kept, tuple[float, ...]] = {
    "random": (0.0, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8),
    "two_four": (0.5,),
    "magnitude": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
}
"""Shares of pruned weights where zeros are coded one by one, like all others."""
DRAWN_WEIGHTS = 2**18
MOST_DRAWS = 120


def mean_bits(
    count: int, *, bits: int, kept: Kept, pruned_frac: float, by_runs: bool, seed: int = 1
) -> float:
    """Mean bits of a section that codes `count` weights one by one: headers, palette, values.

    by_runs : whether zeros are left out, because their runs are coded apart
    """
    rng = np.random.default_rng([seed, count, bits])
    draws = max(1, min(MOST_DRAWS, DRAWN_WEIGHTS // count))
    draw = _nonzero if by_runs else _pruned
    sections = (draw(count, bits=bits, kept=kept, pruned_frac=pruned_frac, rng=rng) for _ in range(draws))
    return sum(section_bits(_coded(weights, by_runs=by_runs)) for weights in sections) / draws


def sampled_table() -> dict[str, object]:
    """Mean bits per coded weight over the grids of this module, for every width and kind of weights."""
    grids = {"by_runs": BY_RUNS_SHARES, "one_by_one": ONE_BY_ONE_SHARES}
    return {"coded_counts": CODED_COUNTS} | {
        mode: {
            kept: {
                "pruned_shares": shares,
                "bits_per_weight": {
                    str(bits): [_row(bits, kept, share, by_runs=mode == "by_runs") for share in shares]
                    for bits in CLIP_SIGMAS
                },
            }
            for kept, shares in grid.items()
        }
        for mode, grid in grids.items()
    }


def _row(bits: int, kept: Kept, share: float, *, by_runs: bool) -> list[float]:
    return [
        round(mean_bits(count, bits=bits, kept=kept, pruned_frac=share, by_runs=by_runs) / count, 4)
        for count in CODED_COUNTS
    ]


def _nonzero(
    count: int, *, bits: int, kept: Kept, pruned_frac: float, rng: np.random.Generator
) -> NDArray[np.int16]:
    found = np.empty(0, np.int16)
    while found.size < count:
        drawn = draw_levels(count + 64, bits=bits, kept=kept, pruned_frac=pruned_frac, rng=rng)
        found = np.concatenate([found, drawn[drawn != 0]])
    return found[:count]


def _pruned(
    count: int, *, bits: int, kept: Kept, pruned_frac: float, rng: np.random.Generator
) -> NDArray[np.int16]:
    survivors = count - round(pruned_frac * count)
    weights = np.zeros(count, np.int16)
    weights[:survivors] = draw_levels(survivors, bits=bits, kept=kept, pruned_frac=pruned_frac, rng=rng)
    return rng.permutation(weights)


def _coded(weights: NDArray[np.int16], *, by_runs: bool) -> Section:
    indices = weights.astype(np.intp) + WEIGHT_RANGE
    codes = value_codes(np.bincount(indices, minlength=2 * WEIGHT_RANGE), by_runs=by_runs)
    return Section(
        values=codes.table[indices],
        runs=None,
        palette_entries=codes.palette_entries,
        palette_bits=codes.palette_bits,
        raw_bits=codes.raw_bits,
    )


def main() -> None:
    """Write the table."""
    TABLE_FILE.write_text(json.dumps(sampled_table(), separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
