"""A causal model of this machine as the judge: the likeliest of the allowed answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.errors import InputError
from med_lora.llm.cache import CallCache
from med_lora.pipelines.judge.asking import Usage, ask_judge_locally
from tests import recipes
from tests.pipelines.evaluation.conftest import Table
from tests.pipelines.judge.conftest import planned

HARDWARE = recipes.hardware(threads=1, micro_batch_size=1, inference_batch_size=1)


@pytest.fixture
def judge_model(tiny_model: Any, tokenizer: Any, tmp_path: Path) -> BaseModel:
    """A model of random weights with a context for whole prompts."""
    import torch
    from transformers import LlamaForCausalLM

    config = tiny_model.config
    config.max_position_embeddings = 2048
    torch.manual_seed(4)
    config.initializer_range = 0.5
    LlamaForCausalLM(config).save_pretrained(tmp_path / "local-judge")
    tokenizer.save_pretrained(tmp_path / "local-judge")
    return BaseModelDataset(id=str(tmp_path / "local-judge")).load()


AskLocally = Callable[..., tuple[pd.DataFrame, Usage]]


@pytest.fixture
def ask_locally(
    test_split: Table, arm_texts: pd.DataFrame, judge_model: BaseModel, tmp_path: Path
) -> Iterator[AskLocally]:
    import torch

    threads = torch.get_num_threads()

    def ask(file: str = "calls.jsonl", **changes: Any) -> tuple[pd.DataFrame, Usage]:
        given = planned(test_split, arm_texts, items=2, axes=[recipes.axis()], **changes)
        calls = CallCache(tmp_path / file)
        return ask_judge_locally(
            given.plan, test_split, arm_texts, given.judge, calls, judge_model, HARDWARE, given.forecast
        )

    yield ask
    torch.set_num_threads(threads)


def test_any_causal_model_can_judge(ask_locally: AskLocally, judge_model: BaseModel, tmp_path: Path) -> None:
    criteria = [{"text": "Names rest.", "points": 5}]
    values, usage = ask_locally(criteria=criteria)
    allowed = {"axis": {1, 2, 3, 4, 5}, "criterion": {0, 1}, "preference": {0, 1, 2}}
    for task, found in values.groupby("task")["value"].agg(set).items():
        assert found <= allowed[str(task)]
    assert values["value"].nunique() > 2  # random weights, not one habit
    again, _ = ask_locally("other.jsonl", criteria=criteria)
    pd.testing.assert_frame_equal(values, again)
    named = f"local-judge {(judge_model.sha256 or '')[:12]}"
    assert set(values["model"]) == {named}
    assert f"{usage['judge']} {usage['version']}" == named
    assert (usage["kind"], usage["origin"], usage["answers_by"]) == ("local", "this process", "likeliest option")
    assert str(tmp_path) not in json.dumps(usage) + values.to_csv()


def test_greedy_repeats_of_a_local_judge_are_computed_once(ask_locally: AskLocally) -> None:
    once, _ = ask_locally("once.jsonl")
    values, usage = ask_locally(repeats=3)
    assert len(values) == 3 * len(once) == usage["calls"]
    assert (values.groupby(["id", "task", "subject", "arm", "rival"])["value"].nunique() == 1).all()
    assert usage["asked"] <= len(once)


def test_sampled_repeats_of_a_local_judge_differ(ask_locally: AskLocally) -> None:
    sampling = {"temperature": 1.0, "seed": 1, "max_tokens": 32}
    values, _ = ask_locally(repeats=3, sampling=sampling)
    again, _ = ask_locally("other.jsonl", repeats=3, sampling=sampling)
    pd.testing.assert_frame_equal(values, again)
    assert (values.groupby(["id", "task", "subject", "arm", "rival"])["value"].nunique() > 1).any()


def test_a_context_too_short_for_every_question_is_one_sentence(
    test_split: Table, arm_texts: pd.DataFrame, tiny_model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    tiny_model.save_pretrained(tmp_path / "small")
    tokenizer.save_pretrained(tmp_path / "small")
    small = BaseModelDataset(id=str(tmp_path / "small")).load()
    given = planned(test_split, arm_texts, items=2)
    words = (
        r"^None of the 36 questions to the judge small [0-9a-f]{12} has a usable answer \(prompt_too_long: 36\); mend"
    )
    with pytest.raises(InputError, match=words):
        ask_judge_locally(
            given.plan,
            test_split,
            arm_texts,
            given.judge,
            CallCache(tmp_path / "calls.jsonl"),
            small,
            HARDWARE,
            given.forecast,
        )
