"""BLEU and chrF of statistics against sacrebleu, of one pair and of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med_lora.metrics import ngrams
from med_lora.metrics.lexical import STATISTICS, LexicalScorer

pieces = st.sampled_from(["gout", "Gout", "pain", "toe,", "5 mg", "1,000", "β-cell", "é", ".", "?!", "&amp;", "\n"])
texts = st.lists(pieces, max_size=14).map(" ".join)
corpora = st.lists(st.tuples(texts, texts), min_size=1, max_size=5)


def statistics(pairs: list[tuple[str, str]]) -> dict[str, np.ndarray]:
    table = LexicalScorer(1.0).score(pairs)[1]
    ends = np.cumsum([len(names) for names in STATISTICS.values()])[:-1]
    return dict(zip(STATISTICS, np.split(table, ends, axis=1), strict=True))


def count(units: Sequence[str], order: int) -> Counter[Any]:
    return Counter(tuple(units[start : start + order]) for start in range(len(units) - order + 1))


@given(corpora)
@settings(max_examples=80, deadline=None)
def test_every_statistic_is_that_of_bags_of_ngrams(pairs: list[tuple[str, str]]) -> None:
    found = statistics(pairs)
    for row, pair in enumerate(pairs):
        for metric, cut, longest in (
            ("bleu", str.split, 4),
            ("sacrebleu", ngrams.bleu_tokens, 4),
            ("chrf", lambda text: "".join(text.split()), 6),
        ):
            left, right = ([count(cut(text), n) for n in range(1, longest + 1)] for text in pair)
            expected = {"answer": left[0].total(), "reference": right[0].total()}
            for n, (answer, reference) in enumerate(zip(left, right, strict=True), 1):
                expected |= {f"matched_{n}": (answer & reference).total(), f"found_{n}": answer.total()}
                # sacrebleu counts no n-gram of the answer where the reference has none to match
                expected |= {f"answer_{n}": answer.total() * bool(reference), f"reference_{n}": reference.total()}
            values = dict(zip(STATISTICS[metric], found[metric][row].tolist(), strict=True))
            assert values == {name: expected[name.removeprefix(f"{metric}_")] for name in values}


def test_pairs_share_no_ngrams_with_each_other() -> None:
    texts = [np.array(text) for text in ([1, 2], [3], [3, 1, 2], [], [2**40, 7])]
    answers, references = [texts[0], texts[1], texts[4]], [texts[2], texts[3].astype(np.int64), texts[4]]
    assert ngrams.match_ngrams(answers, references, 3).tolist() == [[2, 1, 0], [0, 0, 0], [2, 1, 0]]


def test_characters_beyond_the_first_plane_and_broken_ones_are_one_each() -> None:
    assert ngrams.number_characters("a \U0001f9ec\n\ud800").tolist() == [0x61, 0x1F9EC, 0xD800]


@given(corpora)
@settings(max_examples=80, deadline=None)
def test_sentences_and_corpora_score_as_in_sacrebleu(pairs: list[tuple[str, str]]) -> None:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    answers, references = (list(column) for column in zip(*pairs, strict=True))
    counted = statistics(pairs)
    of_words, of_characters = counted["sacrebleu"], counted["chrf"]
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
