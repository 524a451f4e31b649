import json

import numpy as np
import pytest
import tiny_study
import yaml

from npuexplore.documents.shipped import shipped_folder, shipped_names
from npuexplore.errors import BadInput, LimitsNotMet, UsageError
from npuexplore.hardware.load import load_profile
from npuexplore.pipeline.objectives import constraints_of, evaluator, refuse_lossy
from npuexplore.pipeline.problem import Problem, load_problem, problem_document, problem_of, space_of
from npuexplore.pipeline.study_file import run_name
from npuexplore.search.feasibility import preflight
from npuexplore.search.space import plans_from, random_choices


@pytest.mark.parametrize("name", shipped_names("studies"))
def test_every_shipped_study_has_plans_that_keep_its_limits(name):
    problem = load_problem(name)
    preflight(space_of(problem), evaluator(problem, None), seed=problem.study.seed)


@pytest.mark.parametrize("name", shipped_names("studies"))
def test_a_problem_comes_back_from_its_document(name):
    problem = load_problem(name)
    document = json.loads(json.dumps(problem_document(problem)))
    assert problem_of(document, where="here") == problem


def test_a_path_in_a_study_is_seen_from_the_study(tmp_path, monkeypatch):
    study = tiny_study.write_study(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    problem = load_problem("mine/study.yaml")
    assert problem.network.name == "tinynet"
    assert problem_document(problem) == problem_document(load_problem(study))


def test_a_path_in_a_study_may_be_seen_from_the_working_folder(tmp_path, monkeypatch):
    tiny_study.write_study(tmp_path / "mine", network="nets/other.yaml")
    (tmp_path / "nets").mkdir()
    (tmp_path / "mine" / "net.yaml").rename(tmp_path / "nets" / "other.yaml")
    monkeypatch.chdir(tmp_path)
    assert load_problem("mine/study.yaml").network.name == "tinynet"


def test_a_shipped_name_is_not_hidden_by_a_file_beside_the_study(tmp_path):
    study = tiny_study.write_study(tmp_path, network="lstm64x2")
    (tmp_path / "lstm64x2").write_text("a file of that name")
    assert load_problem(study).network.name == "lstm64x2"


def test_no_path_gets_into_the_document_of_a_problem(tmp_path):
    study = tiny_study.write_study(tmp_path, network=str(tmp_path / "net.yaml"))
    document = problem_document(load_problem(study))
    assert document["study"]["network"] == "tinynet"
    assert str(tmp_path) not in json.dumps(document)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"memory_mode": "dream"}, "memory_mode: got 'dream'; profile micronpu-block16 has "),
        ({"network": "no-net.yaml"}, "network 'no-net.yaml': no such file"),
        ({"profile": "stm32f7"}, "did you mean 'stm32f746'"),
        (
            {"space": {"skip_rate_frac": [0.0, 0.5]}, "retrain": {"method": "offline"}},
            "space.skip_rate_frac: got [0.0, 0.5], and retrain.method offline",
        ),
        ({"space": {"skip_rate_frac": [0.5, 0.0]}}, "space.skip_rate_frac: got [0.5, 0.0]"),
        ({"space": {"weight_bits": [2, 8]}}, "space.weight_bits: got [2, 8]; micronpu-block16 allows [4, 8]"),
        ({"mixtures": {"segment_frames": 16, "snr_db": [10.0, -10.0]}}, "write the lower bound first"),
        ({"mixtures": {"augmentation": {"speech_speed": [0.0, 1.0]}}}, "mixtures.augmentation.speech_speed"),
        ({"mixtures": {"augmentation": {"room_t60_s": [-1.0, 1.0]}}}, "mixtures.augmentation.room_t60_s"),
        ({"mixtures": {"augmentation": {"roll_off_hz": [-5.0, 50.0]}}}, "mixtures.augmentation.roll_off_hz"),
        ({"mixtures": {"pool_segments": 10**9}}, "mixtures.pool_segments"),
        ({"baseline": {"batch": 10**6}}, "baseline.batch"),
        ({"baseline": {"steps": 0}}, "baseline.steps"),
        ({"evaluation": {"seconds": 1e9}}, "evaluation.seconds"),
        ({"limits": {"reserved_flash_bytes": -1}}, "limits.reserved_flash_bytes"),
        ({"limits": {"deadline_share_frac": 0.0}}, "limits.deadline_share_frac"),
        ({"seed": -1}, "seed"),
        ({"name": "../up"}, "name"),
        ({"retrain": None}, "retrain"),
    ],
)
def test_an_impossible_study_is_one_sentence_that_names_the_key(tmp_path, changes, sentence):
    study = tiny_study.write_study(tmp_path, **changes)
    with pytest.raises(BadInput) as caught:
        load_problem(study)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_skipping_in_a_network_without_a_state_is_refused(tmp_path):
    study = tiny_study.write_study(tmp_path, space={"skip_rate_frac": [0.0, 0.5]})
    stateless = {**tiny_study.NETWORK, "layers": tiny_study.NETWORK["layers"][2:]}
    (tmp_path / "net.yaml").write_text(yaml.safe_dump(stateless))
    with pytest.raises(BadInput, match=r"space.skip_rate_frac: plan: .*has no lstm or gru layer"):
        load_problem(study)


