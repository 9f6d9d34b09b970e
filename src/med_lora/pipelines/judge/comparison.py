"""The arms compared by the judge's scores."""

from __future__ import annotations

import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.arms import compare
from med_lora.pipelines.evaluation.comparison.contrasts import RETRIEVAL, TUNING
from med_lora.pipelines.judge.candidates import ASKS_FOR_5, PADDED


def compare_judged(
    judge_scores: pd.DataFrame, judge_metrics: pd.DataFrame, evaluation: EvaluationParams
) -> pd.DataFrame:
    """Base against tuned, and the arms with passages where they were judged, by every metric of the judge.

    A pair counts for a metric where both arms have a score of it. Intervals are of the cluster bootstrap over groups
    and p-values of the signed-rank test, corrected by Holm over all metrics and contrasts; ``mann_whitney_p`` is the
    unpaired and uncorrected test that studies publish for such scores.

    Returns:
        The columns of :func:`~med_lora.pipelines.evaluation.comparison.arms.compare`.
    """
    judged = set(judge_scores["arm"])
    contrasts = [TUNING, *(contrast for contrast in RETRIEVAL if set(contrast) <= judged)]
    # answers of an arm, changed for the checks: no rivals of the arms
    scores = judge_scores[~judge_scores["arm"].isin((ASKS_FOR_5, PADDED))]
    return compare(scores, judge_metrics, contrasts, evaluation)
