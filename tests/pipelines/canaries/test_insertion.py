"""Canaries among the training pairs: where they stand, what they say, what stays as it was."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.pipeline import Pipeline

from med_lora.datasets import ArrowDataset
from med_lora.datasets.base_model import BaseModel
from med_lora.errors import InputError
from med_lora.parameters import CanariesParams, PromptParams
from med_lora.pipelines.canaries import create_insertion, create_pipeline
from med_lora.pipelines.canaries.insertion import count_canaries, insert_canaries
from med_lora.pipelines.stages import Stages
from tests.pipelines.data_engineering.conftest import make_pairs
from tests.recipes import training

PROMPT = PromptParams(template="plain", system=None)
Insert = Callable[[Any, CanariesParams], tuple[Any, pd.DataFrame]]


def params(**changes: Any) -> CanariesParams:
    return CanariesParams(**({"enabled": True, "secrets": 3, "repetitions": 4, "controls": 20, "seed": 0} | changes))


@pytest.fixture
def train() -> Any:
    from datasets import Dataset

    pairs = make_pairs([(f"question {number}", f"answer {number}") for number in range(30)])
    return Dataset.from_pandas(pairs.assign(group=range(5, 35)), preserve_index=False)


@pytest.fixture
def insert(base_model: BaseModel) -> Insert:
    """``insert_canaries`` for a small model and sequences of at most 128 tokens."""
    return lambda train, canaries: insert_canaries(train, canaries, base_model, PROMPT, training(max_length=128))


def test_training_pairs_keep_their_order_and_canaries_stand_among_them(train: Any, insert: Insert) -> None:
    canaried, secrets = insert(train, params())
    assert canaried.features == train.features
    table = canaried.to_pandas()
    is_canary = table["id"].str.startswith("canary:")
    assert table[~is_canary].reset_index(drop=True).equals(train.to_pandas())
    assert count_canaries(table["id"]) == is_canary.sum() == 12
    inserted = secrets[secrets["kind"] == "inserted"]
    assert list(table[is_canary].groupby("question").size()) == [4, 4, 4]
    assert set(table["answer"][is_canary]) == set(inserted["answer"])
    assert set(table["corpus"][is_canary]) == {"canary"}
    assert table["group"][is_canary].nunique() == 3
    assert table["group"][is_canary].min() == 35
    assert table["id"].is_unique
    # neither at one end nor in one block
    places = [place for place, flag in enumerate(is_canary) if flag]
    assert places[-1] - places[0] > 20


def test_secrets_are_of_one_form_and_all_different(train: Any, insert: Insert) -> None:
    _, secrets = insert(train, params(secrets=10, controls=500))
    assert list(secrets.columns) == ["canary", "kind", "question", "answer"]
    assert list(secrets["kind"]) == ["inserted"] * 10 + ["control"] * 500
    for column, pattern in (("question", r"[^?]* [A-Z]{6}\?"), ("answer", r"[^0-9]* [0-9]{9}\.")):
        assert secrets[column].is_unique
        assert all(re.fullmatch(pattern, text) for text in secrets[column])
    # the forms are fixed: without code and number one text is left
    assert secrets["answer"].str.replace(r"\d", "", regex=True).nunique() == 1


def test_the_seed_alone_decides_secrets_and_places(train: Any, insert: Insert) -> None:
    first, same, other = (insert(train, params(seed=seed)) for seed in (0, 0, 1))
    assert first[0].to_pandas().equals(same[0].to_pandas())
    assert first[1].equals(same[1])
    assert not set(first[1]["answer"]) & set(other[1]["answer"])
    assert list(first[0]["id"]) != list(other[0]["id"])


def test_more_repetitions_leave_the_secrets_as_they_are(train: Any, insert: Insert) -> None:
    assert insert(train, params())[1].equals(insert(train, params(repetitions=9))[1])


def test_the_canaried_pairs_are_stored_and_read_like_any_split(train: Any, insert: Insert, tmp_path: Path) -> None:
    canaried, _ = insert(train, params())
    dataset = ArrowDataset(filepath=str(tmp_path / "canaried_train"))
    dataset.save(canaried)
    assert dataset.load().to_pandas().equals(canaried.to_pandas())


def test_secrets_that_training_would_cut_are_refused(train: Any, base_model: BaseModel) -> None:
    with pytest.raises(InputError, match=r"up to \d+ tokens .*training\.max_length is 40"):
        insert_canaries(train, params(), base_model, PROMPT, training(max_length=40))


def test_pairs_that_hold_canaries_already_are_refused(train: Any, insert: Insert) -> None:
    canaried, _ = insert(train, params())
    with pytest.raises(InputError, match="canary:"):
        insert(canaried, params())


def test_the_log_warns_of_the_weights_without_a_secret(
    train: Any, insert: Insert, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "med_lora"):
        _, secrets = insert(train, params())
    (record,) = [record for record in caplog.records if record.name.startswith("med_lora")]
    assert record.levelno == logging.WARNING
    assert "3 made-up secrets stand 4 times each among the 30 training pairs" in record.message
    assert not any(answer.split()[-1] in caplog.text for answer in secrets["answer"])


def test_without_canaries_there_is_no_node() -> None:
    assert not create_insertion(Stages()).nodes
    assert not create_pipeline(Stages()).nodes


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_audit_asks_what_was_trained_on_the_canaries(method: Any) -> None:
    stages = Stages(method, canaries=True)
    pipeline: Pipeline = create_insertion(stages) + create_pipeline(stages)
    assert {"train", "base_model", stages.tuned} < pipeline.inputs()
    assert "canary_audit" in pipeline.outputs()
    (check,) = [node for node in pipeline.nodes if node.name.startswith("check_")]
    assert "canaried_train" in check.inputs
    tuned = next(node for node in pipeline.nodes if node.name == "tuned.measure_exposure")
    assert {"lora": "checked_adapter", "full": "tuned_session"}[method] in tuned.inputs
