"""What a study reserves for something else on the part: who keeps to it, and to the byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_study

from npuexplore.compression.plan import CompressionPlan, batch_plans
from npuexplore.cost.estimate import block_shapes, estimate
from npuexplore.errors import LimitsNotMet
from npuexplore.pipeline.objectives import constraints_of, evaluator, fits_of, reserved_sentences
from npuexplore.pipeline.problem import Problem, load_problem
from npuexplore.search.feasibility import preflight
from npuexplore.search.space import space_for

NOTHING = {"reserved_flash_bytes": 0, "reserved_sram_bytes": 0, "deadline_share_frac": 1.0}
DENSE = CompressionPlan()


@pytest.fixture
def whole(tmp_path: Path) -> Problem:
    return load_problem(tiny_study.write_study(tmp_path, limits=NOTHING))


def _with_limits(problem: Problem, **limits: Any) -> Problem:
    changed = problem.study.limits.model_copy(update=limits)
    return Problem(problem.study.model_copy(update={"limits": changed}), problem.profile, problem.network)


def _exactly_enough(problem: Problem) -> dict[str, Any]:
    """Reservations that leave the dense network what it takes and nothing more."""
    costs = estimate(problem.profile, problem.network, DENSE)
    return {
        "reserved_flash_bytes": costs.flash_capacity_bytes - int(costs.flash_bytes[0]),
        "reserved_sram_bytes": costs.sram_capacity_bytes - int(costs.sram_bytes[0]),
        "deadline_share_frac": float(costs.latency_ms[0] / costs.deadline_ms) * (1.0 + 1e-12),
    }


TIGHTER = {
    "flash": ("reserved_flash_bytes", lambda value: value + 1),
    "sram": ("reserved_sram_bytes", lambda value: value + 1),
    "deadline": ("deadline_share_frac", lambda value: 0.999 * value),
}


def test_a_network_that_takes_just_what_is_left_fits(whole: Problem) -> None:
    problem = _with_limits(whole, **_exactly_enough(whole))

    assert all(fits_of(problem, estimate(problem.profile, problem.network, DENSE), 0).values())
    assert evaluator(problem, None)(batch_plans([DENSE], problem.network)).feasible.all()


@pytest.mark.parametrize("broken", TIGHTER)
def test_a_byte_or_a_moment_more_for_the_others_breaks_that_limit_only(whole: Problem, broken: str) -> None:
    key, tighter = TIGHTER[broken]
    enough = _exactly_enough(whole)
    problem = _with_limits(whole, **(enough | {key: tighter(enough[key])}))

    fits = fits_of(problem, estimate(problem.profile, problem.network, DENSE), 0)
    assert fits == {name: name != broken for name in TIGHTER}
    assert not evaluator(problem, None)(batch_plans([DENSE], problem.network)).feasible.any()


def test_a_part_whose_rest_holds_no_plan_is_refused_before_the_search(whole: Problem) -> None:
    capacity_bytes = estimate(whole.profile, whole.network, DENSE).flash_capacity_bytes
    problem = _with_limits(whole, reserved_flash_bytes=capacity_bytes - 1_000)
    space = space_for(problem.study.space, problem.network, block_shapes(problem.profile))

    with pytest.raises(LimitsNotMet, match=r"flash_bytes is the tightest limit.* over the 1,000 allowed"):
        preflight(space, evaluator(problem, None), seed=1)


def test_only_what_is_reserved_is_said(whole: Problem) -> None:
    assert reserved_sentences(whole) == []
    assert reserved_sentences(_with_limits(whole, reserved_sram_bytes=2_048, deadline_share_frac=0.75)) == [
        "kept for what else runs on the part: 2,048 bytes of SRAM, 0.25 of the deadline"
    ]


def test_slack_leaves_a_share_of_every_limit_of_the_part_free(whole: Problem) -> None:
    before = constraints_of(whole, with_quality=True)
    after = constraints_of(_with_limits(whole, slack_frac=0.125), with_quality=True)

    assert [limit.name for limit in after] == [limit.name for limit in before]
    for old, new in zip(before[:-1], after[:-1], strict=True):
        assert new.limit == old.limit * 0.875
    assert after[-1] == before[-1]


def test_a_network_that_takes_just_what_is_left_does_not_fit_with_slack(whole: Problem) -> None:
    problem = _with_limits(whole, **_exactly_enough(whole), slack_frac=0.02)

    fits = fits_of(problem, estimate(problem.profile, problem.network, DENSE), 0)
    assert not any(fits.values())
    assert reserved_sentences(problem)[-1] == (
        "left free because estimates are not exact: 2 % of the memories and of the deadline"
    )


def test_a_study_without_slack_does_not_mention_it(whole: Problem) -> None:
    assert "slack_frac" not in whole.study.limits.model_dump(mode="json")
    assert _with_limits(whole, slack_frac=0.1).study.limits.model_dump(mode="json")["slack_frac"] == 0.1
