"""The node of final choices."""

from __future__ import annotations

import pandas as pd

from med_lora.metrics.definition import SCORE_COLUMNS
from med_lora.pipelines.evaluation.scores.choices import score_choices
from tests.pipelines.evaluation.conftest import Table

OPTIONS = "Which suits?\nA. Iron\nB. Zinc"
PAIRS = pd.DataFrame(
    [("a", OPTIONS, "B. Zinc", "B"), ("b", "Does it help?", "It does.", "yes"), ("c", "What is gout?", "Gout.", "")],
    columns=["id", "question", "answer", "choice"],
)


def arm_texts(answers: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(answers, columns=["id", "arm", "kind", "answer"])


def test_accuracy_counts_unparsed_answers_as_wrong_and_only_pairs_with_a_choice() -> None:
    answers = [
        ("c", "base", "model", "yes"),
        ("b", "base", "model", "Yes."),
        ("a", "base", "model", "The answer is A."),
        ("a", "tuned", "model", "A or B"),
        ("b", "gold", "gold", "It does."),
        ("a", "gold", "gold", "B. Zinc"),
    ]
    scores, metrics = score_choices(arm_texts(answers), Table(PAIRS))
    assert list(scores.columns) == SCORE_COLUMNS
    table = scores.set_index(["arm", "id", "metric"])["score"].to_dict()
    assert table == {
        ("base", "b", "choice_accuracy"): 1,
        ("base", "a", "choice_accuracy"): 0,
        ("tuned", "a", "choice_accuracy"): 0,
        ("gold", "b", "choice_accuracy"): 0,
        ("gold", "a", "choice_accuracy"): 1,
        ("base", "b", "choice_unparsed"): 0,
        ("base", "a", "choice_unparsed"): 0,
        ("tuned", "a", "choice_unparsed"): 1,
        ("gold", "b", "choice_unparsed"): 1,
        ("gold", "a", "choice_unparsed"): 0,
    }
    assert list(metrics["name"]) == ["choice_accuracy", "choice_unparsed"]


def test_a_test_split_without_choices_gives_empty_tables() -> None:
    answers = arm_texts([("c", "base", "model", "yes")])
    for pairs in (PAIRS[PAIRS["choice"] == ""], PAIRS.drop(columns="choice")):
        scores, metrics = score_choices(answers, Table(pairs))
        assert scores.empty
        assert list(scores.columns) == SCORE_COLUMNS
        assert scores["score"].dtype == "float64"
        assert metrics.empty
        assert "missing" in metrics
