"""The slow twins of the fused primitives: plain formulas, cell by cell, on autograd's own operations."""

import autograd.numpy as anp
import numpy as np
from autograd.tracer import getval


def sigmoid(x):
    return 1 / (1 + anp.exp(-x))


def straight_through(x, rounded):
    """`rounded` in value, the identity in gradient."""
    return x + (rounded - getval(x))


def on_grid(x, grid):
    value = np.asarray(getval(x))
    return straight_through(x, np.clip(np.rint(value / grid.step), grid.low, grid.high) * grid.step)


def lstm(x, w_ih, w_hh, bias, grid=None):
    hidden = cell = np.zeros((x.shape[1], w_hh.shape[1]), x.dtype)
    outputs = []
    for frame in x:
        z = frame @ w_ih.T + hidden @ w_hh.T + bias
        i, f, g, o = anp.split(z, 4, axis=1)
        cell = sigmoid(f) * cell + sigmoid(i) * anp.tanh(g)
        cell = cell if grid is None else on_grid(cell, grid.cell)
        hidden = sigmoid(o) * anp.tanh(cell)
        hidden = hidden if grid is None else on_grid(hidden, grid.hidden)
        outputs.append(hidden)
    return anp.stack(outputs)


def gru(x, w_ih, w_hh, bias, bias_hh, grid=None):
    hidden = np.zeros((x.shape[1], w_hh.shape[1]), x.dtype)
    outputs = []
    for frame in x:
        own = anp.split(frame @ w_ih.T + bias, 3, axis=1)
        rec = anp.split(hidden @ w_hh.T + bias_hh, 3, axis=1)
        r, z = sigmoid(own[0] + rec[0]), sigmoid(own[1] + rec[1])
        n = anp.tanh(own[2] + r * rec[2])
        hidden = (1 - z) * n + z * hidden
        hidden = hidden if grid is None else on_grid(hidden, grid.hidden)
        outputs.append(hidden)
    return anp.stack(outputs)
