import autograd.numpy as anp
import naive_cells
import numpy as np
import pytest

from npuexplore.compression.quantize import recurrent_grid
from npuexplore.train.primitives import products
from npuexplore.train.primitives.gru import gru_seq
from npuexplore.train.primitives.lstm import lstm_seq
from npuexplore.train.primitives.workspace import Workspace
from npuexplore.train.tape import value_and_gradients

CELLS = {"lstm": (lstm_seq, naive_cells.lstm, 4), "gru": (gru_seq, naive_cells.gru, 3)}
NAMES = {"lstm": ["x", "w_ih", "w_hh", "bias"], "gru": ["x", "w_ih", "w_hh", "bias", "bias_hh"]}
SHAPES = [(1, 1, 1, 1), (1, 3, 2, 4), (7, 2, 3, 5), (11, 3, 8, 6)]


def arguments(kind, shape, dtype=np.float64, seed=0):
    frames, batch, features, units = shape
    rng = np.random.default_rng([seed, *shape])
    width = CELLS[kind][2] * units
    drawn = [
        rng.standard_normal((frames, batch, features)),
        0.5 * rng.standard_normal((width, features)),
        0.5 * rng.standard_normal((width, units)),
        0.5 * rng.standard_normal(width),
        0.5 * rng.standard_normal(width),
    ]
    return {name: array.astype(dtype) for name, array in zip(NAMES[kind], drawn, strict=False)}


def pull(kind, shape, dtype):
    frames, batch, _, units = shape
    return np.random.default_rng([1, *shape]).standard_normal((frames, batch, units)).astype(dtype)


def weighted(cell, weights, **options):
    return lambda arrays: anp.sum(cell(*arrays.values(), **options) * weights)


def relative_error(ours, theirs):
    return np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-300)


@pytest.mark.parametrize("bits", [None, 8, 16])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", CELLS)
def test_fused_values_and_gradients_equal_the_naive_cell_loop(kind, shape, bits, monkeypatch):
    monkeypatch.setattr(products, "CHUNK_ELEMS", 60)
    fused, naive, _ = CELLS[kind]
    arrays, weights = arguments(kind, shape), pull(kind, shape, np.float64)
    grid = None if bits is None else recurrent_grid(bits)
    ours, our_gradients = value_and_gradients(weighted(fused, weights, grid=grid), arrays)
    theirs, their_gradients = value_and_gradients(weighted(naive, weights, grid=grid), arrays)
    assert ours == pytest.approx(theirs, rel=1e-12)
    for name in arrays:
        assert relative_error(our_gradients[name], their_gradients[name]) <= 1e-12


@pytest.mark.parametrize("kind", CELLS)
def test_float32_gradients_stay_within_two_millionths(kind):
    shape = (12, 4, 6, 9)
    fused, naive, _ = CELLS[kind]
    single, double = arguments(kind, shape, np.float32), arguments(kind, shape, np.float32)
    double = {name: array.astype(np.float64) for name, array in double.items()}
    weights = pull(kind, shape, np.float32)
    _, ours = value_and_gradients(weighted(fused, weights), single)
    _, theirs = value_and_gradients(weighted(naive, weights.astype(np.float64)), double)
    for name in single:
        assert ours[name].dtype == np.float32
        assert relative_error(ours[name], theirs[name]) <= 2e-6


@pytest.mark.parametrize("bits", [None, 8])
@pytest.mark.parametrize("kind", CELLS)
def test_inference_without_a_tape_gives_the_taped_values(kind, bits, monkeypatch):
    monkeypatch.setattr(products, "CHUNK_ELEMS", 60)
    shape = (9, 2, 3, 5)
    cell, arrays = CELLS[kind][0], arguments(kind, shape, np.float32)
    grid = None if bits is None else recurrent_grid(bits)
    seen = []

    def remember(given):
        outputs = cell(*given.values(), grid=grid)
        seen.append(np.array(outputs._value))
        return anp.sum(outputs)

    value_and_gradients(remember, arrays)
    assert np.array_equal(cell(*arrays.values(), grid=grid), seen[0])


