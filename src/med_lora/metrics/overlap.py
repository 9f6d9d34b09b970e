"""Words that an answer shares with its reference: ROUGE, exact match and token F1."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def overlap_f(matched: int, answer: int, reference: int, beta: float = 1.0) -> float:
    """ROUGE's F of ``matched`` units out of those of the answer and of the reference (Lin 2004, section 3.1).

    (1 + beta^2) P R / (R + beta^2 P) with precision P = matched / answer and recall R = matched / reference: a beta
    above 1 weighs recall more. 0 where nothing matches.
    """
    if not matched:
        return 0.0
    precision, recall = matched / answer, matched / reference
    square = beta * beta
    return (1 + square) * precision * recall / (recall + square * precision)


def count_matches(left: Mapping[Any, int], right: Mapping[Any, int]) -> int:
    """Size of the intersection of two bags."""
    return sum(min(left[unit], right[unit]) for unit in left.keys() & right.keys())


def common_subsequence(left: Sequence[Hashable], right: Sequence[Hashable]) -> int:
    """Length of the longest common subsequence, all words of ``left`` at once in the bits of a number (Hyyro 2004)."""
    found: dict[Hashable, int] = {}
    for place, word in enumerate(left):
        found[word] = found.get(word, 0) | 1 << place
    whole = (1 << len(left)) - 1
    unmatched = whole
    for word in right:
        matches = unmatched & found.get(word, 0)
        unmatched = ((unmatched + matches) | (unmatched - matches)) & whole
    return len(left) - unmatched.bit_count()


def normalise(text: str) -> str:
    """SQuAD's normalisation: lower case, ASCII punctuation and English articles removed, single spaces."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def token_f1(answer: Sequence[str], reference: Sequence[str]) -> float:
    """SQuAD 2.0's F1 (Rajpurkar et al. 2018) of two bags of normalised words; if either is empty, whether both are."""
    if not answer or not reference:
        return float(not answer and not reference)
    return 2 * count_matches(Counter(answer), Counter(reference)) / (len(answer) + len(reference))
