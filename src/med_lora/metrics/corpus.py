"""Lexical scores of a corpus, with intervals from the statistics of its pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from med_lora.metrics import ngrams
from med_lora.metrics.ngrams import BLEU_WIDTH, CHRF_WIDTH, Floats
from med_lora.metrics.parallel import Pairs, cores, map_pairs
from med_lora.parameters import EvaluationParams
from med_lora.statistics.resampling import Estimate, Resamples, resample

LEXICAL_MEANS = ("rouge1", "rouge2", "rougeL")


class CorpusMetric(NamedTuple):
    """A score of summed statistics.

    Attributes:
        name: as in the table; ``bleu`` is that of words between white space, unsmoothed, ``sacrebleu`` the standard
            (Post 2018).
        width: statistics of a pair.
        of_draws: [..., width] to [...].
        of_sums: the score of the corpus itself, [width] to a number.
        signature: as a paper would state it.
    """

    name: str
    width: int
    of_draws: Callable[[Floats], Floats]
    of_sums: Callable[[Floats], float]
    signature: str


def corpus_metrics() -> list[CorpusMetric]:
    """BLEU, sacreBLEU and chrF, in the order of the columns of :func:`count_pairs`."""
    torchmetrics = f"torchmetrics {version('torchmetrics')}|BLEUScore|case:mixed|tok:white space|smooth:none|x 100"
    sacrebleu = f"sacrebleu|{ngrams.bleu_signature(effective_order=False)}"
    chrf = f"sacrebleu|{ngrams.chrf_signature()}"
    return [
        CorpusMetric("bleu", BLEU_WIDTH, _unsmoothed, torchmetrics_bleu, torchmetrics),
        CorpusMetric("sacrebleu", BLEU_WIDTH, ngrams.bleu, lambda sums: float(ngrams.bleu(sums)), sacrebleu),
        CorpusMetric("chrf", CHRF_WIDTH, ngrams.chrf, lambda sums: float(ngrams.chrf(sums)), chrf),
    ]


def _unsmoothed(draws: Floats) -> Floats:
    return ngrams.bleu(draws, smoothed=False)


def torchmetrics_bleu(sums: Floats) -> float:
    """torchmetrics' BLEU of summed statistics, in 0-100.

    Its own counting adds one n-gram at a time to a tensor, a hundred times slower than the count here.
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
    texts: pd.DataFrame, means: pd.DataFrame, groups: pd.Series, excluded: Collection[str], evaluation: EvaluationParams
) -> pd.DataFrame:
    """Corpus scores of every arm, without the excluded pairs and over all.

    Args:
        texts: columns id, arm, answer, reference.
        means: scores of pairs, of which the mean is stated: index id, columns (arm, metric).
        groups: of each pair, by id.
        excluded: ids.
        evaluation: the bootstrap.

    Returns:
        Columns arm, metric, n, value, low, high, signature, n_all, value_all, low_all, high_all; arms in the order of
        ``texts``.
    """
    arms = list(dict.fromkeys(texts["arm"]))
    whole = pd.concat([_count(texts, arms), means], axis=1).sort_index()
    kept = whole[~whole.index.isin(list(excluded))]
    parts = []
    for items in (kept, whole):
        resamples = resample(items, groups, evaluation.bootstrap_samples, evaluation.seed)
        parts.append(pd.DataFrame(_state(items, resamples, arms, evaluation.confidence)))
    stated, of_all = parts
    measured = of_all[["n", "value", "low", "high"]].add_suffix("_all")
    return pd.concat([stated, measured], axis=1)


def _count(texts: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """Statistics of every pair: index id, columns (arm, place)."""
    pairs = list(zip(texts["answer"], texts["reference"], strict=True))
    counted = map_pairs(count_pairs, count_pairs, pairs, cores(), "corpus statistics")
    table = pd.DataFrame(counted).assign(id=list(texts["id"]), arm=list(texts["arm"]))
    wide = table.pivot(index="id", columns="arm").swaplevel(axis=1)
    columns = [(arm, place) for arm in arms for place in range(counted.shape[1])]
    return wide[columns].set_axis(pd.MultiIndex.from_tuples([(arm, str(place)) for arm, place in columns]), axis=1)


def count_pairs(pairs: Pairs) -> Floats:
    """Statistics of (answer, reference) pairs for all of :func:`corpus_metrics`, one after the other."""
    rows = []
    for answer, reference in pairs:
        plain, words, characters = _count_text(answer)
        of_reference = _count_text(reference)
        rows.append(
            [
                *ngrams.match_words(plain, of_reference[0]),
                *ngrams.match_words(words, of_reference[1]),
                *ngrams.match_characters(characters, of_reference[2]),
            ]
        )
    return np.array(rows, dtype=np.float64)


@lru_cache(maxsize=64)
def _count_text(text: str) -> tuple[Any, Any, Any]:
    return (
        ngrams.count_words(text.split()),
        ngrams.count_words(ngrams.bleu_tokens(text)),
        ngrams.count_characters(text),
    )


def _state(
    items: pd.DataFrame, resamples: Resamples, arms: Sequence[str], confidence: float
) -> Iterator[dict[str, Any]]:
    columns = {column: place for place, column in enumerate(resamples.columns)}
    metrics = corpus_metrics()
    for arm in arms:
        start = 0
        for metric in metrics:
            names = [(arm, str(place)) for place in range(start, start + metric.width)]
            start += metric.width
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
