"""What a run records, when it stops, and which weights it keeps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from med_lora.engine import Row, fit
from med_lora.engine.checkpoints import Checkpoints
from med_lora.engine.losses import measure
from med_lora.engine.monitor import Record, evenly_spaced
from med_lora.errors import InputError
from tests.engine.tiny import adapted, llama, make, rows, trained, values
from tests.recipes import hardware, optimisation

CPU = hardware()
DATA, HELD_OUT = rows(12), rows(7)
# too high a learning rate: the validation loss falls, and then rises
WILD = optimisation(epochs=4, learning_rate=0.05, evaluations=12, keep="best", patience=3)


class StopError(Exception):
    """What a caller raises who has seen enough."""


@pytest.mark.parametrize(
    ("steps", "evaluations", "due"),
    [(6, 4, {2, 3, 4, 6}), (100, 8, {12, 25, 38, 50, 62, 75, 88, 100}), (3, 8, {1, 2, 3}), (7, 1, {7})],
)
def test_validation_is_evenly_spaced_and_ends_with_the_last_step(steps: int, evaluations: int, due: set[int]) -> None:
    assert evenly_spaced(steps, evaluations) == due


def test_every_step_and_every_validation_is_recorded(tokenizer: Any) -> None:
    model = make(llama)
    before = measure(model, HELD_OUT, 1, 3)
    watched = []
    result = fit(
        model, tokenizer, DATA, HELD_OUT, optimisation(), CPU, watch=lambda step, loss: watched.append((step, loss))
    )
    history, after = result.history, measure(model, HELD_OUT, 1, 5)
    for metric in ("train_loss", "learning_rate", "gradient_norm"):
        assert list(values(history, metric)) == [1, 2, 3, 4, 5, 6]
    for metric, first, last in (
        ("validation_loss", before.loss, after.loss),
        ("validation_token_accuracy", before.accuracy, after.accuracy),
        ("validation_perplexity", before.perplexity, after.perplexity),
    ):
        found = values(history, metric)
        assert list(found) == [0, 2, 3, 4, 6]
        assert (found[0], found[6]) == pytest.approx((first, last), rel=1e-6)
    assert watched == list(values(history, "validation_loss").items())
    assert history.epoch.iloc[-1] == 2.0
    assert max(values(history, "learning_rate").values()) == pytest.approx(5e-3)


def test_the_gradient_norm_is_that_before_clipping(tokenizer: Any) -> None:
    histories = [
        fit(make(llama), tokenizer, DATA, [], optimisation(max_grad_norm=limit), CPU).history for limit in (1e-3, 10.0)
    ]
    first, second = (values(history, "gradient_norm") for history in histories)
    assert first[1] == second[1] > 1e-3
    assert first[6] != second[6]  # the weights went other ways


def test_the_best_weights_are_kept_and_patience_ends_the_run(tokenizer: Any) -> None:
    model = adapted(make(llama))
    result = fit(model, tokenizer, DATA, HELD_OUT, WILD, CPU)
    losses = values(result.history, "validation_loss")
    assert result.step == min(losses, key=losses.__getitem__)
    assert measure(model, HELD_OUT, 1, 4).loss == pytest.approx(losses[result.step], rel=1e-6)
    assert max(losses) == result.step + 3 < 12
    assert result.tokens < 4 * sum(len(row["input_ids"]) for row in DATA)


def test_the_last_weights_are_kept_where_the_recipe_says_so(tokenizer: Any) -> None:
    model = adapted(make(llama))
    result = fit(model, tokenizer, DATA, HELD_OUT, WILD.model_copy(update={"keep": "last"}), CPU)
    losses = values(result.history, "validation_loss")
    assert result.step == max(losses)
    assert measure(model, HELD_OUT, 1, 4).loss == pytest.approx(losses[result.step], rel=1e-6)


def test_validation_draws_no_random_numbers(tokenizer: Any) -> None:
    """Or a run with more validations would drop out other units."""
    found = []
    for evaluations in (1, 6):
        model = adapted(make(llama), lora_dropout=0.2)
        fit(model, tokenizer, DATA, HELD_OUT, optimisation(evaluations=evaluations), CPU)
        found.append(trained(model))
    assert torch.equal(*found)


def test_a_run_that_was_cut_off_has_the_history_and_the_end_of_a_whole_one(tokenizer: Any, tmp_path: Path) -> None:
    """Best weights and patience too, which lie in the checkpoint; cut off after the best step."""

    def watch(step: int, loss: float) -> None:
        if step == 5:
            raise StopError

    recipe = WILD.model_copy(update={"checkpoints": 12})
    whole = adapted(make(llama))
    expected = fit(whole, tokenizer, DATA, HELD_OUT, recipe, CPU)
    with Checkpoints(tmp_path, {}) as checkpoints:
        with pytest.raises(StopError):
            fit(adapted(make(llama)), tokenizer, DATA, HELD_OUT, recipe, CPU, checkpoints=checkpoints, watch=watch)
        for _ in range(2):  # the second time nothing is left to train
            model = adapted(make(llama))
            found = fit(model, tokenizer, DATA, HELD_OUT, recipe, CPU, checkpoints=checkpoints)
            assert found.history.equals(expected.history)
            assert (found.step, found.tokens) == (expected.step, expected.tokens)
            assert torch.equal(trained(model), trained(whole))


def test_a_run_that_ended_within_an_epoch_does_not_train_on(tokenizer: Any, tmp_path: Path) -> None:
    recipe = optimisation(epochs=1.5, checkpoints=2, schedule="constant_with_warmup")
    with Checkpoints(tmp_path, {}) as checkpoints:
        found = []
        for _ in range(2):
            model = adapted(make(llama))
            result = fit(model, tokenizer, DATA, HELD_OUT, recipe, CPU, checkpoints=checkpoints)
            found.append(trained(model))
            assert result.step == 5
    assert torch.equal(*found)


def test_checkpoints_are_evenly_spaced(tokenizer: Any, tmp_path: Path) -> None:
    class Sealed(Checkpoints):
        steps: list[str] = []  # noqa: RUF012 - of this one test

        def seal(self, checkpoint: Path) -> None:
            self.steps.append(checkpoint.name)
            assert (checkpoint / "monitor.json").is_file()
            super().seal(checkpoint)

    with Sealed(tmp_path, {}) as checkpoints:
        fit(make(llama), tokenizer, DATA, [], optimisation(checkpoints=3), CPU, checkpoints=checkpoints)
    assert Sealed.steps == ["checkpoint-2", "checkpoint-4", "checkpoint-6"]


def test_a_record_survives_a_checkpoint(tmp_path: Path) -> None:
    record = Record(rows=[(1, 0.1, "train_loss", 0.1 + 0.2)], best_loss=1 / 3, best_step=1, worse=2, tokens=5)
    record.save(tmp_path)
    assert Record.load(tmp_path) == record


def test_a_loss_that_is_no_number_stops_the_run_at_once(tokenizer: Any, tmp_path: Path) -> None:
    model = make(llama)
    with torch.no_grad():
        model.model.embed_tokens.weight[5] = math.nan
    data = [Row(input_ids=[5, 6, 7, 8], labels=[5, 6, 7, 8])] * 8
    with Checkpoints(tmp_path / "checkpoints", {}) as checkpoints:
        with pytest.raises(InputError, match="training loss became nan at step 1"):
            fit(
                model,
                tokenizer,
                data,
                [],
                optimisation(checkpoints=2),
                CPU,
                checkpoints=checkpoints,
                save_to=tmp_path / "adapter",
            )
        assert checkpoints.newest() is None
    assert not (tmp_path / "adapter").exists()


def test_a_gradient_that_is_no_number_stops_the_run_at_once(tokenizer: Any) -> None:
    model = make(llama)

    def overflow(gradient: torch.Tensor) -> torch.Tensor:
        return gradient * math.inf

    model.model.norm.weight.register_hook(overflow)
    with pytest.raises(InputError, match=r"gradient norm became (inf|nan) at step 1: .*nothing was saved"):
        fit(model, tokenizer, DATA, [], optimisation(), CPU)


def test_a_validation_loss_that_is_no_number_stops_the_run(tokenizer: Any) -> None:
    model = make(llama)
    with torch.no_grad():
        model.model.embed_tokens.weight[299] = math.nan
        model.lm_head.weight[299] = 0.0
    with pytest.raises(InputError, match="validation loss became nan at step 0"):
        fit(model, tokenizer, DATA, [Row(input_ids=[299, 6, 7], labels=[299, 6, 7])], optimisation(), CPU)
