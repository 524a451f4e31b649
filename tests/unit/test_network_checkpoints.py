import numpy as np
import pytest
import tiny_study

from npuexplore.audio.wav import read_audio, write_wav
from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.errors import BadInput
from npuexplore.pipeline.checkpoints import TrainedNetwork, find_model, read_network, write_network
from npuexplore.pipeline.listening import enhance_file, evaluate_folders
from npuexplore.records.checkpoint import load_checkpoint, save_checkpoint
from npuexplore.train.model import init_params, param_shapes
from npuexplore.workload.network import Network

NETWORK = Network.model_validate(tiny_study.NETWORK)
PLAN = CompressionPlan(
    layers={"lstm_1": LayerPlan(structure="block", sparsity_frac=0.5, block=(1, 4), weight_bits=4)}
)


def trained(network=NETWORK, plan=None):
    return TrainedNetwork(
        network=network,
        params=init_params(network, rng=np.random.default_rng(1)),
        feature_scale=np.linspace(0.5, 1.5, network.bands, dtype=np.float32),
        plan=plan,
        training={"seed": 1, "steps": 12, "credits": ["CC0"]},
    )


def shapes(params):
    return {layer: {name: array.shape for name, array in entry.items()} for layer, entry in params.items()}


@pytest.mark.parametrize("plan", [None, PLAN])
def test_a_network_comes_back_as_it_was_written(tmp_path, plan):
    written = trained(plan=plan)
    write_network(tmp_path / "n.npz", written)
    read = read_network(tmp_path / "n.npz")
    assert (read.network, read.plan, read.training) == (NETWORK, plan, written.training)
    np.testing.assert_array_equal(read.feature_scale, written.feature_scale)
    assert shapes(read.params) == shapes(written.params)
    for layer, entry in written.params.items():
        for name, array in entry.items():
            np.testing.assert_array_equal(read.params[layer][name], array)


def test_equal_networks_are_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_network(tmp_path / f"{name}.npz", trained())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_half_precision_rounds_the_weights_to_eleven_bits(tmp_path):
    written = trained()
    write_network(tmp_path / "n.npz", written, half=True)
    read = read_network(tmp_path / "n.npz").params["lstm_1"]["w_hh"]
    np.testing.assert_allclose(read, written.params["lstm_1"]["w_hh"], rtol=2.0**-11, atol=1e-7)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("activation", ["none", "relu", "tanh", "sigmoid"])
def test_the_shapes_of_a_network_are_those_it_starts_with(kind, activation):
    layers = [
        {"kind": kind, "name": "first", "hidden_units": 5},
        {"kind": "dense", "name": "middle", "output_features": 7, "activation": activation},
        tiny_study.NETWORK["layers"][-1],
    ]
    network = Network.model_validate({**tiny_study.NETWORK, "layers": layers})
    assert param_shapes(network) == shapes(init_params(network, rng=np.random.default_rng(1)))


def spoiled(tmp_path, change):
    """A checkpoint that is whole as a file and wrong as a network."""
    write_network(tmp_path / "n.npz", trained(plan=PLAN))
    arrays, manifest = load_checkpoint(tmp_path / "n.npz")
    change(arrays, manifest)
    save_checkpoint(tmp_path / "n.npz", arrays, manifest)
    return tmp_path / "n.npz"


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays, manifest: arrays.pop("feature_scale"),
        lambda arrays, manifest: arrays.pop("params/lstm_1/bias"),
        lambda arrays, manifest: arrays.pop("params/fc_1/range"),
        lambda arrays, manifest: arrays.update({"params/lstm_9/w_ih": np.zeros((2, 2))}),
        lambda arrays, manifest: arrays.update({"params/lstm_1/w_ih": np.zeros((2, 2))}),
        lambda arrays, manifest: arrays.update({"params/lstm_1/extra": np.zeros(2)}),
        lambda arrays, manifest: arrays.update({"params/lstm_1": np.zeros(2)}),
        lambda arrays, manifest: arrays.update({"feature_scale": np.zeros(16)}),
        lambda arrays, manifest: arrays.update({"feature_scale": np.ones(3)}),
        lambda arrays, manifest: manifest.pop("network"),
        lambda arrays, manifest: manifest.pop("plan"),
        lambda arrays, manifest: manifest.update(network=[]),
        lambda arrays, manifest: manifest.update(training=3),
        lambda arrays, manifest: manifest["network"].update(bands=15),
        lambda arrays, manifest: manifest["network"]["layers"][0].update(hidden_units=9),
        lambda arrays, manifest: manifest["plan"].update(layers={"no_layer": {}}),
        lambda arrays, manifest: manifest["plan"].update(layers={"fc_2": {"structure": "unit"}}),
    ],
)
def test_a_checkpoint_that_is_no_network_is_one_sentence(tmp_path, change):
    path = spoiled(tmp_path, change)
    with pytest.raises(BadInput) as caught:
        read_network(path)
    assert str(caught.value).startswith(f"{path}: not a network checkpoint: ")
    assert "\n" not in str(caught.value)


