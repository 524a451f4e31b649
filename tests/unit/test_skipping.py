import autograd.numpy as anp
import naive_cells
import numpy as np
import pytest
from test_recurrent_primitives import CELLS, arguments, pull, relative_error

from npuexplore.compression.quantize import recurrent_grid
from npuexplore.train.primitives import products
from npuexplore.train.primitives.skip import Skip, Updates
from npuexplore.train.tape import value_and_gradients

SHAPE = (23, 4, 3, 5)
FIRST = {"lstm": 4, "gru": 5}
"""How many arguments the cell has before those of the gate."""
PRICE = 0.37


def gated(kind, dtype=np.float64, bias=-0.4):
    rng = np.random.default_rng(7)
    arrays = arguments(kind, SHAPE, dtype)
    return arrays | {
        "gate": rng.standard_normal(SHAPE[3]).astype(dtype),
        "gate_bias": np.asarray(bias, dtype),
    }


def ours(kind, weights, seen=None, **options):
    def loss(a):
        updates = Updates()
        values = list(a.values())
        skip = Skip(updates, *values[FIRST[kind] :])
        hidden = CELLS[kind][0](*values[: FIRST[kind]], skip=skip, **options)
        if seen is not None:
            seen.append(np.array(updates.taken))
        updates.pull += PRICE
        return anp.sum(hidden * weights)

    return loss


def theirs(kind, weights, seen=None, **options):
    def loss(a):
        values = list(a.values())
        gate = naive_cells.SkipGate(*values[FIRST[kind] :], batch=SHAPE[1])
        hidden = CELLS[kind][1](*values[: FIRST[kind]], skip=gate, **options)
        if seen is not None:
            seen.append(np.array(anp.stack([naive_cells.getval(u) for u in gate.updates])))
        return anp.sum(hidden * weights) + PRICE * anp.sum(gate.taken)

    return loss


@pytest.mark.parametrize("bits", [None, 8])
@pytest.mark.parametrize("kind", CELLS)
def test_a_gated_cell_equals_the_naive_straight_through_loop(kind, bits, monkeypatch):
    monkeypatch.setattr(products, "CHUNK_ELEMS", 100)
    arrays, weights = gated(kind), pull(kind, SHAPE, np.float64)
    grid = None if bits is None else recurrent_grid(bits)
    taken, expected = [], []
    value, gradients = value_and_gradients(ours(kind, weights, taken, grid=grid), arrays)
    wanted, naive = value_and_gradients(theirs(kind, weights, expected, grid=grid), arrays)
    assert np.array_equal(taken[0], expected[0])
    assert 0.1 < taken[0].mean() < 0.9
    assert value + PRICE * taken[0].sum() == pytest.approx(wanted, rel=1e-12)
    for name in arrays:
        assert relative_error(gradients[name], naive[name]) <= 1e-12, name


@pytest.mark.parametrize("kind", CELLS)
def test_gated_float32_gradients_stay_within_two_millionths_and_float32(kind):
    single, weights = gated(kind, np.float32), pull(kind, SHAPE, np.float32)
    double = {name: array.astype(np.float64) for name, array in single.items()}
    _, gradients = value_and_gradients(ours(kind, weights), single)
    _, naive = value_and_gradients(theirs(kind, weights.astype(np.float64)), double)
    for name in single:
        assert gradients[name].dtype == np.float32
        assert relative_error(gradients[name], naive[name]) <= 2e-6, name


def followed(fused, kind):
    cell, follower = CELLS[kind][0 if fused else 1], CELLS["lstm"][0 if fused else 1]
    second = list(arguments("lstm", (23, 4, 5, 3), seed=3).values())[1:]
    weights = pull("lstm", (23, 4, 5, 3), np.float64)

    def loss(a):
        values = list(a.values())
        if fused:
            updates = Updates()
            hidden = cell(*values[: FIRST[kind]], skip=Skip(updates, *values[FIRST[kind] :]))
            return anp.sum(follower(hidden, *second, skip=Skip(updates)) * weights)
        gate = naive_cells.SkipGate(*values[FIRST[kind] :], batch=SHAPE[1])
        hidden = cell(*values[: FIRST[kind]], skip=gate)
        return anp.sum(follower(hidden, *second, skip=naive_cells.Follower(gate.taken)) * weights)

    return loss


@pytest.mark.parametrize("kind", CELLS)
def test_a_layer_that_follows_is_held_in_the_same_frames_and_pulls_on_the_gate(kind):
    arrays = gated(kind)
    value, gradients = value_and_gradients(followed(True, kind), arrays)
    wanted, naive = value_and_gradients(followed(False, kind), arrays)
    assert value == pytest.approx(wanted, rel=1e-12)
    for name in arrays:
        assert relative_error(gradients[name], naive[name]) <= 1e-12, name


@pytest.mark.parametrize("kind", CELLS)
def test_states_are_held_outside_a_mask_of_frames(kind):
    arrays, cell = arguments(kind, SHAPE), CELLS[kind][0]
    mask = np.ones(SHAPE[:2])
    mask[15:, 1] = 0.0
    hidden = cell(*arrays.values(), skip=Skip(Updates(mask)))
    free = cell(*arrays.values())
    assert np.array_equal(hidden[:, 0], free[:, 0])
    assert np.array_equal(hidden[:15], free[:15])
    assert (hidden[15:, 1] == hidden[14, 1]).all()


@pytest.mark.parametrize("bits", [None, 8])
@pytest.mark.parametrize("kind", CELLS)
def test_gated_inference_gives_the_taped_values(kind, bits):
    arrays, grid = gated(kind, np.float32), None if bits is None else recurrent_grid(bits)
    weights = np.ones(pull(kind, SHAPE, np.float32).shape, np.float32)
    taken = []
    taped, _ = value_and_gradients(ours(kind, weights, taken, grid=grid), arrays)
    assert ours(kind, weights, taken, grid=grid)(arrays) == taped
    assert np.array_equal(*taken)


@pytest.mark.parametrize("kind", CELLS)
def test_start_states_reach_the_values_and_have_gradients(kind):
    arrays, weights = arguments(kind, SHAPE), pull(kind, SHAPE, np.float64)
    rng = np.random.default_rng(5)
    starts = {name: rng.standard_normal((SHAPE[1], SHAPE[3])) for name in ("hidden", "cell")}
    count = len(arrays)

    def loss(cell):
        def of(a):
            values = list(a.values())
            start = tuple(values[count:]) if kind == "lstm" else values[count]
            return anp.sum(cell(*values[:count], start=start) * weights)

        return of

    given = arrays | (starts if kind == "lstm" else {"hidden": starts["hidden"]})
    value, gradients = value_and_gradients(loss(CELLS[kind][0]), given)
    wanted, naive = value_and_gradients(loss(CELLS[kind][1]), given)
    assert value == pytest.approx(wanted, rel=1e-12)
    for name in given:
        assert relative_error(gradients[name], naive[name]) <= 1e-12, name
