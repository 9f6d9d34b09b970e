"""Losses count the answer and nothing else, whatever stands beside it in the batch."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.models.session import open_session
from med_lora.parameters import HardwareParams, PromptParams, TrainingParams
from med_lora.pipelines.evaluation.losses.measure import measure_losses
from tests.recipes import model_params

from .conftest import Table

MODEL = model_params()


def sum_by_hand(model: Any, tokenizer: Any, question: str, answer: str) -> float:
    """Token by token: minus the log of the probability that the model gives to the next token of the answer."""
    import torch

    ids = tokenizer(f"Question: {question}\nAnswer:")["input_ids"]
    total = 0.0
    for token in [*tokenizer(" " + answer)["input_ids"], tokenizer.eos_token_id]:
        with torch.no_grad():
            probabilities = model(torch.tensor([ids])).logits[0, -1].double().softmax(-1)
        total -= math.log(probabilities[token])
        ids = [*ids, token]
    return total


@pytest.mark.parametrize("batch_size", [1, 3])
def test_losses_equal_those_taken_one_token_at_a_time(
    batch_size: int,
    base_model: BaseModel,
    test_split: Table,
    prompt: PromptParams,
    training: TrainingParams,
    hardware: HardwareParams,
) -> None:
    test_split = Table(test_split.frame.head(4))
    hardware = hardware.model_copy(update={"inference_batch_size": batch_size})
    losses, _ = measure_losses(open_session(base_model, MODEL, hardware), test_split, prompt, training)
    tokenizer, model = base_model.tokenizer(), base_model.model("float32")
    assert list(losses.columns) == ["id", "tokens", "nll", "answer_bytes"]
    assert list(losses["id"]) == list(test_split.frame["id"])
    for row, pair in zip(losses.itertuples(), test_split.frame.itertuples(), strict=True):
        assert row.nll == pytest.approx(
            sum_by_hand(model, tokenizer, pair.question, pair.answer), abs=1e-4 * row.tokens
        )
        assert row.tokens == len(tokenizer(" " + pair.answer)["input_ids"]) + 1
        assert row.answer_bytes == len(pair.answer.encode())


def test_the_adapter_changes_the_losses(
    base_model: BaseModel,
    adapter: PretrainedFolder,
    test_split: Table,
    prompt: PromptParams,
    training: TrainingParams,
    hardware: HardwareParams,
) -> None:
    session = open_session(base_model, MODEL, hardware)
    base, base_batches = measure_losses(session, test_split, prompt, training)
    tuned, tuned_batches = measure_losses(session, test_split, prompt, training, adapter)
    assert ((base["nll"] - tuned["nll"]).abs() > 0.1).all()
    assert list(base["tokens"]) == list(tuned["tokens"])
    assert ((base_batches["nll"] - tuned_batches["nll"]).abs() > 0.1).all()
    again, _ = measure_losses(session, test_split, prompt, training)
    assert again.equals(base)


def test_a_pair_beyond_the_length_limit_is_scored_in_part(
    base_model: BaseModel,
    test_split: Table,
    prompt: PromptParams,
    training: TrainingParams,
    hardware: HardwareParams,
    caplog: pytest.LogCaptureFixture,
) -> None:
    session = open_session(base_model, MODEL, hardware)
    whole = measure_losses(session, test_split, prompt, training)[0].set_index("id")
    short = training.model_copy(update={"max_length": 60})
    with caplog.at_level("WARNING"):
        part = measure_losses(session, test_split, prompt, short)[0].set_index("id")
    assert "answers exceed 60 tokens" in caplog.text
    cut = part["tokens"] < whole["tokens"]
    assert 0 < cut.sum() < len(cut)
    assert (part["answer_bytes"] < whole["answer_bytes"]).equals(cut)
    assert part["nll"][~cut].to_numpy() == pytest.approx(whole["nll"][~cut].to_numpy(), rel=1e-5)
    assert (part["tokens"] >= 1).all()


def test_losing_only_the_closing_eos_keeps_all_bytes(
    base_model: BaseModel, prompt: PromptParams, training: TrainingParams, hardware: HardwareParams
) -> None:
    tokenizer: Any = base_model.tokenizer()
    one = Table(pd.DataFrame({"id": ["a"], "question": ["Why?"], "answer": ["β-blockers help."]}))
    length = len(tokenizer("Question: Why?\nAnswer:")["input_ids"]) + len(tokenizer(" β-blockers help.")["input_ids"])
    session = open_session(base_model, MODEL, hardware)
    losses, _ = measure_losses(session, one, prompt, training.model_copy(update={"max_length": length}))
    assert losses["answer_bytes"].item() == len("β-blockers help.".encode())


def test_a_loss_that_is_not_finite_is_refused_by_id(
    base_model: BaseModel,
    test_split: Table,
    prompt: PromptParams,
    training: TrainingParams,
    hardware: HardwareParams,
    tmp_path: Any,
) -> None:
    import torch

    model = base_model.model("float32")
    with torch.no_grad():
        model.lm_head.weight[5] = math.nan
    model.save_pretrained(tmp_path)
    base_model.tokenizer().save_pretrained(tmp_path)
    broken = BaseModelDataset(id=str(tmp_path)).load()
    with pytest.raises(InputError, match=r"test pair corpus:03 is not finite \(7 of 7 are not\)"):
        measure_losses(open_session(broken, MODEL, hardware), test_split, prompt, training)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"id": [], "question": [], "answer": []}), "test split is empty"),
        (
            pd.DataFrame({"id": ["a", "a"], "question": ["x", "y"], "answer": ["x", "y"]}),
            "holds the id a more than once",
        ),
    ],
)
def test_a_split_without_distinct_pairs_is_refused(
    frame: pd.DataFrame,
    message: str,
    base_model: BaseModel,
    prompt: PromptParams,
    training: TrainingParams,
    hardware: HardwareParams,
) -> None:
    with pytest.raises(InputError, match=message):
        measure_losses(open_session(base_model, MODEL, hardware), Table(frame), prompt, training)
