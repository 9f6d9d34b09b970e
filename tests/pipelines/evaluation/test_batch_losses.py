"""Batch sums equal the losses that transformers itself returns for such batches."""

from __future__ import annotations

from typing import Any

import pytest

from med_lora.datasets.base_model import BaseModel
from med_lora.models.session import open_session
from med_lora.parameters import HardwareParams, PromptParams, TrainingParams
from med_lora.pipelines.evaluation.losses.batches import published_padding
from med_lora.pipelines.evaluation.losses.measure import measure_losses
from med_lora.prompts import PairTokeniser
from tests.recipes import model_params

from .conftest import Table


@pytest.mark.parametrize("batch_size", [1, 3])
def test_batch_losses_equal_those_of_transformers(
    batch_size: int,
    base_model: BaseModel,
    test_split: Table,
    prompt: PromptParams,
    training: TrainingParams,
    hardware: HardwareParams,
) -> None:
    """transformers 5.23: ``model(input_ids, attention_mask, labels).loss``, padding being scored, in order of id."""
    import torch

    hardware = hardware.model_copy(update={"inference_batch_size": batch_size})
    _, found = measure_losses(open_session(base_model, model_params(), hardware), test_split, prompt, training)
    model, tokenizer = base_model.model("float32"), base_model.tokenizer()
    pairs = test_split.frame.sort_values("id")
    rows = PairTokeniser(prompt, tokenizer).pairs(list(pairs["question"]), list(pairs["answer"]), 512)
    expected: dict[str, list[float]] = {"mean_of_batches": [], "padding_counted": []}
    positions = []
    for batch in (rows[:4], rows[4:]):
        width = max(len(row.input_ids) for row in batch)
        ids = torch.full((len(batch), width), tokenizer.pad_token_id)
        mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
        for place, row in enumerate(batch):
            length = len(row.input_ids)
            ids[place, :length], mask[place, :length] = torch.tensor(row.input_ids), 1
            labels[place, :length] = torch.tensor(row.labels)
        positions.append(len(batch) * (width - 1))
        with torch.no_grad():
            for variant, target in (("mean_of_batches", labels), ("padding_counted", ids)):
                loss: Any = model(input_ids=ids, attention_mask=mask, labels=target).loss
                expected[variant].append(float(loss))
    for variant, losses in expected.items():
        part = found[found["variant"] == variant]
        assert list(part["batch"]) == [0, 1]
        assert list(part["nll"] / part["tokens"]) == pytest.approx(losses, rel=1e-5)
    assert list(found["tokens"][found["variant"] == "padding_counted"]) == positions


def test_batch_sums_do_not_depend_on_the_order_of_the_pairs(
    base_model: BaseModel,
    test_split: Table,
    prompt: PromptParams,
    training: TrainingParams,
    hardware: HardwareParams,
) -> None:
    session = open_session(base_model, model_params(), hardware)
    _, one = measure_losses(session, test_split, prompt, training)
    _, other = measure_losses(session, Table(test_split.frame[::-1]), prompt, training)
    assert list(one["nll"]) == pytest.approx(list(other["nll"]), rel=1e-6)
    assert one.drop(columns="nll").equals(other.drop(columns="nll"))


def test_a_batch_is_padded_to_its_longest_row() -> None:
    assert published_padding([5, 2, 9, 3, 4, 1], ["f", "a", "b", "e", "d", "c"]) == [0, 7, 0, 2, 5, 8]
