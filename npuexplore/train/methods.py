"""The methods by which a plan's zeros come about: which masks hold at a step."""

from __future__ import annotations

from npuexplore.compression.sparsity import Masks, layer_masks
from npuexplore.train.model import Treatment
from npuexplore.train.pruning import last_choice, masks_are_due, pruning_ramp
from npuexplore.train.run import Run, Task
from npuexplore.train.thresholds import landed, threshold_masks


def treatment_at(run: Run, task: Task) -> Treatment | None:
    """What compression does at the step that comes next; None where there is no plan.

    Learned thresholds land on the plan's target here, at the step from which masks are frozen.
    """
    if task.plan is None:
        return None
    last = last_choice(task.recipe.steps)
    if task.method == "frozen":
        return Treatment(
            task.plan, run.masks or layer_masks(run.params, task.plan, task.network), frozen=True
        )
    return Treatment(task.plan, _moving_masks(run, task, last=last), frozen=run.step >= last)


def _moving_masks(run: Run, task: Task, *, last: int) -> Masks:
    assert task.plan is not None
    ramp_frac = pruning_ramp(run.step, task.recipe.steps)
    if run.step > last and run.masks is not None:
        return run.masks
    if run.thresholds is not None and task.learning is not None:
        if run.step < last:
            return threshold_masks(run.thresholds, task.learning, run.params, ramp_frac=ramp_frac)
        run.thresholds, masks = landed(run.thresholds, task.learning, run.params)
        return masks
    if run.masks is None or masks_are_due(run.step, task.recipe.steps):
        return layer_masks(run.params, task.plan, task.network, ramp_frac=ramp_frac)
    return run.masks
