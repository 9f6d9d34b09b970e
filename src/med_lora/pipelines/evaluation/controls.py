"""Null controls: answers that need no understanding. An arm that does not beat them has shown nothing by its scores."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from med_lora.errors import InputError

WORD = re.compile(r"\w+")
SAMPLE = 100  # training answers that are compared with each other
BLOCK = 256  # test questions compared with all training questions at once


def control_answers(test: pd.DataFrame, train: pd.DataFrame, seed: int) -> dict[str, list[str]]:
    """Answers of every control to the questions of ``test``, in its order; the order of the rows changes none.

    - ``shuffled_reference``: the reference of a test pair of another group, drawn by ``seed``: right in style, wrong
      in matter.
    - ``echoed_question``: the question itself.
    - ``nearest_training_answer``: the answer to the most similar training question: what copying achieves.
    - ``constant_training_answer``: one and the same typical training answer to every question.

    Raises:
        InputError: for a single test pair, which has no other to be shuffled with.
    """
    return {
        "shuffled_reference": shuffle_references(test, seed),
        "echoed_question": list(test["question"]),
        "nearest_training_answer": copy_nearest(list(test["question"]), train),
        "constant_training_answer": [choose_typical(train, seed)] * len(test),
    }


def shuffle_references(test: pd.DataFrame, seed: int) -> list[str]:
    """Each pair gets the answer of the next pair of another group, on one random cycle through all pairs.

    With one group a pair this is a derangement; where there is but one group, the next pair serves.
    """
    if len(test) < 2:
        raise InputError(
            "A comparison needs at least two test pairs and there is one; raise data_engineering.split.test."
        )
    ids = sorted(test["id"])
    cycle = np.random.Generator(np.random.PCG64(seed)).permutation(len(ids))
    answers = dict(zip(test["id"], test["answer"], strict=True))
    groups = dict(zip(test["id"], test["group"], strict=True))
    order = [ids[place] for place in cycle]
    places = {pair: place for place, pair in enumerate(order)}
    shuffled = []
    for own in test["id"]:
        following = order[places[own] + 1 :] + order[: places[own]]
        chosen = next((pair for pair in following if groups[pair] != groups[own]), following[0])
        shuffled.append(answers[chosen])
    return shuffled


def copy_nearest(questions: Sequence[str], train: pd.DataFrame) -> list[str]:
    """The answer to the training question with the largest TF-IDF cosine (Salton and Buckley 1988) to each question.

    The first by id wins a tie, and so serves a question that shares no word with any training question.
    """
    train = train.sort_values("id")
    known = [WORD.findall(question.lower()) for question in train["question"]]
    vocabulary = {word: place for place, word in enumerate(sorted({word for words in known for word in words}))}
    counts = _count_words(known, vocabulary)
    # smoothed: a word that is in every question still weighs something
    weights = np.log((1 + len(known)) / (1 + np.bincount(counts.indices, minlength=len(vocabulary)))) + 1
    index = _weigh(counts, weights).T.tocsr()
    asked = _weigh(_count_words([WORD.findall(question.lower()) for question in questions], vocabulary), weights)
    answers = list(train["answer"])
    nearest: list[str] = []
    for start in range(0, len(questions), BLOCK):
        # rounded, so that equal questions tie whatever the order of summation
        cosines = np.round((asked[start : start + BLOCK] @ index).toarray(), 12)
        nearest.extend(answers[place] for place in cosines.argmax(axis=1))
    return nearest


def choose_typical(train: pd.DataFrame, seed: int) -> str:
    """The training answer with the highest mean ROUGE-L F1 against the others of a sample of ``SAMPLE``.

    The sample is drawn by ``seed`` from the training answers in the order of their ids; the first by id wins a tie.
    """
    from rouge_score.tokenizers import DefaultTokenizer

    answers = list(train.sort_values("id")["answer"])
    places = np.sort(np.random.Generator(np.random.PCG64(seed)).permutation(len(answers))[:SAMPLE])
    tokens = [DefaultTokenizer(use_stemmer=False).tokenize(answers[place]) for place in places]
    alike = np.zeros((len(tokens), len(tokens)))
    for row, left in enumerate(tokens):
        for column, right in enumerate(tokens[:row]):
            # F1 of the subsequence's share of either text
            alike[row, column] = 2 * common_subsequence(left, right) / max(1, len(left) + len(right))
    totals = np.round(alike.sum(axis=0) + alike.sum(axis=1), 12)
    return str(answers[places[totals.argmax()]])


def common_subsequence(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence, all words of ``left`` at once in the bits of a number (Hyyro 2004)."""
    found: dict[str, int] = {}
    for place, word in enumerate(left):
        found[word] = found.get(word, 0) | 1 << place
    whole = (1 << len(left)) - 1
    unmatched = whole
    for word in right:
        matches = unmatched & found.get(word, 0)
        unmatched = ((unmatched + matches) | (unmatched - matches)) & whole
    return len(left) - unmatched.bit_count()


def _count_words(texts: Sequence[Sequence[str]], vocabulary: dict[str, int]) -> Any:
    """Sparse counts [texts, words]; words outside the vocabulary are left out."""
    from scipy.sparse import csr_matrix

    places = [(row, vocabulary[word]) for row, words in enumerate(texts) for word in words if word in vocabulary]
    rows, columns = np.array(places, dtype=np.int64).reshape(-1, 2).T
    counts = csr_matrix((np.ones(len(places)), (rows, columns)), shape=(len(texts), len(vocabulary)))
    counts.sum_duplicates()
    return counts


def _weigh(counts: Any, weights: np.ndarray) -> Any:
    """Weighted counts with rows of Euclidean length 1; a row without words stays zero."""
    from scipy.sparse import diags

    weighted = counts @ diags(weights)
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    return diags(1 / np.where(lengths == 0, 1, lengths)) @ weighted
