"""Questions are answered before training and after every epoch, and training does not notice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch

from med_lora.engine import Fit, fit
from med_lora.engine.checkpoints import Checkpoints
from med_lora.engine.epoch_answers import Questions, check_sharding, score_questions
from med_lora.errors import InputError
from med_lora.metrics.lexical import score_pair
from tests.engine.ranks_answers import METRICS, QUESTIONS
from tests.engine.tiny import adapted, gpt2, llama, make, rows, trained, values
from tests.recipes import hardware, optimisation

CPU = hardware()


class StopError(Exception):
    """What a caller raises who has seen enough."""


def run(tokenizer: Any, model: Any, questions: Questions | None, machine: Any = CPU, **changes: Any) -> Fit:
    given = {"evaluations": 3, **changes.pop("recipe", {})}
    probe = None
    if questions is not None:
        probe = partial(score_questions, questions=questions, tokenizer=tokenizer, batch_size=2)
    return fit(model, tokenizer, rows(12), rows(7), optimisation(**given), machine, probe=probe, **changes)


def answer_by_hand(model: Any, tokenizer: Any, prompt: list[int]) -> str:
    """The most probable token, again and again."""
    ids = list(prompt)
    for _ in range(QUESTIONS.max_new_tokens):
        with torch.no_grad():
            token = int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
        if token == tokenizer.eos_token_id:
            break
        ids.append(token)
    return str(tokenizer.decode(ids[len(prompt) :], skip_special_tokens=True).strip())


@pytest.mark.parametrize("family", [llama, gpt2])
def test_scores_are_those_of_greedy_answers_of_the_adapted_model(family: Callable[[], Any], tokenizer: Any) -> None:
    model = adapted(make(family), lora_dropout=0.5).train()
    found = score_questions(model, QUESTIONS, tokenizer, 2)
    assert model.training
    model.eval()
    answers = [answer_by_hand(model, tokenizer, prompt) for prompt in QUESTIONS.prompts]
    scores = [score_pair(answer, reference) for answer, reference in zip(answers, QUESTIONS.references, strict=True)]
    assert found == {name: fmean(score[name] for score in scores) for name in METRICS} | {"answers": 3.0}


def test_the_models_settings_stay_as_they_are(tokenizer: Any) -> None:
    model = make(llama).eval()
    model.generation_config.temperature, model.generation_config.max_new_tokens = 0.3, 77
    settings = model.generation_config.to_dict()
    score_questions(model, QUESTIONS, tokenizer, 2)
    assert model.generation_config.to_dict() == settings
    assert not model.training


def test_a_history_has_scores_of_step_0_and_of_every_epoch(tokenizer: Any) -> None:
    model = adapted(make(llama))
    before = score_questions(model, QUESTIONS, tokenizer, 3)
    history = run(tokenizer, model, QUESTIONS, recipe={"epochs": 3}).history
    after = score_questions(model, QUESTIONS, tokenizer, 3)
    for metric in METRICS:
        found = values(history, f"validation_{metric}")
        assert list(found) == [0, 3, 6, 9]
        assert (found[0], found[9]) == (before[metric], after[metric])
    assert set(values(history, "validation_answers").values()) == {3.0}
    assert len(set(values(history, "validation_chrf").values())) > 1


@pytest.mark.parametrize(
    "recipe",
    [
        {"epochs": 1.5, "schedule": "constant_with_warmup"},
        {"epochs": 4, "learning_rate": 0.1, "evaluations": 12, "patience": 3},  # which is at an end after step 5
    ],
)
def test_the_end_of_training_counts_as_the_end_of_an_epoch(recipe: dict[str, Any], tokenizer: Any) -> None:
    history = run(tokenizer, adapted(make(llama)), QUESTIONS, recipe=recipe).history
    assert max(values(history, "train_loss")) == 5
    assert list(values(history, "validation_rouge1")) == [0, 3, 5]


@pytest.mark.parametrize("settings", [{}, {"gradient_checkpointing": True}, {"packing": True}])
def test_training_is_the_same_with_and_without(settings: dict[str, Any], tokenizer: Any) -> None:
    """Dropout and NEFTune would draw other random numbers, had the answers drawn any."""
    found = []
    for questions in (None, QUESTIONS):
        model = adapted(make(llama), lora_dropout=0.2)
        history = run(tokenizer, model, questions, hardware(**settings), recipe={"neftune_alpha": 5.0}).history
        found.append((trained(model), history))
    (plain, without), (asked, scored) = found
    assert torch.equal(plain, asked)
    assert scored[scored["metric"].isin(without["metric"])].reset_index(drop=True).equals(without)


def test_full_fine_tuning_is_the_same_with_and_without(tokenizer: Any) -> None:
    found = []
    for questions in (None, QUESTIONS):
        model = make(gpt2)
        model.generation_config.max_new_tokens = 77
        run(tokenizer, model, questions)
        assert model.generation_config.max_new_tokens == 77
        found.append(trained(model))
    assert torch.equal(*found)


def test_a_run_that_was_cut_off_has_the_scores_of_a_whole_one(tokenizer: Any, tmp_path: Path) -> None:
    """Cut off in its second epoch; the checkpoint it goes on from is of the end of the first."""

    def watch(step: int, loss: float) -> None:
        if step == 4:
            raise StopError

    recipe = {"evaluations": 6, "checkpoints": 2}
    whole = run(tokenizer, adapted(make(llama)), QUESTIONS, recipe=recipe)
    with Checkpoints(tmp_path, {}) as checkpoints:
        with pytest.raises(StopError):
            run(tokenizer, adapted(make(llama)), QUESTIONS, recipe=recipe, checkpoints=checkpoints, watch=watch)
        newest = checkpoints.newest()
        assert newest is not None
        assert newest.name == "checkpoint-3"
        found = run(tokenizer, adapted(make(llama)), QUESTIONS, recipe=recipe, checkpoints=checkpoints)
    assert found.history.equals(whole.history)


def test_a_sharded_model_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"hardware\.sharding: fsdp leaves each a part; set training\.epoch_answers to 0"
    ):
        check_sharding(QUESTIONS, hardware(processes=2, sharding="fsdp"))
    check_sharding(QUESTIONS, hardware(sharding="fsdp"))
    check_sharding(None, hardware(processes=2, sharding="fsdp"))
