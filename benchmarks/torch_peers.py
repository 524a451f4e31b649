"""The same training step as a PyTorch user writes it: with nn.LSTM, or as a cell loop where QAT needs one."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

UNITS, BANDS, BINS = 256, 128, 257

Rounding = Callable[[torch.Tensor, float, int, int], torch.Tensor]


def prune_and_round(weights: torch.Tensor, mask: torch.Tensor, gates: int) -> torch.Tensor:
    """int8 weights, one scale per gate, straight-through."""
    pruned = weights * mask
    rows = pruned.shape[0]
    scale = pruned.detach().reshape(gates, -1).abs().amax(dim=1) / 127
    zero = torch.zeros(rows, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(
        pruned, scale.repeat_interleave(rows // gates), zero, 0, -127, 127
    )


def tenth_of(weights: torch.Tensor) -> torch.Tensor:
    magnitude = weights.detach().abs()
    return (magnitude > torch.quantile(magnitude.flatten()[:100_000], 0.9)).float()


def round_fused(x: torch.Tensor, step: float, low: int, high: int) -> torch.Tensor:
    """Rounding with the operation that PyTorch has for it; its gradient stops where it clips."""
    return torch.fake_quantize_per_tensor_affine(x, step, 0, low, high)


def round_by_hand(x: torch.Tensor, step: float, low: int, high: int) -> torch.Tensor:
    """Rounding as tutorials write it, straight-through everywhere, as ours is."""
    return x + (torch.clamp(torch.round(x / step), low, high) * step - x).detach()


class QatLstm(nn.Module):
    def __init__(self, inputs: int, rounded: Rounding) -> None:
        super().__init__()
        self.rounded = rounded
        start = nn.LSTM(inputs, UNITS)
        self.w_ih, self.w_hh = nn.Parameter(start.weight_ih_l0.data), nn.Parameter(start.weight_hh_l0.data)
        self.bias = nn.Parameter(start.bias_ih_l0.data)
        self.register_buffer("mask_ih", tenth_of(self.w_ih))
        self.register_buffer("mask_hh", tenth_of(self.w_hh))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w_ih, w_hh = (
            prune_and_round(self.w_ih, self.mask_ih, 4),
            prune_and_round(self.w_hh, self.mask_hh, 4).T,
        )
        projected = torch.nn.functional.linear(x, w_ih, self.bias)
        h = c = torch.zeros(x.shape[1], UNITS)
        outputs = []
        for frame in projected:
            i, f, g, o = (frame + h @ w_hh).chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            c = self.rounded(c, 2.0**-11, -32768, 32767)
            h = torch.sigmoid(o) * torch.tanh(c)
            h = self.rounded(h, 2.0**-7, -128, 127)
            outputs.append(h)
        return torch.stack(outputs)


class QatDense(nn.Linear):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.register_buffer("mask", tenth_of(self.weight))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, prune_and_round(self.weight, self.mask, 1), self.bias)


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(BANDS, UNITS, num_layers=2)
        self.fc_1, self.fc_2 = nn.Linear(UNITS, BANDS), nn.Linear(BANDS, BANDS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.fc_2(torch.relu(self.fc_1(self.lstm(x)[0]))))


class Qat(nn.Module):
    def __init__(self, rounded: Rounding) -> None:
        super().__init__()
        self.lstm_1, self.lstm_2 = QatLstm(BANDS, rounded), QatLstm(UNITS, rounded)
        self.fc_1, self.fc_2 = QatDense(UNITS, BANDS), QatDense(BANDS, BANDS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.fake_quantize_per_tensor_affine(x, 1 / 16, 0, -128, 127)
        y = torch.relu(self.fc_1(self.lstm_2(self.lstm_1(x))))
        y = torch.fake_quantize_per_tensor_affine(y, 1 / 32, -128, -128, 127)
        return torch.fake_quantize_per_tensor_affine(torch.sigmoid(self.fc_2(y)), 1 / 256, -128, -128, 127)


def torch_step(problem: dict[str, np.ndarray], *, rounded: Rounding | None = None) -> Callable[[], object]:
    """A step with nn.LSTM, or with a cell loop that rounds its states."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(0)
    network = Plain() if rounded is None else Qat(rounded)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.9, 0.99), fused=True)
    spectra = {name: torch.from_numpy(array) for name, array in problem.items()}
    synthesis = torch.rand(BANDS, BINS)
    energy = spectra["clean_power"].sum(dim=(0, 2))

    def step() -> float:
        optimiser.zero_grad()
        mask = network(spectra["features"]) @ synthesis
        error = mask * (mask * spectra["noisy_power"] - 2 * spectra["cross"]) + spectra["clean_power"]
        loss = (10 * torch.log10((error.sum(dim=(0, 2)) + 1e-3 * energy) / energy)).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        return float(loss.detach())

    return step
