"""The fused LSTM and GRU against PyTorch's own, values and gradients."""

import autograd.numpy as anp
import numpy as np
import pytest

from npuexplore.train.primitives.gru import gru_seq
from npuexplore.train.primitives.lstm import lstm_seq
from npuexplore.train.tape import value_and_gradients

torch = pytest.importorskip("torch", reason="PyTorch is not installed here; make oracles installs it")

TOLERANCE = {np.float64: 1e-12, np.float32: 2e-6}


def peer(kind, arrays, pull):
    """PyTorch's value and gradients; its gates lie in our order: LSTM i f g o, GRU r z n."""
    module_class = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind]
    units, features = arrays["w_hh"].shape[1], arrays["w_ih"].shape[1]
    dtype = torch.float64 if pull.dtype == np.float64 else torch.float32
    module = module_class(features, units, dtype=dtype)
    names = {"w_ih": "weight_ih_l0", "w_hh": "weight_hh_l0", "bias": "bias_ih_l0", "bias_hh": "bias_hh_l0"}
    with torch.no_grad():
        module.bias_hh_l0.zero_()
        for ours, theirs in names.items():
            if ours in arrays:
                getattr(module, theirs).copy_(torch.from_numpy(arrays[ours]))
    x = torch.from_numpy(arrays["x"]).requires_grad_()
    outputs, _ = module(x)
    (outputs * torch.from_numpy(pull)).sum().backward()
    gradients = {ours: getattr(module, names[ours]).grad.numpy() for ours in arrays if ours != "x"}
    return outputs.detach().numpy(), gradients | {"x": x.grad.numpy()}


def drawn(kind, dtype, frames=40, batch=3, features=7, units=12):
    rng = np.random.default_rng(0)
    width = {"lstm": 4, "gru": 3}[kind] * units
    arrays = {
        "x": rng.standard_normal((frames, batch, features)),
        "w_ih": 0.4 * rng.standard_normal((width, features)),
        "w_hh": 0.4 * rng.standard_normal((width, units)),
        "bias": 0.4 * rng.standard_normal(width),
    }
    if kind == "gru":
        arrays["bias_hh"] = 0.4 * rng.standard_normal(width)
    pull = rng.standard_normal((frames, batch, units)).astype(dtype)
    return {name: array.astype(dtype) for name, array in arrays.items()}, pull


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_fused_values_and_gradients_equal_those_of_pytorch(kind, dtype):
    arrays, pull = drawn(kind, dtype)
    cell = {"lstm": lstm_seq, "gru": gru_seq}[kind]
    _, ours = value_and_gradients(lambda a: anp.sum(cell(*a.values()) * pull), arrays)
    values, theirs = peer(kind, arrays, pull)
    assert np.abs(cell(*arrays.values()) - values).max() <= TOLERANCE[dtype]
    for name in arrays:
        error = np.abs(ours[name] - theirs[name]).max() / np.abs(theirs[name]).max()
        assert error <= TOLERANCE[dtype], name
