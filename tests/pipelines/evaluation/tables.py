"""What a comparison rests on: answers and losses of two arms, scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from med_lora.metrics.definition import SCORE_COLUMNS, Metric, tabulate_metrics
from med_lora.metrics.lexical import score_pair
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.arms import compare_arms
from med_lora.pipelines.evaluation.controls.texts import collect_texts
from med_lora.pipelines.evaluation.scores.scoring import collect_scores, read_facts

from .conftest import Table

OVERLAP = ["rouge1", "rouge2", "rougeL", "bleu", "exact_match", "token_f1"]
TESTED = ["perplexity", *OVERLAP]
UNTESTED = ["bits_per_byte", "length_ratio", "answer_cut", "answer_empty", "prompt_truncated"]
CONTROLS = ["shuffled_reference", "echoed_question", "nearest_training_answer", "constant_best_answer"]


@dataclass(frozen=True)
class Tables:
    """What the comparison rests on."""

    test: Table
    train: Table
    base_answers: pd.DataFrame
    tuned_answers: pd.DataFrame
    base_losses: pd.DataFrame
    tuned_losses: pd.DataFrame

    def score(self, evaluation: EvaluationParams) -> tuple[pd.DataFrame, pd.DataFrame]:
        texts = collect_texts(self.test, self.train, evaluation, base=self.base_answers, tuned=self.tuned_answers)
        facts = read_facts(
            base_answers=self.base_answers,
            tuned_answers=self.tuned_answers,
            base_losses=self.base_losses,
            tuned_losses=self.tuned_losses,
        )
        return collect_scores(self.test, *facts, *score_texts(texts, self.test))

    def losses(self) -> dict[str, pd.DataFrame]:
        return {"base": self.base_losses, "tuned": self.tuned_losses}

    def compare(self, evaluation: EvaluationParams) -> tuple[pd.DataFrame, pd.DataFrame]:
        found = compare_arms(*self.score(evaluation), self.base_losses, self.tuned_losses, evaluation)
        return found[0].set_index("metric"), found[1].set_index(["arm", "metric"])


def score_texts(texts: pd.DataFrame, test: Table) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Some overlap scores of models and controls, and the length of all of them and of the references themselves."""
    references = dict(zip(test.frame["id"], test.frame["answer"], strict=True))
    rows: list[tuple[str, str, str, float]] = []
    for pair, arm, kind, answer in texts.itertuples(index=False):
        overlap = score_pair(answer, references[pair]) if kind != "gold" else {}
        rows += [(pair, arm, name, overlap[name]) for name in OVERLAP if overlap]
        rows.append((pair, arm, "length_ratio", len(answer.split()) / len(references[pair].split())))
    metrics = [Metric(name, "overlap", "higher", True, "made for a test") for name in OVERLAP]
    metrics.append(Metric("length_ratio", "conduct", "neither", False, "made for a test"))
    return pd.DataFrame(rows, columns=SCORE_COLUMNS), tabulate_metrics(metrics)


def make_answers(ids: pd.Series, texts: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": list(ids),
            "answer": texts,
            "prompt_tokens": 5,
            "new_tokens": 9,
            "finish_reason": "eos",
            "prompt_truncated": False,
            "empty": [not text for text in texts],
        }
    )


def flag(answers: pd.DataFrame, pair: str, **values: Any) -> pd.DataFrame:
    changed = answers.copy()
    for column, value in values.items():
        changed.loc[changed["id"] == pair, column] = value
    return changed


def group(tables: Tables, groups: list[int]) -> Tables:
    return replace(tables, test=Table(tables.test.frame.assign(group=groups)))


def widen(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    return scores[scores["metric"] == metric].pivot(index="id", columns="arm", values="score")


def make_tables(test_split: Table, train_split: Table) -> Tables:
    """The tuned arm answers with the reference but for its first word, the base arm with its last two words."""
    pairs = test_split.frame
    tokens = np.arange(5, 12)
    losses = {"id": list(pairs["id"]), "tokens": tokens, "answer_bytes": 4 * tokens}
    return Tables(
        test_split,
        train_split,
        make_answers(pairs["id"], [" ".join(answer.split()[-2:]) for answer in pairs["answer"]]),
        make_answers(pairs["id"], [" ".join(["Well,", *answer.split()[1:]]) for answer in pairs["answer"]]),
        pd.DataFrame({**losses, "nll": tokens * np.linspace(2, 5, 7)}),
        pd.DataFrame({**losses, "nll": tokens * np.linspace(1, 2, 7)}),
    )
