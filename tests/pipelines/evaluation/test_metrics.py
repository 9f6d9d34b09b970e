"""Text metrics against their reference implementations, by hand, and on texts of equal words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med_lora.pipelines.evaluation.metrics import (
    TextScorer,
    flag_metrics,
    loss_metrics,
    normalise,
    text_metrics,
    token_f1,
)

SCORER = TextScorer()
# rouge_score 0.1.2 and sacrebleu 2.6.0 called directly; exact match and F1 from SQuAD's evaluate-v2.0.py.
FROZEN = [
    # by hand: unigrams 3/3 and 3/6, bigrams 2/2 and 2/5, brevity exp(1 - 6/3), F1 of {cat sat} and {cat sat on mat}
    ("the cat sat", "the cat sat on the mat", (2 / 3, 4 / 7, 2 / 3, 100 * math.exp(-1), 0, 2 / 3, 1 / 2)),
    # by hand: 9 of 13 and 13 unigrams, 5 of 12 and 12 bigrams, 8 of 11 and 11 words without articles
    (
        "Gout is a painful arthritis; rest the joint and drink plenty of water.",
        "Gout is an inflammatory arthritis. Rest the joint, take colchicine, and drink water.",
        (9 / 13, 5 / 12, 9 / 13, 9.474607424664809, 0, 8 / 11, 1),
    ),
    ("No.", "Yes, see a doctor today.", (0, 0, 0, 4.104249931194939, 0, 0, 1 / 5)),
    # by hand: swollen and helps of 4 and 7 words; inflections are not removed
    (
        "Resting swollen joints helps.",
        "Rest a swollen joint and it helps.",
        (4 / 11, 0, 4 / 11, 12.975849993980741, 0, 2 / 5, 4 / 7),
    ),
    ("", "Rest and drink water.", (0, 0, 0, 0, 0, 0, 0)),
    (
        "Take 1,000 mg paracetamol - not ibuprofen!",
        "take 1000 mg paracetamol, not ibuprofen",
        (0.7692307692307692, 0.5454545454545454, 0.7692307692307692, 15.619699684601276, 1, 1, 7 / 6),
    ),
]
NAMES = ("rouge1", "rouge2", "rougeL", "bleu", "exact_match", "token_f1", "length_ratio")
WORDS = ["gout", "pain", "joint", "rest", "water", "colchicine", "toe", "doctor"]
words = st.lists(st.sampled_from(WORDS), min_size=4, max_size=30)


@pytest.mark.parametrize(("answer", "reference", "expected"), FROZEN)
def test_scores_equal_the_reference_implementations(answer: str, reference: str, expected: tuple[float, ...]) -> None:
    assert SCORER.score(answer, reference) == pytest.approx(dict(zip(NAMES, expected, strict=True)), abs=1e-12)


@given(words)
@settings(max_examples=50, deadline=None)
def test_equal_texts_score_full_marks(text: list[str]) -> None:
    scores = SCORER.score(" ".join(text), " ".join(text))
    assert scores.pop("bleu") == pytest.approx(100)
    assert scores == pytest.approx(dict.fromkeys(scores, 1))


@given(words, words)
@settings(max_examples=50, deadline=None)
def test_scores_stay_in_their_range_and_f1_is_symmetric(answer: list[str], reference: list[str]) -> None:
    there, back = (
        SCORER.score(" ".join(answer), " ".join(reference)),
        SCORER.score(" ".join(reference), " ".join(answer)),
    )
    for name in ("rouge1", "rouge2", "rougeL", "token_f1"):
        assert 0 <= there[name] <= 1
        assert there[name] == pytest.approx(back[name])
    assert 0 <= there["bleu"] <= 100 + 1e-9
    assert there["length_ratio"] == pytest.approx(1 / back["length_ratio"])


def test_word_order_matters_to_the_metrics_that_say_so() -> None:
    scores = SCORER.score("water drink and rest", "rest and drink water")
    assert scores["rouge1"] == scores["token_f1"] == 1
    assert scores["rouge2"] == scores["exact_match"] == 0
    assert scores["rougeL"] == 1 / 4


def test_squad_normalisation() -> None:
    assert normalise("  The Pain, an ache; a\tburning-sensation! ") == "pain ache burningsensation"
    assert token_f1("the", "a") == 1  # both empty once normalised
    assert token_f1("the", "toe") == token_f1("toe", "the") == 0
    assert token_f1("pain pain toe", "pain") == 0.5  # a repeated word counts once


def test_every_score_has_a_described_metric_and_every_library_its_version() -> None:
    described = {metric.name: metric for metric in text_metrics()}
    assert set(described) == set(SCORER.score("a", "a"))
    assert "version:2." in described["bleu"].signature
    assert "smooth:exp" in described["bleu"].signature
    assert "tok:13a" in described["bleu"].signature
    assert "rouge_score 0.1" in described["rouge2"].signature
    for metric in [*loss_metrics(), *text_metrics(), *flag_metrics()]:
        assert metric.signature
        assert metric.better in ("lower", "higher", "neither")
    assert [metric.name for metric in loss_metrics() + text_metrics() + flag_metrics() if metric.tested] == [
        "perplexity",
        *NAMES[:-1],
    ]
