"""Which validation questions are asked after every epoch, and what a training run does with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets import Pretrained
from med_lora.datasets.base_model import BaseModel
from med_lora.engine.epoch_answers import Questions
from med_lora.errors import InputError
from med_lora.pipelines.training.job import TrainingJob, describe_job, train_on_rank
from med_lora.pipelines.training.rows import choose_questions, tokenise_rows
from med_lora.prompts import PairTokeniser
from tests.pipelines.training.recipes import PROMPT, TRAINING
from tests.recipes import hardware, model_params, training

Trained = tuple[Pretrained, pd.DataFrame]
PAIRS = pd.DataFrame(
    {
        "id": ["c", "a", "d", "b"],
        "question": ["what is gout?", "what is an illness of the toe, and what is it not?", "why?", "what is asthma?"],
        "answer": ["a painful arthritis of the toe", "gout", "it is " * 30, "narrow airways"],
    }
)


def choose(
    tokenizer: Any, count: int, pairs: pd.DataFrame = PAIRS, context: int | None = None, **changes: Any
) -> Questions | None:
    recipe = training(epoch_answers=count, **changes)
    tokeniser = PairTokeniser(PROMPT, tokenizer)
    return choose_questions(pairs, tokenise_rows(pairs, tokeniser, recipe.max_length), tokeniser, recipe, context)


def test_the_first_pairs_by_id_are_asked_as_evaluation_asks_them(tokenizer: Any) -> None:
    found = choose(tokenizer, 3)
    assert found is not None
    prompts = [f"Question: {PAIRS['question'][place]}\nAnswer:" for place in (1, 3, 0)]
    assert list(found.prompts) == [tokenizer(prompt)["input_ids"] for prompt in prompts]
    assert list(found.references) == ["gout", "narrow airways", "a painful arthritis of the toe"]
    assert found.end_of_turn == tokenizer.eos_token_id
    assert found == choose(tokenizer, 3, PAIRS[::-1].reset_index(drop=True))
    everything = choose(tokenizer, 9)
    assert everything is not None
    assert len(everything.prompts) == 4


def test_an_answer_may_be_as_long_as_the_longest_reference(tokenizer: Any) -> None:
    whole, short = choose(tokenizer, 3, max_length=200), choose(tokenizer, 4, max_length=60)
    assert whole is not None
    lengths = [len(tokenizer(f" {reference}")["input_ids"]) for reference in whole.references]
    assert whole.max_new_tokens == max(lengths) + 1
    assert short is not None
    assert short.max_new_tokens == 60 - len(short.prompts[3])


def test_the_context_holds_every_prompt_with_its_answer(tokenizer: Any) -> None:
    free, tight = (choose(tokenizer, 3, max_length=40, context=context) for context in (None, 40))
    assert free is not None
    assert tight is not None
    assert tight.max_new_tokens == free.max_new_tokens
    assert max(map(len, free.prompts)) + free.max_new_tokens > 40
    assert max(map(len, tight.prompts)) + tight.max_new_tokens == 40
    assert all(prompt[-3:] == tokenizer("\nAnswer:")["input_ids"][-3:] for prompt in tight.prompts)


def test_dropped_pairs_are_not_asked(tokenizer: Any) -> None:
    found = choose(tokenizer, 9, max_length=80, overlong="drop")
    assert found is not None
    assert list(found.references) == [PAIRS["answer"][place] for place in (1, 3, 0)]


def test_nothing_is_asked_by_default_and_nothing_cannot_be_asked(tokenizer: Any) -> None:
    assert choose(tokenizer, 0, PAIRS.head(0)) is None
    with pytest.raises(InputError, match=r"there are none; raise data_engineering\.split\.validation, or set"):
        choose(tokenizer, 5, PAIRS.head(0))


def test_training_records_the_scores_of_every_epoch(train: Callable[..., Trained]) -> None:
    _, plain = train()
    _, asked = train(training=TRAINING.model_copy(update={"epoch_answers": 3}))
    scores = asked[asked["metric"] == "validation_rougeL"]
    assert list(scores["epoch"]) == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert set(asked["value"][asked["metric"] == "validation_answers"]) == {3.0}
    assert asked[asked["metric"].isin(plain["metric"])].reset_index(drop=True).equals(plain)


def test_a_run_may_go_on_with_another_number_of_answers(base_model: BaseModel) -> None:
    rows = [{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}]
    one, other = (
        describe_job(base_model, model_params(), training(epoch_answers=count), hardware(), rows, rows)
        for count in (0, 20)
    )
    assert one == other


def test_a_sharded_run_is_refused_before_the_weights_are_loaded(base_model: BaseModel, tmp_path: Path) -> None:
    rows = [{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}]
    questions = Questions([[5, 6]], ["gout"], None, 4)
    machine = hardware(processes=2, sharding="fsdp")
    job = TrainingJob(
        base_model, model_params(), training(), machine, rows, rows, tmp_path / "output", {}, questions=questions
    )
    with pytest.raises(InputError, match=r"training\.epoch_answers needs the whole model in each process"):
        train_on_rank(job)
    assert not job.output.exists()
