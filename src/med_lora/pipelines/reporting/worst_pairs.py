"""The pairs on which the tuned model did worst, for a person to read."""

from __future__ import annotations

from typing import Any

import pandas as pd

from med_lora.parameters import EvaluationParams, ReportingParams
from med_lora.pipelines.reporting.headline import CONTROLLED_METRIC
from med_lora.pipelines.reporting.shown_pairs import gather_shown

COLUMNS = ["kind", "id", "metric", "base_score", "tuned_score", "question", "reference"]
LOST, LOWEST = "lost", "lowest"


def find_errors(
    test: Any,
    scores: pd.DataFrame,
    comparison: pd.DataFrame,
    reporting: ReportingParams,
    evaluation: EvaluationParams,
    **answers: pd.DataFrame,
) -> pd.DataFrame:
    """The pairs where the tuned model lost most against the base model, and the other ones where it scored lowest.

    They are chosen by their score alone, ties by id, from the pairs that both arms were scored on and that the
    comparison keeps (:func:`gather_shown`). They are no sample: nothing can be concluded from how many there are.

    Args:
        test: ``datasets.Dataset`` (or any table with ``to_pandas``) with id, question and answer.
        scores: id, group, arm, metric, score.
        comparison: metric, family, better, n, excluded.
        reporting: ``examples`` is the number of each kind.
        evaluation: the kinds of answers that are left out.
        answers: id, answer and finish_reason of each arm, by its name.

    Returns:
        Columns kind ("lost" or "lowest"), id, metric (ROUGE-L F, or the first text metric that was scored), base_score,
        tuned_score, question, reference, and of each arm its answer (under its name) and finish_reason
        (``<arm>_finish``). Without a row where no metric was scored.
    """
    metric = _choose_metric(comparison)
    scored = _score_pairs(scores, metric, evaluation) if metric else pd.DataFrame()
    if scored.empty:
        return pd.DataFrame(columns=[*COLUMNS, *(f"{arm}{end}" for arm in answers for end in ("", "_finish"))])
    lost = scored[scored["gain"] < 0].sort_values(["gain", "id"]).head(reporting.examples)
    rest = scored[~scored["id"].isin(lost["id"])]
    lowest = rest.sort_values(["tuned_score", "id"]).head(reporting.examples)
    found = pd.concat([lost.assign(kind=LOST), lowest.assign(kind=LOWEST)], ignore_index=True)
    pairs = test.to_pandas().set_index("id").loc[list(found["id"])]
    found = found.assign(metric=metric, question=list(pairs["question"]), reference=list(pairs["answer"]))[COLUMNS]
    for arm, table in answers.items():
        of_arm = table.set_index("id").loc[list(found["id"])]
        found = found.assign(**{arm: list(of_arm["answer"]), f"{arm}_finish": list(of_arm["finish_reason"])})
    return found


def _choose_metric(comparison: pd.DataFrame) -> str:
    """ROUGE-L where it was scored, else the first text metric that was; "" without one."""
    scored = comparison[comparison["family"].isin(["overlap", "choice", "meaning"])]
    scored = scored[(scored["better"] == "higher") & scored["base_all"].notna() & scored["tuned_all"].notna()]
    names = [str(name) for name in scored["metric"]]
    return CONTROLLED_METRIC if CONTROLLED_METRIC in names else next(iter(names), "")


def _score_pairs(scores: pd.DataFrame, metric: str, evaluation: EvaluationParams) -> pd.DataFrame:
    """id, base_score, tuned_score and gain of the pairs that both arms were scored on and that the comparison keeps."""
    shown = gather_shown(scores, evaluation).of(metric).rename(columns={"base": "base_score", "tuned": "tuned_score"})
    gain = (shown["tuned_score"] - shown["base_score"]).round(9)  # equal losses stay equal
    return shown.assign(gain=gain).reset_index()
