"""BLEU and chrF from their sufficient statistics, which add up over pairs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
BLEU_ORDER = 4
CHRF_ORDER = 6
CHRF_BETA = 2
WORD_STATISTICS = ("answer", "reference", *(f"{kind}_{n}" for kind in ("matched", "found") for n in range(1, 5)))
CHARACTER_STATISTICS = tuple(f"{kind}_{n}" for n in range(1, 7) for kind in ("answer", "reference", "matched"))
BLEU_WIDTH = len(WORD_STATISTICS)
CHRF_WIDTH = len(CHARACTER_STATISTICS)


def number_characters(text: str) -> Counts:
    """Code points, white space left out."""
    points = "".join(text.split()).encode("utf-32-le", errors="surrogatepass")
    return np.frombuffer(points, dtype="<u4").astype(np.int64)


def match_ngrams(answers: Sequence[Counts], references: Sequence[Counts], orders: int) -> Counts:
    """How many n-grams each answer shares with its reference, each as often as the text that has fewer of it.

    All pairs are counted at once: an n-gram is the rank of (the one before it at this place, the unit that follows).

    Args:
        answers: of every pair the numbers, not negative, of the answer's units (words or characters), [units].
        references: the same of the reference.
        orders: the longest n.

    Returns:
        [pairs, orders].
    """
    texts = [text for pair in zip(answers, references, strict=True) for text in pair]
    owners = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    known, units = np.unique(np.concatenate(texts), return_inverse=True)
    matched = np.zeros((len(answers), orders), dtype=np.int64)
    found = owners // 2  # of equal n-grams in two pairs each counts for itself
    for order in range(min(orders, len(units))):
        kinds, found = np.unique(found[: len(units) - order] * len(known) + units[order:], return_inverse=True)
        first = owners[: len(found)]
        whole = first == owners[order:]
        counts = [np.bincount(found[whole & (first % 2 == side)], minlength=len(kinds)) for side in (0, 1)]
        pairs = np.empty(len(kinds), dtype=np.int64)
        pairs[found] = first // 2
        np.add.at(matched[:, order], pairs, np.minimum(*counts))
    return matched


def match_words(answers: Sequence[Counts], references: Sequence[Counts]) -> Counts:
    """BLEU's statistics of pairs of numbered words, [pairs, BLEU_WIDTH]: words of the answer, of the reference; by
    order matched n-grams, then all of the answer."""
    left, right = _count_ngrams(answers, BLEU_ORDER), _count_ngrams(references, 1)
    return np.hstack([left[:, :1], right, match_ngrams(answers, references, BLEU_ORDER), left])


def match_characters(answers: Sequence[Counts], references: Sequence[Counts]) -> Counts:
    """chrF's statistics of pairs of numbered characters, [pairs, CHRF_WIDTH]: by order n-grams of the answer (0 without
    any of the reference), of the reference, matched ones."""
    left, right = _count_ngrams(answers, CHRF_ORDER), _count_ngrams(references, CHRF_ORDER)
    matched = match_ngrams(answers, references, CHRF_ORDER)
    return np.stack([np.where(right > 0, left, 0), right, matched], axis=-1).reshape(len(left), CHRF_WIDTH)


def _count_ngrams(texts: Sequence[Counts], orders: int) -> Counts:
    return np.maximum(np.array([[len(text)] for text in texts]) - np.arange(orders), 0)


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
