"""Lexical scores of a corpus, with intervals from the statistics of its pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from med_lora.metrics import ngrams
from med_lora.metrics.lexical import STATISTICS
from med_lora.metrics.ngrams import Floats
from med_lora.parameters import EvaluationParams
from med_lora.statistics.resampling import Estimate, Resamples, resample

LEXICAL_MEANS = ("rouge1", "rouge2", "rougeL")


class CorpusMetric(NamedTuple):
    """A score of summed statistics.

    Attributes:
        name: as in the table; ``bleu_unsmoothed`` is that of words between white space, ``sacrebleu`` the standard
            (Post 2018).
        statistics: names of those of a pair.
        of_draws: [..., width] to [...].
        of_sums: the score of the corpus itself, [width] to a number.
        signature: as a paper would state it.
    """

    name: str
    statistics: tuple[str, ...]
    of_draws: Callable[[Floats], Floats]
    of_sums: Callable[[Floats], float]
    signature: str


def corpus_metrics() -> list[CorpusMetric]:
    """BLEU, sacreBLEU and chrF."""
    torchmetrics = f"torchmetrics {version('torchmetrics')}|BLEUScore|case:mixed|tok:white space|smooth:none|x 100"
    sacrebleu = f"sacrebleu|{ngrams.bleu_signature(effective_order=False)}"
    chrf = f"sacrebleu|{ngrams.chrf_signature()}"
    return [
        CorpusMetric("bleu_unsmoothed", STATISTICS["bleu"], _unsmoothed, torchmetrics_bleu, torchmetrics),
        CorpusMetric(
            "sacrebleu", STATISTICS["sacrebleu"], ngrams.bleu, lambda sums: float(ngrams.bleu(sums)), sacrebleu
        ),
        CorpusMetric("chrf", STATISTICS["chrf"], ngrams.chrf, lambda sums: float(ngrams.chrf(sums)), chrf),
    ]


def _unsmoothed(draws: Floats) -> Floats:
    return ngrams.bleu(draws, smoothed=False)


def torchmetrics_bleu(sums: Floats) -> float:
    """torchmetrics' BLEU of summed statistics, in 0-100.

    Its own counting adds one n-gram at a time to a tensor: 1.2 to 2.0 ms a pair, against 0.04 to 0.07 ms of the count
    here (four rounds of 200 pairs).
    """
    import torch
    from torchmetrics.text import BLEUScore

    metric = BLEUScore(n_gram=ngrams.BLEU_ORDER)
    metric.update([], [])  # what is counted elsewhere joins its states, as those of another process would
    table = torch.tensor(np.asarray(sums), dtype=torch.float64)
    metric.preds_len, metric.target_len = table[0], table[1]
    metric.numerator, metric.denominator = table[2 : 2 + ngrams.BLEU_ORDER], table[2 + ngrams.BLEU_ORDER :]
    return 100 * float(metric.compute())


def score_arms(
    statistics: pd.DataFrame,
    means: pd.DataFrame,
    groups: pd.Series,
    excluded: Collection[str],
    evaluation: EvaluationParams,
) -> pd.DataFrame:
    """Corpus scores of every arm, without the excluded pairs and over all.

    Args:
        statistics: columns id, arm and those of ``lexical.STATISTICS``, a row a pair and arm.
        means: scores of pairs, of which the mean is stated: index id, columns (arm, metric).
        groups: of each pair, by id.
        excluded: ids.
        evaluation: the bootstrap.

    Returns:
        Columns arm, metric, n, value, low, high, signature, n_all, value_all, low_all, high_all; arms in the order of
        ``statistics``.
    """
    arms = list(dict.fromkeys(statistics["arm"]))
    wide = statistics.pivot(index="id", columns="arm").swaplevel(axis=1)
    whole = pd.concat([wide, means], axis=1).sort_index()
    kept = whole[~whole.index.isin(list(excluded))]
    parts = []
    for items in (kept, whole):
        resamples = resample(items, groups, evaluation.bootstrap_samples, evaluation.seed)
        parts.append(pd.DataFrame(_state(items, resamples, arms, evaluation.confidence)))
    stated, of_all = parts
    measured = of_all[["n", "value", "low", "high"]].add_suffix("_all")
    return pd.concat([stated, measured], axis=1)


def _state(
    items: pd.DataFrame, resamples: Resamples, arms: Sequence[str], confidence: float
) -> Iterator[dict[str, Any]]:
    columns = {column: place for place, column in enumerate(resamples.columns)}
    metrics = corpus_metrics()
    for arm in arms:
        for metric in metrics:
            names = [(arm, name) for name in metric.statistics]
            value = metric.of_sums(items[names].sum().to_numpy()) if len(items) else math.nan
            draws = metric.of_draws(resamples.draws[:, [columns[name] for name in names]])
            estimate = Estimate(value, draws if resamples.groups > 1 else resamples.sizes)
            yield _row(arm, metric.name, len(items), estimate, confidence, metric.signature)
        for name in (name for name in LEXICAL_MEANS if (arm, name) in columns):
            value = float(items[(arm, name)].mean())
            estimate = Estimate(value, resamples.mean((arm, name)).draws)
            yield _row(arm, name, len(items), estimate, confidence, "mean over pairs, as in the comparison")


def _row(arm: str, metric: str, n: int, estimate: Estimate, confidence: float, signature: str) -> dict[str, Any]:
    low, high = estimate.interval(confidence)
    return {
        "arm": arm,
        "metric": metric,
        "n": n,
        "value": estimate.value,
        "low": low,
        "high": high,
        "signature": signature,
    }
