import autograd.numpy as anp
import numpy as np
import pytest
import tiny_study
from pydantic import ValidationError

from npuexplore.audio.metrics import si_sdr_db
from npuexplore.audio.mixtures import spectral_batch
from npuexplore.audio.stft import front_end, istft, stft
from npuexplore.train.apply import mask_of
from npuexplore.train.fit import fit
from npuexplore.train.losses import LOSSES
from npuexplore.train.model import init_params
from npuexplore.train.primitives import products
from npuexplore.train.primitives.workspace import Workspace
from npuexplore.train.recipe import FitRecipe
from npuexplore.train.tape import value_and_gradients
from npuexplore.workload.network import Network

FRAMES, BATCH, BINS, BANDS = 6, 3, 5, 4
GEOMETRY = front_end(Network.model_validate(tiny_study.NETWORK))
WEIGHTS = np.array([1.0, 2.0, 2.0, 2.0, 1.0])


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def spectra():
    clean, noise = (
        draw(FRAMES, BATCH, BINS, seed=s) + 1j * draw(FRAMES, BATCH, BINS, seed=s + 1) for s in (1, 3)
    )
    noisy = clean + 0.7 * noise
    powers = {
        "noisy_power": np.abs(noisy) ** 2,
        "cross": (noisy.conj() * clean).real,
        "clean_power": np.abs(clean) ** 2,
    }
    return clean, noisy, powers


def naive_log_error_ratio(mask, clean, noisy):
    error = mask * noisy - clean
    speech = np.sum(np.abs(clean) ** 2, axis=(0, 2))
    total = anp.sum(anp.real(error) ** 2 + anp.imag(error) ** 2, axis=(0, 2))
    return anp.mean(10 * anp.log10((total + 1e-3 * speech) / speech))


def naive_compressed_spectral(mask, clean, noisy):
    lengths = anp.power((mask + 1e-4) * np.abs(noisy), 0.3)
    speech = np.abs(clean) ** 0.3
    with_phase = lengths * (noisy / np.abs(noisy)) - speech * (clean / np.abs(clean))
    error = 0.7 * (lengths - speech) ** 2 + 0.3 * (anp.real(with_phase) ** 2 + anp.imag(with_phase) ** 2)
    energy = np.sum(speech**2, axis=(0, 2))
    return anp.mean(10 * anp.log10((anp.sum(error, axis=(0, 2)) + 1e-3 * energy) / energy))


def naive_si_sdr(mask, clean, noisy):
    heard = mask * noisy
    overlap = anp.sum(WEIGHTS * anp.real(heard * clean.conj()), axis=(0, 2))
    energy = anp.sum(WEIGHTS * (anp.real(heard) ** 2 + anp.imag(heard) ** 2), axis=(0, 2))
    speech = np.sum(WEIGHTS * np.abs(clean) ** 2, axis=(0, 2))
    target = overlap**2 / speech
    least = 1e-8 * speech
    return anp.mean(10 * anp.log10((energy - target + 1e-3 * target + least) / (target + least)))


NAIVE = {
    "log_error_ratio": naive_log_error_ratio,
    "compressed_spectral": naive_compressed_spectral,
    "si_sdr": naive_si_sdr,
}


