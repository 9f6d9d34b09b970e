"""ROUGE's parts, exact match and token F1: by hand, and against rouge_score on texts of few words."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med_lora.metrics.lexical import score_pair
from med_lora.metrics.overlap import (
    common_subsequence,
    normalise,
    overlap_f,
    token_f1,
)

# few words, so that they recur; more than 64 of them, so that the bits of one machine word do not do
words = st.lists(st.sampled_from(["gout", "pain", "joint", "rest", "water", "toe"]), max_size=90)


@given(words, words)
@settings(max_examples=60, deadline=None)
def test_rouge_equals_rouge_score_exactly(answer: list[str], reference: list[str]) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    expected = RougeScorer(["rouge1", "rouge2", "rougeL"]).score(" ".join(reference), " ".join(answer))
    found = score_pair(" ".join(answer), " ".join(reference))
    assert {kind: found[kind] for kind in expected} == {kind: score.fmeasure for kind, score in expected.items()}


@given(words, words)
@settings(max_examples=30, deadline=None)
def test_the_longest_common_subsequence_is_symmetric_and_bounded(left: list[str], right: list[str]) -> None:
    length = common_subsequence(left, right)
    assert length == common_subsequence(right, left)
    assert length <= (Counter(left) & Counter(right)).total()
    assert common_subsequence(left, left) == len(left)


def test_beta_weighs_recall_against_precision() -> None:
    # precision 3/4, recall 3/8
    assert overlap_f(3, 4, 8) == pytest.approx(2 * 3 / (4 + 8))
    assert overlap_f(3, 4, 8, beta=1.2) == pytest.approx(2.44 * 0.75 * 0.375 / (0.375 + 1.44 * 0.75))
    assert overlap_f(3, 4, 8, beta=100) == pytest.approx(3 / 8, abs=1e-4)
    assert overlap_f(3, 4, 8, beta=0.01) == pytest.approx(3 / 4, abs=1e-4)
    assert overlap_f(0, 0, 8, beta=1.2) == 0


def test_squad_normalisation() -> None:
    assert normalise("  The Pain, an ache; a\tburning-sensation! ") == "pain ache burningsensation"
    assert token_f1([], []) == 1
    assert token_f1([], ["toe"]) == token_f1(["toe"], []) == 0
    assert token_f1(["pain", "pain", "toe"], ["pain"]) == 0.5  # a repeated word counts once
