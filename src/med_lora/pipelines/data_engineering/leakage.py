"""How much of the validation and test pairs stands in the training part."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from med_lora.pipelines.data_engineering.duplicates import Hashes, contained, nearest, shingles, word_hashes
from med_lora.pipelines.data_engineering.grouping import (
    QUESTION_SIMILARITY,
    SIMILARITY,
    equality_keys,
    is_free,
    question_sets,
)
from med_lora.pipelines.data_engineering.text import comparison_key

logger = logging.getLogger(__name__)

# Short answers ("It is inherited from both parents") are part of longer ones by chance.
CONTAINED_WORDS = 8
CONTAINED_SHARE = 0.8
_COLUMNS = ["id", "document", "focus", "concepts", "question_type", "question", "answer", "choice"]
_IN_WORDS = {
    "exact_pair": "stand in the training part, question and answer",
    "exact_question": "have their question in the training part",
    "exact_answer": "have their answer in the training part",
    "same_focus": "share their focus with a training pair",
    "same_concept": "share their UMLS concepts with a training pair",
    "same_document": "come from the same document as a training pair",
    "near_pair": "are nearly a training pair",
    "near_question": "have nearly the question of a training pair",
    "near_answer": "have nearly the answer of a training pair",
    "contained_answer": "have an answer that mostly stands in that of a training pair",
}


def measure_leakage(train: Any, validation: Any, test: Any) -> pd.DataFrame:
    """Count the pairs of a split that have a counterpart in the training part.

    Equal means equal in the sense of :func:`~.grouping.equality_keys`. Near means a Jaccard similarity of word-3-gram
    sets, computed exactly for all pairs of texts, of at least 0.7 for ``near_pair`` and ``near_answer`` and of at least
    0.5 for ``near_question``, where one of the two questions is free (:func:`~.grouping.is_free`): those of a known
    type that name their focus follow templates. ``contained_answer`` counts answers of at least 8 words of whose
    distinct word 3-grams at least 80 % stand in one training answer, which may be much longer; groups do not prevent
    it. Answers of exams ("B", "yes") are not compared by themselves.

    Args:
        train, validation, test: ``datasets.Dataset`` with the columns id, document, focus, concepts,
            question_type, question, answer, choice.

    Returns:
        A row for each split (validation, test) and kind: pairs, the number that have a counterpart; of, the pairs of
        the split; share, the former by the latter (0 for an empty split).
    """
    tables = {
        name: part.select_columns(_COLUMNS).to_pandas().astype("str")
        for name, part in (("train", train), ("validation", validation), ("test", test))
    }
    words = {name: list(word_hashes(table["question"])) for name, table in tables.items()}
    # What is a template is told by all splits together, as when groups were formed.
    remaining = iter(question_sets([question for questions in words.values() for question in questions]))
    asked = {name: list(islice(remaining, len(table))) for name, table in tables.items()}
    seen = _Traits(tables.pop("train"), words["train"], asked["train"])
    rows: list[tuple[str, str, int, int, float]] = []
    for name, table in tables.items():
        counts = _Traits(table, words[name], asked[name]).counts(seen)
        rows += [(name, kind, count, len(table), count / max(1, len(table))) for kind, count in counts.items()]
    leakage = pd.DataFrame(rows, columns=["split", "kind", "pairs", "of", "share"])
    _log(leakage)
    return leakage


class _Traits:
    """What the pairs of a table are compared by."""

    def __init__(self, table: pd.DataFrame, questions: list[Hashes], asked: list[Hashes]):
        """Take the pairs, the words of their questions, and the 3-gram sets that questions are compared by."""
        keys = equality_keys(table)
        pairs = [
            f"{question}\n{comparison_key(answer)}"
            for question, answer in zip(keys["question"], table["answer"], strict=True)
        ]
        self.keys = {
            "exact_pair": pairs,
            "exact_question": keys["question"],
            "exact_answer": keys["answer"],
            "same_focus": keys["focus"],
            "same_concept": keys["concept"],
            "same_document": keys["document"],
        }
        self._questions, self._asked = questions, asked
        self._answers = list(word_hashes(table["answer"]))
        self._written = np.flatnonzero(table["choice"] == "").tolist()
        self._is_free = is_free(table)

    def counts(self, seen: _Traits) -> dict[str, int]:
        """For each kind how many of the pairs have a counterpart among those seen."""
        counts: dict[str, int] = {}
        for kind, keys in self.keys.items():
            known = set(seen.keys[kind]) - {""}
            counts[kind] = sum(key in known for key in keys)
        counts["near_pair"] = _count_near(self.pair_sets(), seen.pair_sets(), SIMILARITY)
        counts["near_question"] = _count_near(
            self.question_sets([True]), seen.question_sets([True, False]), QUESTION_SIMILARITY
        ) + _count_near(self.question_sets([False]), seen.question_sets([True]), QUESTION_SIMILARITY)
        answers = seen.answer_sets()
        counts["near_answer"] = _count_near(self.answer_sets(), answers, SIMILARITY)
        counts["contained_answer"] = sum(contained(self.answer_sets(CONTAINED_WORDS), answers, CONTAINED_SHARE))
        return counts

    def pair_sets(self) -> list[Hashes]:
        return [shingles(np.concatenate(texts)) for texts in zip(self._questions, self._answers, strict=True)]

    def question_sets(self, free: Sequence[bool]) -> list[Hashes]:
        """Those of the questions that are free, follow a template, or both."""
        return [asked for asked, is_free in zip(self._asked, self._is_free, strict=True) if is_free in free]

    def answer_sets(self, min_words: int = 0) -> list[Hashes]:
        return [shingles(self._answers[row]) for row in self._written if len(self._answers[row]) >= min_words]


def _count_near(sets: list[Hashes], seen: list[Hashes], threshold: float) -> int:
    return sum(place >= 0 for place in nearest(sets, seen, threshold))


def _log(leakage: pd.DataFrame) -> None:
    """One line in words on the test set."""
    test = leakage[(leakage["split"] == "test") & (leakage["pairs"] > 0)]
    if test.empty:
        logger.info("No test pair has a counterpart in the training part.")
        return
    clauses = [f"{count} {_IN_WORDS[kind]}" for kind, count in zip(test["kind"], test["pairs"], strict=True)]
    logger.warning("Leakage: of %d test pairs %s.", test["of"].iat[0], "; ".join(clauses))
