"""How designs, rows of choice indices, have children: what `evolve` and `EvolveSampler` share."""

from __future__ import annotations

import numpy as np

from npuexplore.units import IntArray

STEP_FRAC = 0.2
"""Standard deviation of a change, as a share of the gene's choices."""


def children_of(
    parents: IntArray,
    sizes: IntArray,
    count: int,
    rng: np.random.Generator,
    *,
    crossover_frac: float,
    mutated_genes: float,
) -> IntArray:
    """Uniform crossover of two winners of tournaments, then changes of genes.

    parents : (P, G) best first ; sizes : (G,) choices of each gene ; crossover_frac : share of children with
    two parents ; mutated_genes : genes of a child that are drawn for a change on average, each as often as
    the logarithm of its choices says ; returns (count, G).
    """
    pairs = rng.integers(len(parents), size=(4, count))
    mother, father = parents[np.minimum(pairs[0], pairs[1])], parents[np.minimum(pairs[2], pairs[3])]
    crossed = rng.random(count) < crossover_frac
    mixed = (rng.random((count, len(sizes))) < 0.5) & crossed[:, None]
    children = np.where(mixed, father, mother)
    bits = np.log2(sizes)
    changes = rng.random(children.shape) < mutated_genes * bits / max(bits.sum(), 1.0)
    steps = np.rint(rng.normal(scale=STEP_FRAC * sizes, size=children.shape)).astype(np.int64)
    return np.asarray(np.where(changes, np.clip(children + steps, 0, sizes - 1), children))
