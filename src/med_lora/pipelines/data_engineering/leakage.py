"""How much of the validation and test pairs stands in the training part."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from med_lora.pipelines.data_engineering.duplicates import Hashes, nearest, shingles, word_hashes
from med_lora.pipelines.data_engineering.grouping import QUESTION_SIMILARITY, SIMILARITY, equality_keys, is_free
from med_lora.pipelines.data_engineering.text import comparison_key

logger = logging.getLogger(__name__)

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
}


def measure_leakage(train: Any, validation: Any, test: Any) -> pd.DataFrame:
    """Count the pairs of a split that have a counterpart in the training part.

    Equal means equal in the sense of :func:`~.grouping.equality_keys`. Near means a Jaccard similarity of word-3-gram
    sets, computed exactly for all pairs of texts, of at least 0.7 for ``near_pair`` and ``near_answer`` and of at least
    0.5 for ``near_question``, which looks at free questions alone (:func:`~.grouping.is_free`): those of
    a known type that name their focus follow templates. Answers of exams ("B", "yes") are not compared by themselves.

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
    seen = _Traits(tables.pop("train"))
    rows: list[tuple[str, str, int, int, float]] = []
    for name, table in tables.items():
        counts = _Traits(table).counts(seen)
        rows += [(name, kind, count, len(table), count / max(1, len(table))) for kind, count in counts.items()]
    leakage = pd.DataFrame(rows, columns=["split", "kind", "pairs", "of", "share"])
    _log(leakage)
    return leakage


class _Traits:
    """What the pairs of a table are compared by."""

    def __init__(self, table: pd.DataFrame):
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
        self._questions, self._answers = (list(word_hashes(table[name])) for name in ("question", "answer"))
        self._written = np.flatnonzero(table["choice"] == "").tolist()
        self._free = np.flatnonzero(is_free(table)).tolist()

    def counts(self, seen: _Traits) -> dict[str, int]:
        """For each kind how many of the pairs have a counterpart among those seen."""
        counts: dict[str, int] = {}
        for kind, keys in self.keys.items():
            known = set(seen.keys[kind]) - {""}
            counts[kind] = sum(key in known for key in keys)
        near: list[tuple[str, Callable[[_Traits], list[Hashes]], float]] = [
            ("near_pair", _Traits.pair_sets, SIMILARITY),
            ("near_question", _Traits.question_sets, QUESTION_SIMILARITY),
            ("near_answer", _Traits.answer_sets, SIMILARITY),
        ]
        for kind, sets, threshold in near:
            counts[kind] = sum(place >= 0 for place in nearest(sets(self), sets(seen), threshold))
        return counts

    def pair_sets(self) -> list[Hashes]:
        return [shingles(np.concatenate(texts)) for texts in zip(self._questions, self._answers, strict=True)]

    def question_sets(self) -> list[Hashes]:
        return [shingles(self._questions[row]) for row in self._free]

    def answer_sets(self) -> list[Hashes]:
        return [shingles(self._answers[row]) for row in self._written]


def _log(leakage: pd.DataFrame) -> None:
    """One line in words on the test set."""
    test = leakage[(leakage["split"] == "test") & (leakage["pairs"] > 0)]
    if test.empty:
        logger.info("No test pair has a counterpart in the training part.")
        return
    clauses = [f"{count} {_IN_WORDS[kind]}" for kind, count in zip(test["kind"], test["pairs"], strict=True)]
    logger.warning("Leakage: of %d test pairs %s.", test["of"].iat[0], "; ".join(clauses))
