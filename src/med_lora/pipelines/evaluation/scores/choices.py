"""Accuracy of the final choice, where the question has one."""

from __future__ import annotations

import pandas as pd

from med_lora.metrics.choices import choice_metrics, list_options, read_choice
from med_lora.metrics.definition import SCORE_COLUMNS, tabulate_metrics
from med_lora.pipelines.evaluation.splits import Split, read_pairs


def score_choices(arm_texts: pd.DataFrame, test: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Whether every answer makes the right choice, and whether none could be read, of the pairs that have a choice.

    The references count as answers too (kind ``gold``): one that does not state its own choice, such as PubMedQA's
    conclusions, teaches a model not to.

    Returns:
        Columns id, arm, metric, score; and the table of the metrics; both empty where no pair has a choice.
    """
    pairs = read_pairs(test, "test")
    chosen = pairs[pairs["choice"].fillna("") != ""] if "choice" in pairs else pairs.iloc[:0]
    if chosen.empty:
        scores = pd.DataFrame({column: pd.Series(dtype="str") for column in SCORE_COLUMNS})
        return scores.astype({"score": "float64"}), tabulate_metrics([])
    options = {
        pair: (choice, list_options(question, choice))
        for pair, question, choice in chosen[["id", "question", "choice"]].itertuples(index=False)
    }
    rows = arm_texts[arm_texts["id"].isin(options)][["id", "arm", "answer"]].reset_index(drop=True)
    read = [read_choice(answer, options[pair][1]) for pair, answer in zip(rows["id"], rows["answer"], strict=True)]
    right = [found == options[pair][0] for pair, found in zip(rows["id"], read, strict=True)]
    parts = [
        rows.assign(metric="choice_accuracy", score=pd.Series(right, dtype="float64")),
        rows.assign(metric="choice_unparsed", score=pd.Series([found is None for found in read], dtype="float64")),
    ]
    return pd.concat(parts, ignore_index=True)[SCORE_COLUMNS], tabulate_metrics(choice_metrics())
