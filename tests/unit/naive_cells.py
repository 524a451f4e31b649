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


def lstm(x, w_ih, w_hh, bias, grid=None, start=(0.0, 0.0), skip=None):
    zeros = np.zeros((x.shape[1], w_hh.shape[1]), x.dtype)
    hidden, cell = zeros + start[0], zeros + start[1]
    outputs = []
    for index, frame in enumerate(x):
        z = frame @ w_ih.T + hidden @ w_hh.T + bias
        i, f, g, o = anp.split(z, 4, axis=1)
        new_cell = sigmoid(f) * cell + sigmoid(i) * anp.tanh(g)
        new_cell = new_cell if grid is None else on_grid(new_cell, grid.cell)
        new = sigmoid(o) * anp.tanh(new_cell)
        new = new if grid is None else on_grid(new, grid.hidden)
        if skip is not None:
            u = skip.update(index)
            new, new_cell = u * new + (1 - u) * hidden, u * new_cell + (1 - u) * cell
            skip.after(new)
        hidden, cell = new, new_cell
        outputs.append(hidden)
    return anp.stack(outputs)


def gru(x, w_ih, w_hh, bias, bias_hh, grid=None, start=0.0, skip=None):
    hidden = np.zeros((x.shape[1], w_hh.shape[1]), x.dtype) + start
    outputs = []
    for index, frame in enumerate(x):
        own = anp.split(frame @ w_ih.T + bias, 3, axis=1)
        rec = anp.split(hidden @ w_hh.T + bias_hh, 3, axis=1)
        r, z = sigmoid(own[0] + rec[0]), sigmoid(own[1] + rec[1])
        n = anp.tanh(own[2] + r * rec[2])
        new = (1 - z) * n + z * hidden
        new = new if grid is None else on_grid(new, grid.hidden)
        if skip is not None:
            u = skip.update(index)
            new = u * new + (1 - u) * hidden
            skip.after(new)
        hidden = new
        outputs.append(hidden)
    return anp.stack(outputs)


class SkipGate:
    """Decides about every frame from the state before it (Campos 2018, eq. 4 to 7)."""

    def __init__(self, weights, bias, batch):
        self.weights, self.bias = weights, bias
        self.level = np.ones(batch)
        self.updates = []

    def update(self, index):
        self.updates.append(straight_through(self.level, 1.0 * (getval(self.level) >= 0.5)))
        return self.updates[index][:, None]

    def after(self, hidden):
        u, growth = self.updates[-1], sigmoid(hidden @ self.weights + self.bias)
        self.level = u * growth + (1 - u) * (self.level + anp.minimum(growth, 1 - self.level))

    @property
    def taken(self):
        return anp.stack(self.updates)


class Follower:
    """Updates where `taken` (T, B) says so."""

    def __init__(self, taken):
        self.taken = taken

    def update(self, index):
        return self.taken[index][:, None]

    def after(self, hidden):
        pass
