"""Weights as Arm's lossless mlw coder stores them: the exact size of real ones, the expected one of plans."""

from npuexplore.compression.mlw.expected import ExpectedSizes, expected_bytes, expected_sizes
from npuexplore.compression.mlw.order import MlwStream
from npuexplore.compression.mlw.size import encoded_bytes
from npuexplore.compression.mlw.two_four import two_four_chance

__all__ = [
    "ExpectedSizes",
    "MlwStream",
    "encoded_bytes",
    "expected_bytes",
    "expected_sizes",
    "two_four_chance",
]
