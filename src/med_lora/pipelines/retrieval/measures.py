"""How good the rankings are, whatever a model makes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from med_lora.parameters import EvaluationParams, RetrievalParams
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.pipelines.retrieval.relevance import Grades, known_passages, passages_with_words
from med_lora.retrieval.index import PassageIndex
from med_lora.statistics.resampling import resample

MEASURE_COLUMNS = ["ranking", "metric", "relevance", "k", "n", "groups", "value", "low", "high", "note"]
RECALL_AT = (1, 3, 5, 10)
NDCG_AT = 10


def measure_retrieval(
    test: Split,
    retrieved: pd.DataFrame,
    passage_index: PassageIndex,
    retrieval: RetrievalParams,
    evaluation: EvaluationParams,
) -> pd.DataFrame:
    """Recall, reciprocal rank and nDCG of each ranking, with intervals of a cluster bootstrap over groups.

    Means over the pairs with a relevant passage in the index. Of one pair, with the ``retrieval.candidates`` first
    passages:

    - ``recall@k``: share of the relevant passages that are among the first k.
    - ``mrr``: 1 / rank of the first relevant passage, 0 where none is among them.
    - ``ndcg@k``: the sum of grade / log2(rank + 1) over the first k, by that of the best possible ranking of the index
      (Jarvelin and Kekalainen 2002, with linear gains).

    Relevance is ``known`` (:func:`~.relevance.known_passages`) or by ``words``
    (:func:`~.relevance.passages_with_words`).

    Args:
        test: the pairs.
        retrieved: as :func:`~.nodes.retrieve` returns it.
        passage_index: the passages that could be found.
        retrieval: method, candidates and relevance.
        evaluation: confidence, resamples and seed of the intervals.

    Returns:
        ``MEASURE_COLUMNS``, a row for each relevance, ranking (``fused``, ``dense``, ``bm25`` where they are ranked)
        and metric; groups are those of the pairs counted; NaN where no pair counts, and no interval below two groups;
        the note says how many pairs do not count.
    """
    pairs = read_pairs(test, "test").sort_values("id")
    groups = pairs.set_index("id")["group"]
    passages = passage_index.passages
    relevant = {
        "known": known_passages(pairs, passages),
        "words": passages_with_words(pairs, passages, retrieval.relevance),
    }
    rankings = read_rankings(retrieved, retrieval)
    rows = [
        row
        for relevance, grades in relevant.items()
        for ranking, ranked in rankings.items()
        for row in _measure(ranking, ranked, relevance, grades, groups, retrieval.candidates, evaluation)
    ]
    return pd.DataFrame(rows, columns=MEASURE_COLUMNS)


def read_rankings(retrieved: pd.DataFrame, retrieval: RetrievalParams) -> dict[str, dict[str, list[str]]]:
    """For each ranking the ids of the passages that it gives every pair, best first, ``candidates`` at most."""
    columns: dict[str, str] = {retrieval.method: "rank"}
    if retrieval.method == "fused":
        columns |= {"dense": "dense_rank", "bm25": "bm25_rank"}
    rankings = {}
    for ranking, column in columns.items():
        rows = retrieved[retrieved[column] <= retrieval.candidates].sort_values(["id", column])
        rankings[ranking] = {str(pair): list(found) for pair, found in rows.groupby("id")["passage"]}
    return rankings


def score_ranking(ranked: Sequence[str], grades: Mapping[str, float], candidates: int) -> dict[tuple[str, int], float]:
    """Each metric of one ranking, by name and k; ``grades`` holds at least one relevant passage."""
    found = np.array([grades.get(passage, 0.0) for passage in ranked[:candidates]], dtype=np.float64)
    hits = np.flatnonzero(found)
    scores = {(f"recall@{k}", k): float((hits < k).sum()) / len(grades) for k in RECALL_AT if k <= candidates}
    scores["mrr", candidates] = 1 / (int(hits[0]) + 1) if len(hits) else 0.0
    k = min(NDCG_AT, candidates)
    best = np.array(sorted(grades.values(), reverse=True), dtype=np.float64)
    scores[f"ndcg@{k}", k] = _discounted(found[:k]) / _discounted(best[:k])
    return scores


def _discounted(gains: np.ndarray) -> float:
    # an exact sum: a best ranking scores 1 whatever the order of equal grades
    return math.fsum(gains / np.log2(np.arange(2, len(gains) + 2)))


def _measure(
    ranking: str,
    ranked: Mapping[str, list[str]],
    relevance: str,
    grades: Grades,
    groups: pd.Series,
    candidates: int,
    evaluation: EvaluationParams,
) -> list[tuple[object, ...]]:
    counted = [pair for pair in groups.index if grades[pair]]
    without = len(groups) - len(counted)
    note = f"{without} of {len(groups)} pairs have no relevant passage in the index" if without else ""
    scores = [score_ranking(ranked.get(pair, []), grades[pair], candidates) for pair in counted]
    # of no pair the metrics are named all the same
    names = list(scores[0] if scores else score_ranking([], {"": 1.0}, candidates))
    items = pd.DataFrame(
        {(ranking, metric): [of_pair[metric, k] for of_pair in scores] for metric, k in names},
        index=pd.Index(counted),
        dtype="float64",
    )
    members = groups.loc[counted]
    drawn = resample(items, members, evaluation.bootstrap_samples, evaluation.seed)
    rows: list[tuple[object, ...]] = []
    for metric, k in names:
        value = float(items[ranking, metric].mean()) if counted else math.nan
        interval = drawn.mean((ranking, metric)).interval(evaluation.confidence)
        rows.append((ranking, metric, relevance, k, len(counted), members.nunique(), value, *interval, note))
    return rows
