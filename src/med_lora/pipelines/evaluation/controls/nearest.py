"""The copying control: the answer to the training question that is most like the question asked."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

WORD = re.compile(r"\w+")
BLOCK = 256  # test questions compared with all training questions at once


def copy_nearest(questions: Sequence[str], train: pd.DataFrame, count: int) -> list[list[str]]:
    """The answers to the ``count`` training questions with the largest TF-IDF cosines to each question, largest first.

    (Salton and Buckley 1988.) The first by id wins a tie, and so serves a question that shares no word with any
    training question.
    """
    train = train.sort_values("id")
    known = [WORD.findall(question.lower()) for question in train["question"]]
    vocabulary = {word: place for place, word in enumerate(sorted({word for words in known for word in words}))}
    counts = count_words(known, vocabulary)
    # smoothed: a word that is in every question still weighs something
    weights = np.log((1 + len(known)) / (1 + np.bincount(counts.indices, minlength=len(vocabulary)))) + 1
    index = _weigh(counts, weights).T.tocsr()
    asked = _weigh(count_words([WORD.findall(question.lower()) for question in questions], vocabulary), weights)
    answers = list(train["answer"])
    nearest: list[list[str]] = []
    for start in range(0, len(questions), BLOCK):
        # rounded, so that equal questions tie whatever the order of summation
        cosines = np.round((asked[start : start + BLOCK] @ index).toarray(), 12)
        nearest.extend([answers[place] for place in places] for places in _largest(cosines, count))
    return nearest


def count_words(texts: Sequence[Collection[str]], vocabulary: dict[str, int]) -> Any:
    """Sparse counts [texts, words]; words outside the vocabulary are left out."""
    from scipy.sparse import csr_matrix

    places = [(row, vocabulary[word]) for row, words in enumerate(texts) for word in words if word in vocabulary]
    rows, columns = np.array(places, dtype=np.int64).reshape(-1, 2).T
    counts = csr_matrix((np.ones(len(places)), (rows, columns)), shape=(len(texts), len(vocabulary)))
    counts.sum_duplicates()
    return counts


def _largest(values: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    """Columns of the ``count`` largest values of every row, the first of equals first."""
    rows, left, found = np.arange(len(values)), values.copy(), []
    for _ in range(min(count, values.shape[1])):
        found.append(left.argmax(axis=1))
        left[rows, found[-1]] = -np.inf
    return np.stack(found, axis=1)


def _weigh(counts: Any, weights: np.ndarray) -> Any:
    """Weighted counts with rows of Euclidean length 1; a row without words stays zero."""
    from scipy.sparse import diags

    weighted = counts @ diags(weights)
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    return diags(1 / np.where(lengths == 0, 1, lengths)) @ weighted
