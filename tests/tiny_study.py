"""A study that runs in seconds: 16 bands, 2 x LSTM 8, generated voices and noise."""

import numpy as np
import yaml

from npuexplore.audio.wav import write_wav

RATE_HZ = 16_000
SPEAKERS = {"anna": 210.0, "bert": 110.0, "cara": 240.0, "dora": 180.0}

NETWORK = {
    "schema": "npuexplore.network/1",
    "name": "tinynet",
    "frame_clock": {"sample_rate_hz": RATE_HZ, "window_samples": 512, "hop_samples": 256},
    "bands": 16,
    "layers": [
        {"kind": "lstm", "name": "lstm_1", "hidden_units": 8},
        {"kind": "lstm", "name": "lstm_2", "hidden_units": 8},
        {"kind": "dense", "name": "fc_1", "output_features": 8, "activation": "relu"},
        {"kind": "dense", "name": "fc_2", "output_features": 16, "activation": "sigmoid"},
    ],
}
STUDY = {
    "schema": "npuexplore.study/1",
    "name": "tiny",
    "profile": "micronpu-block16",
    "network": "net.yaml",
    "data": "recorded",
    "mixtures": {"pool_segments": 16, "segment_frames": 16},
    "baseline": {"steps": 12, "batch": 2, "checkpoint_steps": 4},
    "space": {
        "structures": ["weight", "block", "unit"],
        "sparsity_frac": [0.0, 0.5],
        "blocks": [[1, 4]],
        "weight_bits": [8],
    },
    "search": {
        "trials": 24,
        "population": 4,
        "screened_plans": 0,
        "objectives": ["latency_ms", "flash_bytes", "quality_loss_db"],
    },
    "limits": {
        "quality_loss_db": 30.0,
        "reserved_flash_bytes": 100_000,
        "reserved_sram_bytes": 20_000,
        "deadline_share_frac": 0.5,
    },
    "picks": {"count": 4},
    "retrain": {"steps": 8, "batch": 2, "checkpoint_steps": 4},
    "evaluation": {"mixtures": 2, "seconds": 1.0, "calibration_mixtures": 2},
}


def vowel(f0_hz, *, seconds, rate_hz=RATE_HZ):
    """Pulses at `f0_hz` through three formants, (N,) float32 with a peak of 0.5."""
    from scipy.signal import lfilter

    samples = np.zeros(int(seconds * rate_hz))
    samples[(np.arange(0.0, samples.size - 1, rate_hz / f0_hz)).astype(int)] = 1.0
    for formant_hz, width_hz in ((600.0, 90.0), (1_400.0, 110.0), (2_600.0, 160.0)):
        radius = np.exp(-np.pi * width_hz / rate_hz)
        angle = 2.0 * np.pi * formant_hz / rate_hz
        samples = lfilter([1.0], [1.0, -2.0 * radius * np.cos(angle), radius**2], samples)
    return (0.5 * samples / np.abs(samples).max()).astype(np.float32)


def syllables(f0_hz, *, seconds):
    """A vowel that comes and goes three times a second."""
    said = vowel(f0_hz, seconds=seconds)
    return (said * (0.5 - 0.5 * np.cos(2.0 * np.pi * 3.0 * np.arange(said.size) / RATE_HZ))).astype(
        np.float32
    )


def write_corpus(folder, *, seconds=1.5):
    """speech/ of four speakers, two files each, and noise/ of four files."""
    rng = np.random.default_rng(7)
    for speaker, f0_hz in SPEAKERS.items():
        for number in range(2):
            said = syllables(f0_hz * (1.0 + 0.05 * number), seconds=seconds)
            write_wav(folder / "speech" / f"{speaker}_{number}.wav", said, rate_hz=RATE_HZ)
    for number in range(4):
        hiss = 0.1 * rng.standard_normal(int(seconds * RATE_HZ))
        write_wav(folder / "noise" / f"hiss_{number}.wav", hiss.astype(np.float32), rate_hz=RATE_HZ)
    return folder


def write_study(folder, **changes):
    """net.yaml and study.yaml in `folder`; `changes` replace keys (of mappings: single keys) of STUDY."""
    folder.mkdir(parents=True, exist_ok=True)
    study = dict(STUDY)
    for key, value in changes.items():
        study[key] = {**STUDY[key], **value} if isinstance(value, dict) and key in STUDY else value
    (folder / "net.yaml").write_text(yaml.safe_dump(NETWORK, sort_keys=False))
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return folder / "study.yaml"