def inputs():
    return np.abs(draw(BANDS, BINS)), np.random.default_rng(0).uniform(size=(FRAMES, BATCH, BANDS))


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_gradient_equal_the_complex_formula(monkeypatch, name):
    monkeypatch.setattr(products, "CHUNK_ELEMS", 60)
    clean, noisy, powers = spectra()
    synthesis, mask = inputs()
    ours = value_and_gradients(lambda a: LOSSES[name](a["m"], synthesis=synthesis, **powers), {"m": mask})
    theirs = value_and_gradients(lambda a: NAIVE[name](a["m"] @ synthesis, clean, noisy), {"m": mask})
    assert ours[0] == pytest.approx(theirs[0], rel=1e-12)
    np.testing.assert_allclose(ours[1]["m"], theirs[1]["m"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_in_float32_is_that_of_float64_and_so_is_its_gradient(name):
    _, _, powers = spectra()
    synthesis, mask = inputs()

    def of(dtype):
        arrays = {key: value.astype(dtype) for key, value in powers.items()}
        return value_and_gradients(
            lambda a: LOSSES[name](
                a["m"], synthesis=synthesis.astype(dtype), workspace=Workspace(), **arrays
            ),
            {"m": mask.astype(dtype)},
        )

    single, double = of(np.float32), of(np.float64)
    assert single[1]["m"].dtype == np.float32
    assert single[0] == pytest.approx(double[0], rel=1e-5)
    scale = np.abs(double[1]["m"]).max()
    np.testing.assert_allclose(single[1]["m"], double[1]["m"], atol=2e-6 * scale)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("speech", "noise", "mask"), [(0, 1, 1), (1, 0, 1), (0, 0, 1), (1, 1, 0)])
def test_silence_and_masks_of_zeros_stay_finite(name, speech, noise, mask):
    clean, noisy, _ = spectra()
    clean = speech * clean
    noisy = clean + noise * noisy
    powers = {
        "noisy_power": (np.abs(noisy) ** 2).astype(np.float32),
        "cross": (noisy.conj() * clean).real.astype(np.float32),
        "clean_power": (np.abs(clean) ** 2).astype(np.float32),
    }
    synthesis, bands = (array.astype(np.float32) for array in inputs())
    value, gradients = value_and_gradients(
        lambda a: LOSSES[name](a["m"], synthesis=synthesis, **powers), {"m": mask * bands}
    )
    assert np.isfinite(value)
    assert np.isfinite(gradients["m"]).all()


def test_an_ideal_mask_has_the_least_loss_of_each_kind():
    _, _, powers = spectra()
    ideal = {"noisy_power": powers["clean_power"], "cross": powers["clean_power"]}
    for name, loss in LOSSES.items():
        ones = np.ones((FRAMES, BATCH, BINS))
        value = loss(ones, synthesis=np.eye(BINS), **{**powers, **ideal})
        assert value == pytest.approx(-30.0, abs=0.01), name
        assert loss(0.5 * ones, synthesis=np.eye(BINS), **{**powers, **ideal}) >= value - 1e-6


def test_half_the_level_costs_the_error_ratio_6_db_and_si_sdr_nothing():
    _, _, powers = spectra()
    ideal = {**powers, "noisy_power": powers["clean_power"], "cross": powers["clean_power"]}
    half = 0.5 * np.ones((FRAMES, BATCH, BINS))
    found = {name: loss(half, synthesis=np.eye(BINS), **ideal) for name, loss in LOSSES.items()}
    assert found["log_error_ratio"] == pytest.approx(10 * np.log10(0.251))
    assert found["si_sdr"] == pytest.approx(-30.0, abs=1e-3)
    short = 1 - (0.5 + 1e-4) ** 0.3
    assert found["compressed_spectral"] == pytest.approx(10 * np.log10(short**2 + 1e-3))


def sounds():
    clean = np.stack([tiny_study.syllables(f0, seconds=0.5) for f0 in (120.0, 200.0)])
    noise = 0.1 * np.random.default_rng(1).standard_normal(clean.shape).astype(np.float32)
    return clean, clean + noise


def test_without_a_mask_the_loss_is_the_si_sdr_of_the_sound():
    clean, noisy = sounds()
    batch = spectral_batch(stft(noisy, GEOMETRY), stft(clean, GEOMETRY), GEOMETRY)
    ones = np.ones((*batch.features.shape[:2], GEOMETRY.bands), np.float32)
    ours = LOSSES["si_sdr"](ones, synthesis=GEOMETRY.synthesis, **powers_of(batch))
    ratios = [10 ** (-si_sdr_db(estimate=y, reference=x) / 10) for x, y in zip(clean, noisy, strict=True)]
    assert ours == pytest.approx(np.mean(10 * np.log10(np.array(ratios) + 1e-3)), abs=1e-3)


def test_the_loss_promises_no_more_si_sdr_than_the_sound_has():
    clean, noisy = sounds()
    spectra_of_noisy = stft(noisy, GEOMETRY)
    batch = spectral_batch(spectra_of_noisy, stft(clean, GEOMETRY), GEOMETRY)
    bands = np.random.default_rng(2).uniform(size=(*batch.features.shape[:2], GEOMETRY.bands))
    bands = bands.astype(np.float32)
    heard = istft(spectra_of_noisy * (bands @ GEOMETRY.synthesis), GEOMETRY, samples=clean.shape[1])
    for row, (x, y) in enumerate(zip(clean, heard, strict=True)):
        one = {name: power[:, row : row + 1] for name, power in powers_of(batch).items()}
        promised = -LOSSES["si_sdr"](bands[:, row : row + 1], synthesis=GEOMETRY.synthesis, **one)
        found = si_sdr_db(estimate=y, reference=x)
        assert found - 6.0 < promised < found


def powers_of(batch):
    return {name: getattr(batch, name) for name in ("noisy_power", "cross", "clean_power")}


@pytest.mark.parametrize("name", LOSSES)
def test_a_network_learns_by_the_loss_that_its_recipe_names(name):
    clean, noisy = sounds()
    batch = spectral_batch(stft(noisy, GEOMETRY), stft(clean, GEOMETRY), GEOMETRY)
    network = Network.model_validate(tiny_study.NETWORK)
    steps = 30
    result = fit(
        network,
        init_params(network, rng=np.random.default_rng(1)),
        lambda _: batch,
        FitRecipe(steps=steps, loss=name, peak_rate=0.01, batch=2),
        synthesis=GEOMETRY.synthesis,
        feature_scale=np.ones(GEOMETRY.bands, np.float32),
    )
    assert result.losses[-1] < result.losses[0] - 0.5
    assert result.losses[0] == pytest.approx(float(loss_at_start(network, batch, name)), abs=1e-4)


def loss_at_start(network, batch, name):
    mask = mask_of(init_params(network, rng=np.random.default_rng(1)), batch.features, network)
    return LOSSES[name](mask, synthesis=GEOMETRY.synthesis, **powers_of(batch))


def test_a_loss_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(ValidationError, match="log_error_ratio"):
        FitRecipe(steps=1, loss="mse")
