import autograd.numpy as anp
import naive_cells
import numpy as np
import pytest
from autograd.extend import defvjp, primitive

from npuexplore.compression.quantize import Grid, fake_quantise, output_grid, quantise, recurrent_grid
from npuexplore.train.primitives import products
from npuexplore.train.primitives.dense import dense
from npuexplore.train.primitives.gru import gru_seq
from npuexplore.train.primitives.head import head_loss
from npuexplore.train.primitives.lstm import lstm_seq
from npuexplore.train.primitives.prune import mask_fq, mask_only
from npuexplore.train.primitives.quant import fq_act, fq_weight
from npuexplore.train.primitives.skip import Skip, Updates
from npuexplore.train.tape import value_and_gradients

NAIVE = {
    "none": lambda z: z,
    "relu": lambda z: z * (z > 0),
    "tanh": anp.tanh,
    "sigmoid": naive_cells.sigmoid,
}


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


@pytest.mark.parametrize("activation", NAIVE)
def test_dense_equals_its_formula_in_value_and_gradient(activation):
    arrays = {"x": draw(3, 2, 4), "w": draw(5, 4), "bias": draw(5)}
    weights = draw(3, 2, 5)

    def ours(a):
        return anp.sum(dense(a["x"], a["w"], a["bias"], activation=activation) * weights)

    def theirs(a):
        return anp.sum(NAIVE[activation](a["x"] @ a["w"].T + a["bias"]) * weights)

    value, gradients = value_and_gradients(ours, arrays)
    expected, expected_gradients = value_and_gradients(theirs, arrays)
    assert value == pytest.approx(expected, rel=1e-13)
    for name in arrays:
        np.testing.assert_allclose(gradients[name], expected_gradients[name], rtol=1e-12, atol=1e-14)


def spectra(frames=6, batch=3, bins=5, dtype=np.float64):
    rng = np.random.default_rng(3)
    clean = rng.standard_normal((frames, batch, bins)) + 1j * rng.standard_normal((frames, batch, bins))
    noisy = clean + 0.5 * rng.standard_normal((frames, batch, bins))
    values = {
        "noisy_power": np.abs(noisy) ** 2,
        "cross": (noisy.conj() * clean).real,
        "clean_power": np.abs(clean) ** 2,
    }
    return clean, noisy, {name: value.astype(dtype) for name, value in values.items()}


def test_the_loss_and_its_gradient_equal_the_complex_formula(monkeypatch):
    monkeypatch.setattr(products, "CHUNK_ELEMS", 60)
    clean, noisy, powers = spectra()
    synthesis, mask = np.abs(draw(4, 5)), np.random.default_rng(0).uniform(size=(6, 3, 4))

    def theirs(a):
        error = (a["m"] @ synthesis) * noisy - clean
        energy = np.sum(np.abs(clean) ** 2, axis=(0, 2))
        total = anp.sum(anp.real(error) ** 2 + anp.imag(error) ** 2, axis=(0, 2)) + 1e-3 * energy
        return anp.mean(10 * anp.log10(total / energy))

    ours = value_and_gradients(lambda a: head_loss(a["m"], synthesis=synthesis, **powers), {"m": mask})
    expected = value_and_gradients(theirs, {"m": mask})
    assert ours[0] == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(ours[1]["m"], expected[1]["m"], rtol=1e-10)


@primitive
def probe(values):
    return values


def probe_vjp(_, values):
    def vjp(cotangent):
        assert values.dtype == np.float32
        assert cotangent.dtype == np.float32, f"a {cotangent.dtype} cotangent leaked into the chain"
        return cotangent

    return vjp


defvjp(probe, probe_vjp)