def test_widths_that_the_part_refuses_are_not_offered(tmp_path):
    text = (shipped_folder("hw_profiles") / "micronpu-block16.yaml").read_text()
    text = text.replace("weight_bits: [4, 8]", "weight_bits: [2, 8]").replace("name: micro", "name: my-micro")
    (tmp_path / "mine.yaml").write_text(text)
    study = tiny_study.write_study(tmp_path, profile="mine.yaml")
    document = yaml.safe_load(study.read_text())
    del document["space"]["weight_bits"]
    study.write_text(yaml.safe_dump(document))

    assert load_problem(study).study.space.weight_bits == (8,)


def test_a_window_longer_than_half_a_segment_is_refused(tmp_path):
    study = tiny_study.write_study(tmp_path)
    network = {**tiny_study.NETWORK, "frame_clock": {"window_samples": 512, "hop_samples": 32}}
    (tmp_path / "net.yaml").write_text(yaml.safe_dump(network))
    with pytest.raises(BadInput, match=r"segment_frames: got 16; .* spans 16 frames, so at least 32"):
        load_problem(study)


@pytest.mark.parametrize("text", ["", "..", "a/b", "/tmp/x", "-x", "a b", "x" * 65, "a\n"])
def test_a_run_name_is_no_path(text):
    with pytest.raises(UsageError, match="not a folder name"):
        run_name(text)


def limits_of(problem, **limits):
    changed = problem.study.limits.model_copy(update=limits)
    study = problem.study.model_copy(update={"limits": changed})
    constraints = constraints_of(Problem(study, problem.profile, problem.network), with_quality=True)
    return {constraint.name: constraint.limit for constraint in constraints}


@pytest.fixture(scope="module")
def hearing_aid():
    return load_problem("hearing-aid")


def test_reserved_bytes_are_taken_off_the_memories(hearing_aid):
    whole = limits_of(hearing_aid, reserved_flash_bytes=0, reserved_sram_bytes=0)
    left = limits_of(hearing_aid, reserved_flash_bytes=100_000, reserved_sram_bytes=20_000)
    assert whole["flash_bytes"] - left["flash_bytes"] == 100_000
    assert whole["sram_bytes"] - left["sram_bytes"] == 20_000


def test_a_share_of_the_deadline_is_a_share_of_10_ms(hearing_aid):
    assert limits_of(hearing_aid, deadline_share_frac=1.0)["latency_ms"] == 10.0
    assert limits_of(hearing_aid, deadline_share_frac=0.25)["latency_ms"] == 2.5


def test_a_memory_reserved_to_the_last_byte_is_refused_by_name(hearing_aid):
    with pytest.raises(LimitsNotMet, match=r"limits.reserved_sram_bytes: got 327680, which is all of"):
        limits_of(hearing_aid, reserved_sram_bytes=327_680)


def test_a_plan_breaks_a_limit_by_its_share_above_it(hearing_aid):
    space = space_of(hearing_aid)
    plans = plans_from(space, random_choices(space, np.random.default_rng(1), 20))
    evaluation = evaluator(hearing_aid, lambda plans: np.full(len(plans), 0.9))(plans)
    names = [limit.name for limit in evaluation.constraints]
    limits = {limit.name: limit.limit for limit in evaluation.constraints}
    latency_ms = evaluation.objectives[:, hearing_aid.study.search.objectives.index("latency_ms")]
    broken = evaluation.violations[:, names.index("latency_ms")]
    np.testing.assert_allclose(broken, latency_ms / limits["latency_ms"] - 1.0)
    np.testing.assert_allclose(
        evaluation.violations[:, names.index("quality_loss_db")], 0.9 / limits["quality_loss_db"] - 1.0
    )


