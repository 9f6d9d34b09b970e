"""Groups of pairs that must not be torn apart between training and test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from med_lora.pipelines.data_engineering.duplicates import Hashes, shingles, similar_pairs, word_hashes
from med_lora.pipelines.data_engineering.text import comparison_key

SIMILARITY = 0.7
# Free questions are short: one changed word of twenty takes three of eighteen 3-grams away.
QUESTION_SIMILARITY = 0.5
# Boilerplate chains: without a bound, links between similar answers joined 2,462 of 18,845 pairs of MedQuAD and WikiDoc
# (near duplicates from a similarity of 0.8 on removed before).
LARGEST_SHARE = 0.01
SMALLEST_BOUND = 20


class Components:
    """Disjoint sets of the numbers 0 to size - 1 (union-find with path halving)."""

    def __init__(self, size: int):
        self._parent = list(range(size))
        self._size = [1] * size

    def root(self, key: int) -> int:
        """The smallest number in the set of ``key``."""
        parent = self._parent
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    def join(self, left: int, right: int) -> None:
        """Make one set of two."""
        low, high = sorted((self.root(left), self.root(right)))
        if low != high:
            self._parent[high] = low
            self._size[low] += self._size[high]

    def joint_size(self, left: int, right: int) -> int:
        """Size of the set that joining the two would make."""
        low, high = self.root(left), self.root(right)
        return self._size[low] if low == high else self._size[low] + self._size[high]


class Grouping(NamedTuple):
    """Number of the group of each pair, from 0, and the links refused: row positions of similar pairs kept apart."""

    numbers: pd.Series
    refused: set[tuple[int, int]]


def group_pairs(pairs: pd.DataFrame) -> Grouping:
    """Number of the group of each pair, counted from 0 in the order of the table, and the links refused.

    Pairs are in one group if they share a key of :func:`equality_keys`, or if the Jaccard similarity of their
    word-3-gram sets is high: at least 0.7 for question and answer together or for the answer alone (exams left
    out), at least 0.5 for two questions (:func:`question_sets`) of which one is free (see :func:`is_free`). A link by
    similarity that would grow a group beyond 1 % of the pairs and beyond 20 is refused and returned, the earlier row
    first; links by equality always hold.

    Args:
        pairs: table of pairs with unique ids.
    """
    components = Components(len(pairs))
    for keys in equality_keys(pairs).values():
        _join_equal(components, keys)
    bound = max(SMALLEST_BOUND, int(LARGEST_SHARE * len(pairs)))
    everywhere = list(range(len(pairs)))
    questions, answers = (list(word_hashes(pairs[name])) for name in ("question", "answer"))
    both = [shingles(np.concatenate(texts)) for texts in zip(questions, answers, strict=True)]
    refused = _join_similar(components, both, everywhere, SIMILARITY, bound)
    del both
    written = [row for row in everywhere if not pairs["choice"].iat[row]]
    refused |= _join_similar(components, [shingles(answers[row]) for row in written], written, SIMILARITY, bound)
    free = is_free(pairs)
    asked = sorted(everywhere, key=lambda row: not free[row])
    of_questions = question_sets(questions)
    sets = [of_questions[row] for row in asked]
    refused |= _join_similar(components, sets, asked, QUESTION_SIMILARITY, bound, compared=sum(free))
    numbers: dict[int, int] = {}
    groups = [numbers.setdefault(components.root(row), len(numbers)) for row in range(len(pairs))]
    return Grouping(pd.Series(groups, index=pairs.index, name="group", dtype="int64"), refused)


def equality_keys(pairs: pd.DataFrame) -> dict[str, list[str]]:
    """What each pair shares with those of its group, by name; "" joins nothing.

    ``question``, ``answer`` and ``focus`` are compared without case and punctuation, ``document`` without case; the
    answers of exams ("B", "yes") are not compared. ``concept`` is the whole set of UMLS concepts of a document. Single
    concepts are those of the words of a focus ("syndrome", "hypoplasia"): joining by each of them made one group of
    3,002 of MedQuAD's 14,604 pairs with an answer, 1,006 focuses; joining by equal sets made a largest one of 197.
    """
    keys = {name: [comparison_key(text) for text in pairs[name]] for name in ("focus", "question", "answer")}
    keys["answer"] = ["" if choice else key for choice, key in zip(pairs["choice"], keys["answer"], strict=True)]
    keys["document"] = [document.casefold() for document in pairs["document"]]
    keys["concept"] = [";".join(sorted(set(concepts.split(";")))) for concepts in pairs["concepts"]]
    return keys


def is_free(pairs: pd.DataFrame) -> list[bool]:
    """Whether each question is in its writer's words; one of a known type that names its focus follows a template."""
    texts = zip(pairs["question_type"], pairs["focus"], pairs["question"], strict=True)
    return [
        not kind or not focus or f" {comparison_key(focus)} " not in f" {comparison_key(question)} "
        for kind, focus, question in texts
    ]


def question_sets(questions: Sequence[Hashes]) -> list[Hashes]:
    """Word-3-gram sets of questions, without 3-grams that stand in more than 1 % of them and more than 20.

    Such are the words of a template. They tell no question from another, and all questions that share them would have
    to be compared with each other.
    """
    sets = [shingles(question) for question in questions]
    if not sets:
        return sets
    joined = np.concatenate(sets)
    values, counts = np.unique(joined, return_counts=True)
    common = values[counts > max(SMALLEST_BOUND, LARGEST_SHARE * len(sets))]
    is_rare = np.split(~np.isin(joined, common), np.cumsum([len(found) for found in sets])[:-1])
    return [found[rare] for found, rare in zip(sets, is_rare, strict=True)]


def _join_equal(components: Components, keys: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for row, key in enumerate(keys):
        if key:
            components.join(first.setdefault(key, row), row)


def _join_similar(
    components: Components,
    sets: Sequence[Hashes],
    rows: Sequence[int],
    similarity: float,
    bound: int,
    compared: int | None = None,
) -> set[tuple[int, int]]:
    """Join rows with similar sets as far as the bound allows, and return the links it refuses.

    ``compared`` is that of :func:`similar_pairs`.
    """
    refused: set[tuple[int, int]] = set()
    for first, second in similar_pairs(sets, similarity, compared):
        left, right = sorted((rows[first], rows[second]))
        if components.root(left) == components.root(right):
            continue
        if components.joint_size(left, right) > bound:
            refused.add((left, right))
        else:
            components.join(left, right)
    return refused
