"""Differentiable primitives with hand-written derivatives."""
