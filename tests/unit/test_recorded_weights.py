from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from npuexplore.errors import BadInput
from npuexplore.pipeline.verify import replay_file
from npuexplore.pipeline.verify.weights import recorded_weights

HEADER = (
    "accelerator,system_config,memory_mode,in_features,out_features,structure,sparsity,bits,seed,weight_bytes"
)
PLACE = "ethos-u55-128,Ethos_U55_High_End_Embedded,Sram_Only"


def test_a_seed_gives_the_recorded_weights() -> None:
    weights = recorded_weights(256, 256, structure="dense", sparsity=0.0, bits=8, seed=0)

    # vela_encoding.csv: zero_frac 0.01202, 242 distinct values
    assert round(float(np.mean(weights == 0)), 5) == 0.01202
    assert np.unique(weights).size == 242


@pytest.mark.parametrize(
    ("structure", "sparsity", "zeros"),
    [("unstructured", 0.5, 32), ("unit", 0.25, 16), ("inunit", 0.5, 32), ("2x4", 0.5, 32), ("nm24", 0.5, 32)],
)
def test_structures_zero_the_share_asked_for(structure: str, sparsity: float, zeros: int) -> None:
    # Seed 2 leaves no weight that rounds to zero by itself.
    dense = recorded_weights(8, 8, structure="dense", sparsity=0.0, bits=8, seed=2)
    weights = recorded_weights(8, 8, structure=structure, sparsity=sparsity, bits=8, seed=2)

    assert np.count_nonzero(dense) == 64
    assert np.count_nonzero(weights == 0) == zeros
    assert (weights[weights != 0] == dense[weights != 0]).all()


def test_magnitude_zeroes_the_smallest_weights() -> None:
    dense = recorded_weights(8, 8, structure="dense", sparsity=0.0, bits=8, seed=2)
    weights = recorded_weights(8, 8, structure="magnitude", sparsity=0.5, bits=8, seed=2)

    assert np.abs(dense[weights == 0]).max() <= np.abs(weights[weights != 0]).min()


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("64,0,dense,0,8,0", ":2: out_features: got 0; give 1 to 16384"),
        ("64,64,blocky,0.5,8,0", ":2: recorded weights: structure: got 'blocky'"),
        ("13,64,nm24,0.5,8,0", ":2: recorded weights: structure nm24: got 13 inputs"),
        ("64,64,unstructured,1.5,8,0", ":2: sparsity: got 1.5; give 0 to 1"),
        ("64,64,dense,0,5,0", "bits: got '5'"),
    ],
)
def test_cases_that_no_recorded_matrix_has_are_refused_with_their_line(
    case: str, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "vela_encoding.csv"
    path.write_text(f"{HEADER}\n{PLACE},{case},100\n")

    with pytest.raises(BadInput) as error:
        replay_file(path)

    assert sentence in str(error.value)
