"""Fused numpy primitives on autograd, the model, its optimiser and its evaluation."""
