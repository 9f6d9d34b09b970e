"""All lexical metrics of a pair against their reference implementations, and on texts of equal words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med_lora.metrics.lexical import NAMES, STATISTICS, LexicalScorer, lexical_metrics, score_pair
from med_lora.metrics.meteor import Meteor

from .pairs import SCORED, Scored

WORDS = ["gout", "pain", "joint", "rest", "water", "colchicine", "toe", "doctor"]
words = st.lists(st.sampled_from(WORDS), min_size=4, max_size=30).map(" ".join)


@pytest.mark.parametrize("pair", SCORED)
def test_scores_equal_the_reference_implementations(pair: Scored) -> None:
    expected = {
        "rouge1": pair.rouge1,
        "rouge2": pair.rouge2,
        "rougeL": pair.rouge_l,
        "bleu": pair.bleu,
        "chrf": pair.chrf,
        "exact_match": pair.exact_match,
        "token_f1": pair.token_f1,
    }
    assert score_pair(pair.answer, pair.reference) == pytest.approx(expected, abs=1e-12)
    weighted = score_pair(pair.answer, pair.reference, rouge_beta=1.2)
    assert weighted == pytest.approx(expected | {"rougeL": pair.rouge_l_weighted}, abs=1e-12)


def test_scores_of_many_pairs_are_those_of_each() -> None:
    scorer = LexicalScorer(1.0, Meteor(None))
    assert scorer.names == (*NAMES, "meteor_exact_stem")
    table, statistics = scorer.score([(pair.answer, pair.reference) for pair in SCORED])
    assert statistics.shape == (len(SCORED), sum(map(len, STATISTICS.values())))
    assert table[:, 7] == pytest.approx([pair.meteor_exact_stem for pair in SCORED], abs=1e-12)
    for row, pair in zip(table, SCORED, strict=True):
        assert dict(zip(NAMES, row[:7], strict=True)) == score_pair(pair.answer, pair.reference)


@given(words)
@settings(max_examples=30, deadline=None)
def test_equal_texts_score_full_marks(text: str) -> None:
    scores = score_pair(text, text)
    assert [scores.pop("bleu"), scores.pop("chrf")] == pytest.approx([100, 100])
    assert scores == pytest.approx(dict.fromkeys(scores, 1))


@given(words, words)
@settings(max_examples=30, deadline=None)
def test_scores_stay_in_their_range_and_f1_is_symmetric(answer: str, reference: str) -> None:
    there, back = score_pair(answer, reference), score_pair(reference, answer)
    for name in ("rouge1", "rouge2", "rougeL", "token_f1"):
        assert 0 <= there[name] <= 1
        assert there[name] == pytest.approx(back[name])
    for name in ("bleu", "chrf"):
        assert 0 <= there[name] <= 100 + 1e-9


def test_word_order_matters_to_the_metrics_that_say_so() -> None:
    scores = score_pair("water drink and rest", "rest and drink water")
    assert scores["rouge1"] == scores["token_f1"] == 1
    assert scores["rouge2"] == scores["exact_match"] == 0
    assert scores["rougeL"] == 1 / 4


@pytest.mark.parametrize("answer", ["", "  ", "\n\t"])
def test_a_blank_answer_scores_nothing_even_where_squad_sees_no_difference(answer: str) -> None:
    assert set(score_pair(answer, "The.").values()) == {0.0}
    assert score_pair("a", "The.")["exact_match"] == 1


def test_every_score_has_a_described_metric_and_every_library_its_version() -> None:
    meteor = Meteor(None)
    metrics = lexical_metrics(1.2, meteor)
    assert sorted(metric.name for metric in metrics) == sorted(LexicalScorer(1.2, meteor).names)
    described = {metric.name: metric.signature for metric in metrics}
    assert "smooth:exp|version:2." in described["bleu"]
    assert "nc:6|nw:0" in described["chrf"]
    assert "rouge_score 0.1" in described["rouge2"]
    assert described["rougeL"].endswith("F, beta 1.2")
    assert described["rouge1"].endswith("F1")
    assert "synonyms:no" in described["meteor_exact_stem"]
    assert {(metric.family, metric.better, metric.tested, metric.missing) for metric in metrics} == {
        ("overlap", "higher", True, "")
    }
