"""Validation losses at listed steps, as a study prints them, instead of evenly spaced ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from med_lora.engine import fit
from med_lora.engine.checkpoints import Checkpoints
from med_lora.engine.monitor import validated_steps
from med_lora.parameters.tree import leaves
from tests.engine.tiny import adapted, llama, make, rows, trained, values
from tests.recipes import hardware, optimisation

CPU = hardware()
DATA, HELD_OUT = rows(12), rows(7)  # 3 steps of 4 rows an epoch


class CutOffError(Exception):
    """A run that ends before its time."""


@pytest.mark.parametrize(
    ("steps", "evaluations", "due"),
    [
        (6, [2, 4], {2, 4, 6}),
        (4, [2, 4], {2, 4}),
        (3, [2, 4], {2, 3}),
        (1, [100, 200], {1}),
        (386, [100, 200, 300], {100, 200, 300, 386}),
        (6, 3, {2, 4, 6}),
    ],
)
def test_listed_steps_that_are_reached_and_the_last_are_due(
    steps: int, evaluations: int | list[int], due: set[int]
) -> None:
    assert validated_steps(steps, evaluations) == due


def test_losses_are_taken_at_the_listed_steps_and_at_both_ends(tokenizer: Any) -> None:
    watched: list[int] = []
    recipe = optimisation(evaluations=[2, 5, 100])
    result = fit(make(llama), tokenizer, DATA, HELD_OUT, recipe, CPU, watch=lambda step, _: watched.append(step))
    assert watched == list(values(result.history, "validation_loss")) == [0, 2, 5, 6]
    assert list(values(result.history, "train_loss")) == [1, 2, 3, 4, 5, 6]
    assert recipe.validations == 4  # the pruner of a search counts with it: never fewer than there are


def test_best_weights_and_patience_follow_a_list_as_they_do_a_number(tokenizer: Any) -> None:
    """A list of every step, and of some behind the last one, is another way to say the number of steps."""
    found = []
    for evaluations in (12, [*range(1, 12), 50, 60]):
        recipe = optimisation(epochs=4, learning_rate=0.05, evaluations=evaluations, keep="best", patience=3)
        model = adapted(make(llama))
        found.append((fit(model, tokenizer, DATA, HELD_OUT, recipe, CPU), trained(model)))
    (number, weights), (listed, same_weights) = found
    losses = values(listed.history, "validation_loss")
    assert listed.history.equals(number.history)
    assert listed.step == min(losses, key=losses.__getitem__) == max(losses) - 3  # ended by patience, before step 12
    assert torch.equal(weights, same_weights)


def test_a_run_goes_on_with_the_same_list_and_begins_anew_with_another(tokenizer: Any, tmp_path: Path) -> None:
    def settle(recipe: Any) -> dict[str, Any]:
        return dict(leaves({"training": {"optimisation": recipe.model_dump(exclude={"checkpoints"})}}))

    def train(evaluations: list[int], stop: int | None = None) -> tuple[Any, list[int]]:
        recipe, watched = optimisation(evaluations=evaluations, checkpoints=6), []

        def watch(step: int, loss: float) -> None:
            watched.append(step)
            if step == stop:
                raise CutOffError

        with Checkpoints(tmp_path, settle(recipe)) as checkpoints:
            model = adapted(make(llama))
            return fit(model, tokenizer, DATA, HELD_OUT, recipe, CPU, checkpoints=checkpoints, watch=watch), watched

    with pytest.raises(CutOffError):
        train([2, 4, 5], stop=5)
    resumed, watched = train([2, 4, 5])
    assert watched == [5, 6]
    assert list(values(resumed.history, "validation_loss")) == [0, 2, 4, 5, 6]
    _, anew = train([3])
    assert anew == [0, 3, 6]
