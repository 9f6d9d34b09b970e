"""How much of the validation and test pairs stands in the training part."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
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
_NOTHING = np.zeros(0, dtype=np.uint64)
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
    """Count the pairs of a split that have a counterpart in the training part, by the kinds of :func:`find_overlap`.

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
    rows: list[tuple[str, str, int, int, float]] = []
    for name, flags in find_overlap(tables.pop("train"), tables).items():
        counts = {kind: int(flags[kind].sum()) for kind in flags}
        rows += [(name, str(kind), count, len(flags), count / max(1, len(flags))) for kind, count in counts.items()]
    leakage = pd.DataFrame(rows, columns=["split", "kind", "pairs", "of", "share"])
    _log(leakage)
    return leakage


def find_overlap(train: pd.DataFrame, splits: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Which pairs of each split have a counterpart in the training part, and of which kinds.

    Equal means equal in the sense of :func:`~.grouping.equality_keys`. Near means a Jaccard similarity of word-3-gram
    sets, computed exactly for all pairs of texts, of at least 0.7 for ``near_pair`` and ``near_answer`` and of at least
    0.5 for ``near_question``, where one of the two questions is free (:func:`~.grouping.is_free`): those of a known
    type that name their focus follow templates. ``contained_answer`` are answers of at least 8 words of whose
    distinct word 3-grams at least 80 % stand in one training answer, which may be much longer; groups do not prevent
    it. Answers of exams ("B", "yes") are not compared by themselves.

    Args:
        train: columns document, focus, concepts, question_type, question, answer, choice, all strings.
        splits: tables of the same columns by name.

    Returns:
        By split a table of booleans in its order and with its index, a column each kind.
    """
    tables = {"": train, **splits}
    words = {name: list(word_hashes(table["question"])) for name, table in tables.items()}
    # What is a template is told by all splits together, as when groups were formed.
    remaining = iter(question_sets([question for questions in words.values() for question in questions]))
    asked = {name: list(islice(remaining, len(table))) for name, table in tables.items()}
    seen = _Traits(train, words[""], asked[""])
    return {
        name: pd.DataFrame(_Traits(table, words[name], asked[name]).shared_with(seen), index=table.index)
        for name, table in splits.items()
    }


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
        self._choices = (table["choice"] != "").tolist()
        self._is_free = is_free(table)

    def shared_with(self, seen: _Traits) -> dict[str, list[bool]]:
        """For each kind which of the pairs have a counterpart among those seen."""
        flags: dict[str, list[bool]] = {}
        for kind, keys in self.keys.items():
            known = set(seen.keys[kind]) - {""}
            flags[kind] = [key in known for key in keys]
        flags["near_pair"] = _are_near(self.pair_sets(), seen.pair_sets(), SIMILARITY)
        of_free = _are_near(self.question_sets([True]), seen.question_sets([True, False]), QUESTION_SIMILARITY)
        of_typed = _are_near(self.question_sets([False]), seen.question_sets([True]), QUESTION_SIMILARITY)
        flags["near_question"] = [free or typed for free, typed in zip(of_free, of_typed, strict=True)]
        answers = seen.answer_sets()
        flags["near_answer"] = _are_near(self.answer_sets(), answers, SIMILARITY)
        flags["contained_answer"] = contained(self.answer_sets(CONTAINED_WORDS), answers, CONTAINED_SHARE)
        return flags

    def pair_sets(self) -> list[Hashes]:
        return [shingles(np.concatenate(texts)) for texts in zip(self._questions, self._answers, strict=True)]

    def question_sets(self, free: Sequence[bool]) -> list[Hashes]:
        """Those of the questions that are free, follow a template, or both; empty, so like nothing, for the others."""
        return [
            asked if is_free in free else _NOTHING for asked, is_free in zip(self._asked, self._is_free, strict=True)
        ]

    def answer_sets(self, min_words: int = 0) -> list[Hashes]:
        """Those of the answers; empty for choices of an exam and for answers of fewer words."""
        return [
            _NOTHING if choice or len(words) < min_words else shingles(words)
            for words, choice in zip(self._answers, self._choices, strict=True)
        ]


def _are_near(sets: list[Hashes], seen: list[Hashes], threshold: float) -> list[bool]:
    return [place >= 0 for place in nearest(sets, seen, threshold)]


def _log(leakage: pd.DataFrame) -> None:
    """One line in words on the test set."""
    test = leakage[(leakage["split"] == "test") & (leakage["pairs"] > 0)]
    if test.empty:
        logger.info("No test pair has a counterpart in the training part.")
        return
    clauses = [f"{count} {_IN_WORDS[kind]}" for kind, count in zip(test["kind"], test["pairs"], strict=True)]
    logger.warning("Leakage: of %d test pairs %s.", test["of"].iat[0], "; ".join(clauses))