def test_plans_that_fit_and_lose_too_much_are_refused_with_the_least_loss(hearing_aid):
    violations = np.array([[-0.1, -0.1, -0.1, 0.5], [-0.1, -0.1, 0.2, -0.5], [-0.1, -0.1, -0.1, 2.0]])
    with pytest.raises(LimitsNotMet, match=r"limits.quality_loss_db: got .*lose at least 0.90 dB"):
        refuse_lossy(hearing_aid, np.array([0.9, 0.3, 1.8]), violations)
    refuse_lossy(hearing_aid, np.array([0.9, 0.3, 1.8]), violations - [0.0, 0.0, 0.0, 0.5])
    refuse_lossy(hearing_aid, np.array([0.3]), violations[1:2])


def test_an_objective_that_the_part_does_not_state_is_refused(tmp_path):
    problem = load_problem(tiny_study.write_study(tmp_path))
    search = problem.study.search.model_copy(update={"objectives": ("energy_uj", "quality_loss_db")})
    no_energy = problem.profile.energy.model_copy(update={"pj_per_mac": None})
    profile = problem.profile.model_copy(update={"energy": no_energy})
    study = problem.study.model_copy(update={"search": search})
    with pytest.raises(BadInput, match="energy_uj is unknown here: profile micronpu-block16"):
        evaluator(Problem(study, profile, problem.network), None)


def shortlist(tmp_path, **changes):
    return load_problem(
        tiny_study.write_study(tmp_path, profile=["micronpu-block16", "stm32f746"], **changes)
    )


def test_a_shortlist_is_one_problem_for_each_part(tmp_path):
    problem = shortlist(tmp_path)
    assert [part.profile.name for part in problem.parts] == ["micronpu-block16", "stm32f746"]
    assert all(part.parts == (part,) for part in problem.parts)
    assert problem.on("stm32f746").study.profile == "stm32f746"
    alone = load_problem(tiny_study.write_study(tmp_path / "alone", profile=["stm32f746"]))
    assert alone == load_problem(tiny_study.write_study(tmp_path / "named", profile="stm32f746"))
    assert constraints_of(problem.on("stm32f746"), with_quality=True) == constraints_of(
        alone, with_quality=True
    )


def test_the_space_of_a_shortlist_has_the_blocks_of_all_parts_and_the_bits_that_each_runs(tmp_path):
    problem = shortlist(tmp_path, space={"blocks": None, "weight_bits": [8]})
    blocks = {c for p in space_of(problem).parameters if p.kind == "structure" for c in p.choices}
    for part in problem.parts:
        assert blocks >= {c for p in space_of(part).parameters if p.kind == "structure" for c in p.choices}
    with pytest.raises(BadInput, match="micronpu-block16 allows"):
        shortlist(tmp_path / "bits", space={"weight_bits": [2, 8]})


def test_a_shortlist_is_refused_as_lossy_only_where_every_part_is(tmp_path):
    problem = shortlist(tmp_path)
    space = space_of(problem)
    plans = plans_from(space, random_choices(space, np.random.default_rng(1), 400))

    def one_part_loses(batch):
        return np.where(batch.part == 1, 31.0, 1.0)

    def all_lose(batch):
        return np.full(len(batch), 31.0)

    refuse_lossy(problem, one_part_loses(plans), evaluator(problem, one_part_loses)(plans).violations)
    with pytest.raises(LimitsNotMet, match=r"micronpu-block16 or stm32f746 lose at least 31\.00 dB"):
        refuse_lossy(problem, all_lose(plans), evaluator(problem, all_lose)(plans).violations)


def test_parts_that_share_no_width_are_refused_in_a_sentence(tmp_path):
    narrow = load_profile("micronpu-block16").model_dump(mode="json", by_alias=True, exclude_none=True)
    narrow |= {"name": "narrow", "engine": {**narrow["engine"], "weight_bits": [4]}}
    narrow["engine"].pop("weight_rates", None)
    (tmp_path / "narrow.yaml").write_text(yaml.safe_dump(narrow))
    study = tiny_study.write_study(tmp_path, profile=["narrow.yaml", "nrf54lm20b"])
    document = yaml.safe_load(study.read_text())
    del document["space"]["weight_bits"]
    study.write_text(yaml.safe_dump(document))
    with pytest.raises(BadInput, match=r"profile: these parts share no weight_bits \(\[4\]; \[8\]\)"):
        load_problem(study)