def test_cotangents_stay_float32_from_the_loss_to_the_first_weight():
    _, _, powers = spectra(bins=4, dtype=np.float32)
    single = {
        name: np.asarray(array, np.float32)
        for name, array in {
            "l_ih": draw(20, 3), "l_hh": draw(20, 5), "l_b": draw(20),
            "g_ih": draw(12, 5), "g_hh": draw(12, 4), "g_b": draw(12), "g_bb": draw(12, seed=1),
            "s_w": draw(5), "s_b": draw(1)[0], "h_0": draw(3, 5), "c_0": draw(3, 5),
            "w": draw(4, 4), "b": draw(4),
        }.items()
    }  # fmt: skip
    keep, grid = np.ones((20, 3), bool), recurrent_grid(8)
    x, synthesis = draw(6, 3, 3).astype(np.float32), np.eye(4, dtype=np.float32)

    def chain(a):
        w_ih = probe(mask_fq(a["l_ih"], mask=keep, bits=8, groups=4, frozen=True))
        bias = probe(mask_only(a["l_b"], mask=np.ones(20, bool), frozen=True))
        updates, start = Updates(), (probe(a["h_0"]), probe(a["c_0"]))
        skip = Skip(updates, probe(a["s_w"]), probe(a["s_b"]))
        w_hh = probe(fq_weight(a["l_hh"], bits=4, groups=4))
        h = probe(lstm_seq(x, w_ih, w_hh, bias, start=start, grid=grid, skip=skip))
        h = probe(gru_seq(h, a["g_ih"], a["g_hh"], a["g_b"], a["g_bb"], grid=grid, skip=Skip(updates)))
        for activation in ("relu", "none", "tanh", "sigmoid"):
            h = probe(dense(h, a["w"], a["b"], activation=activation))
            h = probe(fq_act(h, grid=output_grid(activation, 8, 2.0)))
        return head_loss(h, synthesis=synthesis, **powers)

    value, gradients = value_and_gradients(chain, single)
    assert np.isfinite(value)
    assert {gradient.dtype for gradient in gradients.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("grid", [Grid(0.25, -4, 3), Grid(0.3, 0, 5), Grid(2.0**-11, -32768, 32767)])
def test_activations_are_rounded_and_their_gradient_stops_only_where_they_are_clipped(grid):
    x = np.linspace(-3, 3, 61)
    weights = draw(61)
    value, gradients = value_and_gradients(lambda a: anp.sum(fq_act(a["x"], grid=grid) * weights), {"x": x})
    codes = np.clip(np.rint(x / grid.step), grid.low, grid.high)
    assert value == pytest.approx((codes * grid.step * weights).sum())
    inside = (x >= (grid.low - 0.5) * grid.step) & (x <= (grid.high + 0.5) * grid.step)
    np.testing.assert_array_equal(gradients["x"], weights * inside)


@pytest.mark.parametrize("frozen", [True, False])
def test_pruned_weights_feel_a_gradient_until_the_mask_is_frozen(frozen):
    w, keep, weights = draw(6, 4), draw(6, 4) > 0, draw(6, 4, seed=2)
    _, gradients = value_and_gradients(
        lambda a: anp.sum(mask_fq(a["w"], mask=keep, bits=8, groups=3, frozen=frozen) * weights), {"w": w}
    )
    np.testing.assert_array_equal(gradients["w"], weights * keep if frozen else weights)


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_move_by_at_most_half_a_step_of_their_gates_grid(bits):
    w = draw(6, 4).astype(np.float32)
    w[2:4] *= 100
    codes, steps = quantise(w, bits=bits, groups=3)
    limit = 2 ** (bits - 1) - 1
    assert codes.dtype == np.int8
    assert np.abs(codes).reshape(3, -1).max(axis=1).tolist() == [limit] * 3
    moved = np.abs(fake_quantise(w, bits=bits, groups=3) - w).reshape(3, -1)
    assert (moved <= steps[:, None] * 0.5001).all()
    np.testing.assert_allclose(
        codes * steps.repeat(2)[:, None], fake_quantise(w, bits=bits, groups=3), rtol=1e-6
    )


def test_rounding_twice_changes_no_integer():
    w = draw(8, 16).astype(np.float32)
    once = fake_quantise(w, bits=8, groups=4)
    assert np.array_equal(quantise(w, bits=8, groups=4)[0], quantise(once, bits=8, groups=4)[0])


def test_a_gate_of_zeros_stays_zero():
    codes, steps = quantise(np.zeros((4, 2), np.float32), bits=8, groups=4)
    assert not codes.any()
    assert steps.tolist() == [1.0] * 4
