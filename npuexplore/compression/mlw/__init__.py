"""Weights as Arm's lossless mlw coder stores them: the exact size of real ones, the expected one of plans."""

from npuexplore.compression.mlw.expected import expected_bytes
from npuexplore.compression.mlw.order import MlwStream
from npuexplore.compression.mlw.size import encoded_bytes

__all__ = ["MlwStream", "encoded_bytes", "expected_bytes"]
