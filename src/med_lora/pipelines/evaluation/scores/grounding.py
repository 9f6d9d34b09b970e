"""How far the answers of every arm rest on the passages that retrieval found for their questions."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from med_lora.metrics.definition import SCORE_COLUMNS, tabulate_metrics
from med_lora.metrics.grounding import Basis, grounding_metrics, read_basis, read_claims, score_claims
from med_lora.pipelines.evaluation.splits import Split, read_pairs


class _Shown(NamedTuple):
    place: int
    text: str
    citation: str


def score_grounding(arm_texts: pd.DataFrame, contexts: pd.DataFrame, test: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The metrics of :func:`~med_lora.metrics.grounding.score_claims` for every answer, against the same passages.

    Arms that were given no passages, controls and references (kind ``gold``) are scored too: they show what agreement
    comes without reading, and what a right answer would have.

    Args:
        arm_texts: columns id, arm, kind, answer.
        contexts: passages shown; columns id (of the pair), place, citation, text.
        test: the pairs.

    Returns:
        Columns id, arm, metric, score, with NaN where a metric is not defined; and the table of the metrics.
    """
    pairs = read_pairs(test, "test")
    bases = read_bases(contexts, pairs)
    claims = {answer: read_claims(answer) for answer in arm_texts["answer"].unique()}
    rows = [
        {"id": pair, "arm": arm, **score_claims(claims[answer], bases[pair])}
        for pair, arm, answer in arm_texts[["id", "arm", "answer"]].itertuples(index=False)
    ]
    metrics = grounding_metrics()
    wide = pd.DataFrame(rows, columns=["id", "arm", *(metric.name for metric in metrics)])
    scores = wide.melt(id_vars=["id", "arm"], var_name="metric", value_name="score")
    return scores[SCORE_COLUMNS], tabulate_metrics(metrics)


def read_bases(contexts: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, Basis]:
    """What an answer to each question may rest on, by id; questions without passages have a basis too."""
    shown: dict[str, list[_Shown]] = {}
    for pair, *passage in contexts[["id", "place", "text", "citation"]].itertuples(index=False):
        shown.setdefault(pair, []).append(_Shown(*passage))
    return {
        pair: read_basis(question, shown.get(pair, ()))
        for pair, question in pairs[["id", "question"]].itertuples(index=False)
    }
