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
from med_lora.pipelines.evaluation.losses import measure
from med_lora.pipelines.evaluation.losses.measure import measure_losses
from med_lora.prompts import PairTokeniser
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


def test_an_answer_beyond_the_window_counts_whole_and_each_token_once(
    base_model: BaseModel,
    test_split: Table,
    prompt: PromptParams,
    training: TrainingParams,
    hardware: HardwareParams,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch
    from torch.nn.functional import cross_entropy

    session = open_session(base_model, MODEL, hardware)
    whole = measure_losses(session, test_split, prompt, training)[0].set_index("id")
    monkeypatch.setattr(measure, "WINDOW", 40)
    short = training.model_copy(update={"max_length": 20})
    parts = measure_losses(session, test_split, prompt, short)[0].set_index("id")
    assert parts["tokens"].equals(whole["tokens"])
    assert parts["answer_bytes"].equals(whole["answer_bytes"])
    rows = PairTokeniser(prompt, base_model.tokenizer()).pairs(
        test_split.frame["question"].tolist(), test_split.frame["answer"].tolist(), 10**6
    )
    longer = [len(row.input_ids) > 40 for row in rows]
    assert 0 < sum(longer) < len(rows)
    model = base_model.model("float32")
    for pair, row in zip(test_split.frame["id"], rows, strict=True):
        total, ids = 0.0, torch.tensor(row.input_ids)
        for place in range(len(row.prompt_ids), len(ids)):
            # the window that the token counts in: it ends a multiple of 20 tokens behind the first 40
            end = min(len(ids), 40 + 20 * math.ceil(max(0, place + 1 - 40) / 20))
            seen = ids[max(0, end - 40) : place]
            with torch.no_grad():
                logits = model(seen[None]).logits[0, -1:]
            total += cross_entropy(logits, ids[place : place + 1]).item()
        assert parts["nll"][pair] == pytest.approx(total, rel=1e-4)


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
