"""The node of grounding, and the nodes of an arm on questions that hold passages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.datasets.work_folder import WorkFolder
from med_lora.metrics.definition import SCORE_COLUMNS
from med_lora.models.session import open_session
from med_lora.parameters import EvaluationParams, HardwareParams, PromptParams, TrainingParams
from med_lora.pipelines.evaluation.answers.generation import generate_answers
from med_lora.pipelines.evaluation.losses.measure import measure_losses
from med_lora.pipelines.evaluation.scores.grounding import score_grounding
from med_lora.pipelines.retrieval.nodes import ground_questions, retrieve
from med_lora.pipelines.retrieval.sources import select_passages
from med_lora.retrieval.index import build_index
from tests import recipes

from .conftest import Table
from .test_losses import sum_by_hand

PAIRS = pd.DataFrame(
    {"id": ["a", "b", "c"], "question": ["For 7 days?", "Why?", "How?"], "answer": ["Rest.", "Gout.", "Ice."]}
)
CONTEXTS = pd.DataFrame(
    [
        ("a", 2, "c:2", "Lungs", 9, False, "Asthma narrows airways."),
        ("a", 1, "c:1", "Joints", 9, False, "Rest cures gout."),
        ("b", 1, "c:1", "Joints", 9, False, "Rest cures gout."),
    ],
    columns=["id", "place", "passage", "citation", "tokens", "cut", "text"],
)


def texts(arm: str, kind: str, *answers: str) -> pd.DataFrame:
    return pd.DataFrame({"id": ["a", "b", "c"], "arm": arm, "kind": kind, "answer": list(answers)})


def test_every_arm_control_and_reference_is_held_against_the_passages_of_its_pair() -> None:
    arm_texts = pd.concat(
        [
            texts("base", "model", "Airways [2].", "Airways [2].", "Rest."),
            texts("empty_answer", "control", "", "", ""),
            texts("gold", "gold", *PAIRS["answer"]),
        ]
    )
    long, metrics = score_grounding(arm_texts, CONTEXTS, Table(PAIRS))
    assert list(long.columns) == SCORE_COLUMNS
    assert set(long["metric"]) == set(metrics["name"])
    assert len(long) == len(arm_texts) * len(metrics)
    table = long.pivot(index=["arm", "id"], columns="metric", values="score")
    assert table["grounded_words"].xs("base").tolist() == pytest.approx([1, 0, float("nan")], nan_ok=True)
    assert table["wrong_citation"].xs("base").tolist() == pytest.approx([0, 1, float("nan")], nan_ok=True)
    assert table["grounded_words"].xs("gold").tolist() == pytest.approx([1, 1, float("nan")], nan_ok=True)
    assert table["grounded_words"].xs("empty_answer").isna().all()
    # no passage was shown with the last question: nothing is defined for any arm
    assert table.xs("c", level="id").isna().all(axis=None)


def test_numbers_of_the_question_are_supported_in_its_own_pair_alone() -> None:
    long, _ = score_grounding(texts("base", "model", "7 days", "7 days", ""), CONTEXTS, Table(PAIRS))
    numbers = long[long["metric"] == "ungrounded_numbers"].set_index("id")["score"]
    assert numbers[["a", "b"]].tolist() == [0, 1]


def test_without_any_context_all_scores_are_missing() -> None:
    long, _ = score_grounding(texts("base", "model", "Rest.", "", "Ice."), CONTEXTS.iloc[:0], Table(PAIRS))
    assert long["score"].isna().all()


@pytest.fixture
def grounded(
    base_model: BaseModel,
    test_split: Table,
    train_split: Table,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
) -> tuple[Any, pd.DataFrame]:
    """The test split with passages from training answers, which fill what the context leaves."""
    retrieval = recipes.retrieval(context_tokens=10_000, passages=4)
    shared = [f"{text} Is this the same question? " * 12 for text in train_split.frame["answer"]]
    train = Table(train_split.frame.assign(answer=[f"{text} {place}" for place, text in enumerate(shared)]))
    passages, _ = select_passages(test_split, retrieval, train)
    index = build_index(passages, retrieval, hardware)
    retrieved = retrieve(test_split, index, retrieval, hardware)
    return ground_questions(test_split, retrieved, index, prompt, retrieval, evaluation, base_model)


def test_answers_are_given_to_whole_prompts(
    grounded: tuple[Any, pd.DataFrame],
    base_model: BaseModel,
    adapter: PretrainedFolder,
    test_split: Table,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
    tmp_path: Path,
) -> None:
    test, contexts = grounded
    session = open_session(base_model, recipes.model_params(), hardware)
    answers = {
        name: generate_answers(session, split, prompt, evaluation, WorkFolder(tmp_path / name), adapter)
        for name, split in (("bare", test_split), ("grounded", test))
    }
    assert answers["grounded"]["id"].tolist() == test_split.frame["id"].tolist()
    assert not answers["grounded"]["prompt_truncated"].any()
    longest = answers["grounded"]["prompt_tokens"].max()
    # 512 positions, of which the answer may take 24: the passages come close to the rest
    assert 512 - 24 - 40 < longest <= 512 - 24
    added = (answers["grounded"]["prompt_tokens"] - answers["bare"]["prompt_tokens"]).set_axis(answers["bare"]["id"])
    with_passages = contexts["id"].unique()
    assert len(with_passages) == 4
    assert (added[with_passages] > contexts.groupby("id")["tokens"].sum()[with_passages]).all()
    assert (added.drop(with_passages) == 0).all()


def test_losses_are_of_the_answer_with_its_passages_in_front(
    grounded: tuple[Any, pd.DataFrame],
    base_model: BaseModel,
    test_split: Table,
    prompt: PromptParams,
    training: TrainingParams,
    hardware: HardwareParams,
) -> None:
    test, contexts = grounded
    session = open_session(base_model, recipes.model_params(), hardware)
    bare, _ = measure_losses(session, test_split, prompt, training)
    losses, _ = measure_losses(session, test, prompt, training)
    assert losses[["id", "tokens", "answer_bytes"]].equals(bare[["id", "tokens", "answer_bytes"]])
    pairs = test.to_pandas()
    place = int(pairs["answer"].str.len().where(pairs["id"].isin(contexts["id"])).argmin())
    pair = pairs.iloc[place]
    expected = sum_by_hand(base_model.model("float32"), base_model.tokenizer(), pair["question"], pair["answer"])
    assert losses["nll"][place] == pytest.approx(expected, abs=1e-4 * losses["tokens"][place])
    assert losses["nll"][place] != pytest.approx(bare["nll"][place], abs=1e-3)