@pytest.fixture
def runs(tmp_path):
    for name in ("baseline.npz", "picks/knee.npz"):
        write_network(tmp_path / "runs" / "tiny" / name, trained())
    write_network(tmp_path / "secret.npz", trained())
    return tmp_path / "runs"


def test_a_pick_is_found_by_run_name_and_by_run_path(runs):
    pick = runs / "tiny" / "picks" / "knee.npz"
    assert find_model("tiny:knee", runs=runs) == pick
    assert find_model(f"{runs / 'tiny'}:knee", runs=runs / "elsewhere") == pick
    assert find_model("tiny:baseline", runs=runs) == runs / "tiny" / "baseline.npz"
    assert find_model(str(pick), runs=runs) == pick


def test_the_shipped_baseline_has_a_name(runs):
    assert find_model("tinylstm", runs=runs).name == "tinylstm.npz"


@pytest.mark.parametrize(
    "text",
    [
        "tiny:../../../secret",
        "tiny:../picks/knee",
        "tiny:/etc/passwd",
        "tiny:",
        ":knee",
        ":",
        "",
        "tiny",
        "tiny:.",
        "tiny:..",
        "tiny:a\nb",
        "tiny:kn\0ee",
        "ti\0ny:knee",
        "other:knee",
        "tiny:other",
        "none.npz",
        "x" * 5_000 + ".npz",
        "x" * 5_000 + ":knee",
        "tiny:" + "x" * 5_000,
    ],
)
def test_anything_else_is_no_model(runs, text):
    with pytest.raises(BadInput) as caught:
        find_model(text, runs=runs)
    assert "give a checkpoint .npz, RUN:PICK or tinylstm" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_pick_that_is_missing_is_answered_with_those_that_are_there(runs):
    with pytest.raises(BadInput, match="has baseline, knee"):
        find_model("tiny:weight", runs=runs)


def test_an_enhanced_file_has_the_length_of_its_source(runs, tmp_path):
    write_wav(tmp_path / "in.wav", tiny_study.syllables(150.0, seconds=0.7), rate_hz=tiny_study.RATE_HZ)
    assert enhance_file("tiny:knee", source=tmp_path / "in.wav", target=tmp_path / "out.wav", runs=runs) == 0
    assert read_audio(tmp_path / "out.wav", rate_hz=16_000).size == int(0.7 * 16_000)


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_a_recording_is_never_overwritten_by_its_enhanced_self(runs, tmp_path, link):
    source, same = tmp_path / "in.wav", tmp_path / "same.wav"
    write_wav(source, tiny_study.syllables(150.0, seconds=0.7), rate_hz=tiny_study.RATE_HZ)
    getattr(same, link)(source)
    before = source.read_bytes()
    for target in (source, same):
        with pytest.raises(BadInput, match="is the recording itself"):
            enhance_file("tiny:knee", source=source, target=target, runs=runs)
    assert source.read_bytes() == before


def test_a_missing_recording_and_a_folder_to_write_are_one_sentence_each(runs, tmp_path):
    (tmp_path / "out.wav").write_text("old")
    with pytest.raises(BadInput, match=r"in.wav: no such file"):
        enhance_file("tiny:knee", source=tmp_path / "in.wav", target=tmp_path / "out.wav", runs=runs)
    with pytest.raises(BadInput, match="is a folder"):
        enhance_file("tiny:knee", source=tmp_path / "in.wav", target=tmp_path, runs=runs)
    with pytest.raises(BadInput, match=r"only WAV can be written; name it out.wav"):
        enhance_file("tiny:knee", source=tmp_path / "in.wav", target=tmp_path / "out.mp3", runs=runs)
    assert (tmp_path / "out.wav").read_text() == "old"


def test_an_evaluation_lists_every_file_and_their_mean(runs, tmp_path):
    rng = np.random.default_rng(2)
    for number, f0_hz in enumerate((120.0, 200.0)):
        clean = tiny_study.syllables(f0_hz, seconds=0.7)
        noisy = clean + 0.05 * rng.standard_normal(clean.size).astype(np.float32)
        write_wav(tmp_path / "clean" / f"{number}.wav", clean, rate_hz=16_000)
        write_wav(tmp_path / "noisy" / f"{number}.wav", noisy, rate_hz=16_000)
    document = evaluate_folders("tiny:knee", clean=tmp_path / "clean", noisy=tmp_path / "noisy", runs=runs)
    assert document["schema"] == "npuexplore.evaluate/1"
    assert [item["name"] for item in document["files"]] == ["0", "1"]
    for name, mean in document["mean"].items():
        assert mean == pytest.approx(np.mean([item[name] for item in document["files"]]))
    assert document["mean"]["sdr_improvement_db"] == pytest.approx(
        document["mean"]["sdr_out_db"] - document["mean"]["sdr_in_db"]
    )