@pytest.mark.parametrize("kind", CELLS)
def test_rounded_states_lie_on_their_grid(kind):
    arrays = arguments(kind, (20, 3, 4, 6), np.float32)
    hidden = CELLS[kind][0](*arrays.values(), grid=recurrent_grid(8)) * 128
    assert np.array_equal(hidden, np.rint(hidden))
    assert hidden.min() >= -128
    assert hidden.max() <= 127


@pytest.mark.parametrize("kind", CELLS)
def test_a_stale_workspace_refuses_to_go_backward(kind):
    arrays, workspace = arguments(kind, (3, 2, 2, 2)), Workspace()

    def twice(given):
        first = CELLS[kind][0](*given.values(), workspace=workspace)
        second = CELLS[kind][0](*given.values(), workspace=workspace)
        return anp.sum(first) + anp.sum(second)

    with pytest.raises(RuntimeError, match="overwrote"):
        value_and_gradients(twice, arrays)


def test_a_workspace_is_consumed_once():
    workspace = Workspace()
    generation = workspace.begin()
    workspace.consume(generation)
    with pytest.raises(RuntimeError, match="already run"):
        workspace.consume(generation)


def test_gradients_are_asked_for_one_argument_at_a_time_too():
    arrays = arguments("lstm", (4, 2, 3, 3))
    _, all_at_once = value_and_gradients(lambda a: anp.sum(lstm_seq(*a.values())), arrays)
    for name in arrays:
        _, alone = value_and_gradients(
            lambda a, n=name: anp.sum(lstm_seq(*(arrays | {n: a[n]}).values())), {name: arrays[name]}
        )
        assert np.array_equal(alone[name], all_at_once[name])


@pytest.mark.parametrize("kind", CELLS)
def test_recurrent_products_in_column_blocks_give_the_same_gradients(kind, monkeypatch):
    shape = (5, 3, 4, 12)
    arrays, weights = arguments(kind, shape), pull(kind, shape, np.float64)
    monkeypatch.setattr(products, "LEAST_ROWS", 1)
    monkeypatch.setattr(products, "BLOCK_COLUMNS", range(3, 5))
    gradients = {}
    for pays in (False, True):
        monkeypatch.setattr(products, "small_products_pay", lambda pays=pays: pays)
        _, gradients[pays] = value_and_gradients(weighted(CELLS[kind][0], weights), arrays)
    for name in arrays:
        assert relative_error(gradients[True][name], gradients[False][name]) <= 1e-13


@pytest.mark.parametrize(
    ("inner", "units", "batch", "width", "rows"),
    [
        (256, 256, 32, 64, 32),
        (1024, 256, 32, 64, 8),
        (100, 100, 16, 50, 16),
        (61, 61, 16, 61, 16),
        (256, 256, 512, 64, 32),
        (256, 256, 509, 256, 509),
    ],
)
def test_column_blocks_divide_the_matrix_and_stay_small(inner, units, batch, width, rows, monkeypatch):
    monkeypatch.setattr(products, "small_products_pay", lambda: True)
    blocks = products.column_blocks(np.zeros((2, inner, units), np.float32), batch)
    assert (blocks.weights.shape, blocks.rows) == ((2, units // width, 1, inner, width), rows)


@pytest.mark.parametrize("left_shape", [(6, 5), (2, 6, 5)])
def test_a_product_with_column_blocks_is_that_with_the_matrices(left_shape, monkeypatch):
    monkeypatch.setattr(products, "small_products_pay", lambda: True)
    monkeypatch.setattr(products, "LEAST_ROWS", 1)
    monkeypatch.setattr(products, "BLOCK_COLUMNS", range(3, 5))
    monkeypatch.setattr(products, "SMALL_PRODUCT_MACS", 2 * 5 * 4)
    rng = np.random.default_rng(0)
    matrices, left, out = rng.normal(size=(2, 5, 12)), rng.normal(size=left_shape), np.empty((2, 6, 12))
    blocks = products.column_blocks(matrices, 6)
    assert blocks.rows == 2
    products.block_product(left, blocks, out)
    np.testing.assert_allclose(out, left @ matrices, rtol=1e-13, atol=1e-13)
