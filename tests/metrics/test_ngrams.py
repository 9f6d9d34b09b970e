"""BLEU and chrF of statistics against sacrebleu, of one pair and of many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med_lora.metrics import ngrams

pieces = st.sampled_from(["gout", "Gout", "pain", "toe,", "5 mg", "1,000", "β-cell", "é", ".", "?!", "&amp;", "\n"])
texts = st.lists(pieces, max_size=14).map(" ".join)
corpora = st.lists(st.tuples(texts, texts), min_size=1, max_size=5)


def words(answer: str, reference: str) -> list[int]:
    return ngrams.match_words(*(ngrams.count_words(ngrams.bleu_tokens(text)) for text in (answer, reference)))


def characters(answer: str, reference: str) -> list[int]:
    return ngrams.match_characters(*(ngrams.count_characters(text) for text in (answer, reference)))


@given(corpora)
@settings(max_examples=80, deadline=None)
def test_sentences_and_corpora_score_as_in_sacrebleu(pairs: list[tuple[str, str]]) -> None:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    answers, references = (list(column) for column in zip(*pairs, strict=True))
    of_words = np.array([words(*pair) for pair in pairs])
    of_characters = np.array([characters(*pair) for pair in pairs])
    sentence = BLEU(effective_order=True)
    expected = [sentence.sentence_score(answer, [reference]).score for answer, reference in pairs]
    assert ngrams.bleu(of_words, effective_order=True) == pytest.approx(expected, abs=1e-9)
    expected = [CHRF().sentence_score(answer, [reference]).score for answer, reference in pairs]
    assert ngrams.chrf(of_characters) == pytest.approx(expected, abs=1e-9)
    for smooth in ("exp", "none"):
        whole = BLEU(smooth_method=smooth).corpus_score(answers, [references]).score
        assert ngrams.bleu(of_words.sum(0), smoothed=smooth == "exp") == pytest.approx(whole, abs=1e-9)
    whole = CHRF().corpus_score(answers, [references]).score
    assert ngrams.chrf(of_characters.sum(0)) == pytest.approx(whole, abs=1e-9)


def test_signatures_name_version_and_settings() -> None:
    assert ngrams.bleu_signature(effective_order=True).startswith("nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|")
    assert "eff:no" in ngrams.bleu_signature(effective_order=False)
    assert ngrams.chrf_signature().startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.")
