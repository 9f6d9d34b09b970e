"""BLEU and chrF from their sufficient statistics, which add up over pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from med_lora.metrics.overlap import count_matches, count_ngrams

Floats = npt.NDArray[np.float64]
BLEU_ORDER = 4
CHRF_ORDER = 6
CHRF_BETA = 2
BLEU_WIDTH = 2 + 2 * BLEU_ORDER
CHRF_WIDTH = 3 * CHRF_ORDER


def count_words(tokens: Sequence[str]) -> list[Counter[Any]]:
    """Word n-grams of the orders 1 to ``BLEU_ORDER``."""
    return [count_ngrams(tokens, order) for order in range(1, BLEU_ORDER + 1)]


def count_characters(text: str) -> list[Counter[Any]]:
    """Character n-grams of the orders 1 to ``CHRF_ORDER``, white space left out."""
    text = "".join(text.split())
    return [
        Counter([text[start : start + order] for start in range(len(text) - order + 1)])
        for order in range(1, CHRF_ORDER + 1)
    ]


def match_words(answer: Sequence[Counter[Any]], reference: Sequence[Counter[Any]]) -> list[int]:
    """BLEU's statistics of one pair: words of the answer, of the reference; by order matched n-grams, then all."""
    matched = [count_matches(left, right) for left, right in zip(answer, reference, strict=True)]
    return [answer[0].total(), reference[0].total(), *matched, *(counts.total() for counts in answer)]


def match_characters(answer: Sequence[Counter[Any]], reference: Sequence[Counter[Any]]) -> list[int]:
    """chrF's statistics of one pair, by order: n-grams of the answer (0 without any of the reference), of the
    reference, matched ones."""
    statistics: list[int] = []
    for left, right in zip(answer, reference, strict=True):
        statistics += [left.total() if right else 0, right.total(), count_matches(left, right)]
    return statistics


def bleu(statistics: npt.ArrayLike, *, effective_order: bool = False, smoothed: bool = True) -> Floats:
    """BLEU (Papineni et al. 2002) in 0-100, zero matches smoothed as in mteval-v13a (sacrebleu's ``exp``).

    Args:
        statistics: [..., BLEU_WIDTH], of a sentence or summed over sentences.
        effective_order: leave out the orders for which the answer is too short, as for single sentences.
        smoothed: False gives 0 where an order has no match.

    Returns:
        [...]; 0 where nothing matches.
    """
    table = np.asarray(statistics, dtype=np.float64)
    answer, reference = table[..., 0], table[..., 1]
    matched, found = table[..., 2 : 2 + BLEU_ORDER], table[..., 2 + BLEU_ORDER :]
    possible = found > 0
    # the k-th order without a match counts as half as much a match as the one before it
    halvings = np.cumsum(possible & (matched == 0), axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precisions = np.where(matched > 0, matched, np.exp2(-halvings)) / found
        logs = np.where(possible, np.log(precisions), 0.0)
        orders = possible.sum(axis=-1)
        means = logs.sum(axis=-1) / (orders if effective_order else BLEU_ORDER)
        brevity = np.where(answer < reference, 1 - reference / answer, 0.0)
    enough = (matched > 0).any(axis=-1) if smoothed else (matched > 0).all(axis=-1)
    scored = enough & (effective_order | (orders == BLEU_ORDER))
    return np.where(scored, 100 * np.exp(np.where(scored, means + brevity, 0.0)), 0.0)


def chrf(statistics: npt.ArrayLike) -> Floats:
    """chrF2 (Popovic 2015) in 0-100: mean precision and recall over the orders that both texts have, then their F.

    Args:
        statistics: [..., CHRF_WIDTH], of a sentence or summed over sentences.

    Returns:
        [...]; 0 where nothing matches.
    """
    table = np.asarray(statistics, dtype=np.float64)
    answer, reference, matched = (table[..., start::3] for start in range(3))
    possible = (answer > 0) & (reference > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        orders = possible.sum(axis=-1)
        precision = np.where(possible, matched / answer, 0.0).sum(axis=-1) / orders
        recall = np.where(possible, matched / reference, 0.0).sum(axis=-1) / orders
        score = (1 + CHRF_BETA**2) * precision * recall / (CHRF_BETA**2 * precision + recall)
    return np.where(matched.sum(axis=-1) > 0, 100 * score, 0.0)


@cache
def _tokenizer_13a() -> Any:
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    return Tokenizer13a()  # type: ignore[no-untyped-call]


def bleu_tokens(text: str) -> list[str]:
    """Words as sacrebleu's tokenizer 13a cuts them."""
    words: list[str] = _tokenizer_13a()(text.rstrip()).split()
    return words


def bleu_signature(effective_order: bool) -> str:
    """As sacrebleu prints it."""
    from sacrebleu.metrics.bleu import BLEU

    return _signature(BLEU(effective_order=effective_order))


def chrf_signature() -> str:
    """As sacrebleu prints it."""
    from sacrebleu.metrics.chrf import CHRF

    return _signature(CHRF())


def _signature(metric: Any) -> str:
    metric.corpus_score(["a"], [["a"]])  # known only after a first score
    return str(metric.get_signature())
