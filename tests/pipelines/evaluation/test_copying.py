"""Words copied from training answers, of arms, controls and references."""

from __future__ import annotations

import pandas as pd
import pytest

from med_lora.metrics.definition import read_metrics
from med_lora.pipelines.evaluation.scores.copying import score_copying

from .conftest import Table

TRAIN = Table(
    pd.DataFrame(
        {
            "id": ["a", "b"],
            "question": ["one", "two"],
            "answer": ["Rest the knee, and put ice on it.", "See a doctor at once."],
        }
    )
)


def scores_of(answers: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    texts = pd.DataFrame(answers, columns=["id", "arm", "kind", "answer"])
    return score_copying(texts, TRAIN)[0]


def test_every_text_has_its_longest_run_and_the_share_of_it() -> None:
    scores = scores_of(
        [
            ("t:1", "base", "model", "Put ICE on it: see a doctor"),  # 4 of one answer, 3 of the other
            ("t:1", "tuned", "model", "rest the knee and put ice on it"),
            ("t:2", "tuned", "model", "Nobody knows"),
            ("t:2", "base", "model", "..."),
            ("t:1", "empty_answer", "control", ""),
            ("t:1", "gold", "gold", "the doctor at home"),
        ]
    )
    assert list(scores.columns) == ["id", "arm", "metric", "score"]
    found = scores.pivot(index=["arm", "id"], columns="metric", values="score")
    assert found["copied_words"].to_dict() == {
        ("base", "t:1"): 4.0,
        ("base", "t:2"): 0.0,
        ("tuned", "t:1"): 8.0,
        ("tuned", "t:2"): 0.0,
        ("empty_answer", "t:1"): 0.0,
        ("gold", "t:1"): 2.0,
    }
    assert found["copied_share"].to_dict() == pytest.approx(
        {
            ("base", "t:1"): 4 / 7,
            ("base", "t:2"): 0.0,
            ("tuned", "t:1"): 1.0,
            ("tuned", "t:2"): 0.0,
            ("empty_answer", "t:1"): 0.0,
            ("gold", "t:1"): 2 / 4,
        }
    )


def test_the_order_of_rows_changes_no_score() -> None:
    texts = pd.DataFrame(
        {
            "id": [f"t:{number}" for number in range(4)] * 2,
            "arm": ["base"] * 4 + ["tuned"] * 4,
            "kind": "model",
            "answer": ["ice on it", "a doctor", "rest", "the knee and", "put ice", "see a", "doctor at once", "a"],
        },
        index=range(10, 18),
    )
    first = score_copying(texts, TRAIN)[0].sort_values(["id", "arm", "metric"], ignore_index=True)
    shuffled = texts.sample(frac=1, random_state=0)
    again = score_copying(shuffled, Table(TRAIN.frame.iloc[::-1]))[0]
    assert again.sort_values(["id", "arm", "metric"], ignore_index=True).equals(first)


def test_copying_is_described_and_not_tested() -> None:
    texts = pd.DataFrame({"id": ["t:1"], "arm": "base", "kind": "model", "answer": ["rest"]})
    metrics = read_metrics(score_copying(texts, TRAIN)[1])
    assert [metric.name for metric in metrics] == ["copied_words", "copied_share"]
    assert all((metric.family, metric.better, metric.tested) == ("copying", "neither", False) for metric in metrics)
    assert not any(metric.missing for metric in metrics)
