"""The tables of a run that a study's figures are compared with, read by arm and metric."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from med_lora.arms import BARE_ARMS
from med_lora.report_page.records import read_records

NAN = math.nan


@dataclass(frozen=True)
class RunTables:
    """What a run left; None where it did not measure it.

    Attributes:
        comparison: base and tuned model, as the evaluation writes it; so are the next two.
        corpus_scores: metrics of the test set as a whole.
        as_published: figures in ways that studies have used.
        training_history: step, epoch, metric, value.
        scores: id, group, arm, metric, score.
        latency: seconds of an answer.
        judge_comparison: arms on the judge's axes.
        retrieval_comparison: arms with passages.
        benchmark_comparison: arms on exams.
        forgetting: general English before and after.
        examples: as ``choose_examples`` returns them.
        probes: answers to the fixed questions, as ``collect_probes`` returns them.
        step_tokens: tokens of a training step, where all steps but the last of a pass have equally many; else 0.
    """

    comparison: pd.DataFrame
    corpus_scores: pd.DataFrame
    as_published: pd.DataFrame
    training_history: pd.DataFrame
    scores: pd.DataFrame | None = None
    latency: pd.DataFrame | None = None
    judge_comparison: pd.DataFrame | None = None
    retrieval_comparison: pd.DataFrame | None = None
    benchmark_comparison: pd.DataFrame | None = None
    forgetting: pd.DataFrame | None = None
    examples: pd.DataFrame | None = None
    probes: pd.DataFrame | None = None
    step_tokens: int = 0

    def contrast(self, metric: str, arm: str = "tuned") -> dict[str, Any] | None:
        """One metric of ``arm`` beside the base model; None where the run has none.

        Returns:
            base, value (of the arm), difference, ratio and the bounds of each (``_low``, ``_high``), n, p_holm,
            mann_whitney_p, signature.
        """
        if not metric.startswith("judge_") and arm in BARE_ARMS:
            rows = read_records(self.comparison[self.comparison["metric"] == metric])
            return _contrast(rows[0], "base", "tuned", "") if rows else None
        table = self.judge_comparison if metric.startswith("judge_") else self.retrieval_comparison
        if table is None:
            return None
        arms = (table["reference"] == "base") & (table["arm"] == ("tuned" if arm == "base" else arm))
        rows = read_records(table[arms & (table["metric"] == metric)])
        return _contrast(rows[0], "reference", "arm", "_mean") if rows else None

    def losses(self, name: str) -> pd.Series:
        """The values of one metric of the training history by step."""
        rows = self.training_history[self.training_history["metric"] == name]
        return pd.Series(rows["value"].to_numpy(dtype=float), index=rows["step"].astype(int))

    def published_way(self, quantity: str, variant: str) -> dict[str, Any] | None:
        """A row of ``as_published``."""
        table = self.as_published
        rows = read_records(table[(table["quantity"] == quantity) & (table["variant"] == variant)])
        return rows[0] if rows else None

    def probe_answer(self, number: int, arm: str) -> dict[str, Any] | None:
        """What is known of the answer to one of the fixed questions; None where the run or the arm was not asked it."""
        if self.probes is None:
            return None
        rows = read_records(self.probes[(self.probes["number"] == number) & (self.probes["arm"] == arm)])
        return show_facts(rows[0]) if rows else None

    def question_scores(self, metric: str, arm: str) -> pd.Series:
        """The scores of single questions by id; empty where none was scored."""
        if self.scores is None:
            return pd.Series(dtype=float)
        rows = self.scores[(self.scores["arm"] == arm) & (self.scores["metric"] == metric)]
        return rows.set_index("id")["score"].dropna()


def show_facts(row: dict[str, Any]) -> dict[str, Any]:
    """The facts of the answer to a fixed question under the names of the studies' tables, without its text."""
    facts = {"words": float(row["words"]), "refused": row["refusal"], "cut": float(row["finish_reason"] == "length")}
    return facts | {"cites_passage": row["cites_passage"], "passages": row["passages"]}


def _contrast(row: dict[str, Any], reference: str, arm: str, mean: str) -> dict[str, Any]:
    """A row of a comparison under names that fit every table of arms."""
    columns = {
        "base": (reference, mean),
        "value": (arm, mean),
        "difference": ("difference", ""),
        "ratio": ("ratio", ""),
    }
    read = {key: row[key] for key in ("n", "p_holm", "mann_whitney_p", "signature")}
    for name, (column, end) in columns.items():
        read |= {
            name: row[f"{column}{end}"],
            f"{name}_low": row[f"{column}_low"],
            f"{name}_high": row[f"{column}_high"],
        }
    return read
