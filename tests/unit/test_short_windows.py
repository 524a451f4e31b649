"""25 ms windows every 10 ms, whose hop does not divide them, from mixtures to enhanced sound."""

import numpy as np
import pytest
import tiny_study

from npuexplore.audio.augment import Augmentation
from npuexplore.audio.mixtures import MixtureRecipe, feature_deviation, training_batches
from npuexplore.audio.pool import SegmentPool, segment_pair
from npuexplore.audio.sources import Recording, Split
from npuexplore.audio.stft import front_end
from npuexplore.train.enhance import enhance
from npuexplore.train.fit import FitRecipe, fit
from npuexplore.train.model import init_params
from npuexplore.workload.load import load_network
from npuexplore.workload.network import Network

FRAMES = 40
CLOCKS = {"32/16 ms": (512, 256), "25/10 ms": (400, 160)}


def network_of(window, hop):
    document = dict(tiny_study.NETWORK)
    document["frame_clock"] = {"sample_rate_hz": 16_000, "window_samples": window, "hop_samples": hop}
    return Network.model_validate(document)


def test_the_networks_of_both_clocks_are_shipped():
    shipped = {name: load_network(name).frame_clock for name in ("tinylstm", "tinylstm-25ms")}
    found = {name: (clock.window_samples, clock.hop_samples) for name, clock in shipped.items()}
    assert found == {"tinylstm": CLOCKS["32/16 ms"], "tinylstm-25ms": CLOCKS["25/10 ms"]}
    assert shipped["tinylstm-25ms"].frame_deadline_ms == 10.0
    assert load_network("tinylstm").layers == load_network("tinylstm-25ms").layers


@pytest.mark.parametrize("name", CLOCKS)
def test_a_network_of_either_clock_learns_and_enhances(name):
    network = network_of(*CLOCKS[name])
    geometry = front_end(network)
    samples = (FRAMES - network.frame_clock.window_frames + 1) * geometry.hop_samples
    voice = tiny_study.syllables(140.0, seconds=2.0)
    hiss = 0.1 * np.random.default_rng(1).standard_normal(voice.size).astype(np.float32)
    split = Split(speech=(Recording("v", "v", voice, ""),), noise=(Recording("n", "n", hiss, ""),))
    pairs = [
        segment_pair(split, Augmentation(), index, samples=samples, rate_hz=16_000, seed=1)
        for index in range(8)
    ]
    pool = SegmentPool(*map(np.stack, zip(*pairs, strict=True)))
    recipe = MixtureRecipe(segment_frames=FRAMES, pool_segments=16)
    batch_at = training_batches(pool, recipe, geometry, batch=4, seed=1)
    assert batch_at(0).features.shape == (FRAMES, 4, network.bands)
    scale = feature_deviation(batch_at, batches=2)
    params = init_params(network, rng=np.random.default_rng(1))
    fitted = fit(
        network,
        params,
        batch_at,
        FitRecipe(steps=30, batch=4, peak_rate=0.01),
        synthesis=geometry.synthesis,
        feature_scale=scale,
    )
    assert fitted.losses[-5:].mean() < fitted.losses[:5].mean() - 0.3
    (sound,) = enhance(fitted.params, [voice + hiss], geometry, network, feature_scale=scale)
    assert sound.shape == voice.shape
    assert np.isfinite(sound).all()
