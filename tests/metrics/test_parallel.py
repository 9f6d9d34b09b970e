"""Scores of many pairs: once each, in the order given, the same from any number of processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from med_lora.metrics import parallel
from med_lora.metrics.lexical import NAMES, score_pair
from med_lora.metrics.parallel import score_many
from med_lora.metrics.wordnet import find_wordnet

from .pairs import SCORED
from .wordnet_files import write_wordnet

PAIRS = [(pair.answer, pair.reference) for pair in SCORED]


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only WordNet there is: of a handful of words."""
    import nltk.data

    monkeypatch.setattr(nltk.data, "path", [])
    folder = write_wordnet(tmp_path / "system")
    monkeypatch.setattr(parallel, "find_wordnet", lambda: find_wordnet(folder))
    return folder


def test_pairs_are_scored_in_the_order_given_and_equal_ones_once(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored = []
    score = parallel.LexicalScorer.score

    def record(self: parallel.LexicalScorer, pairs: parallel.Pairs) -> parallel.Part:
        scored.extend(pairs)
        return score(self, pairs)

    monkeypatch.setattr(parallel.LexicalScorer, "score", record)
    names, scores, statistics, metrics = score_many([*PAIRS, *PAIRS[::-1]], 1.2, processes=1)
    assert sorted(scored) == sorted(PAIRS)
    assert names == (*NAMES, "meteor")
    assert sorted(metric.name for metric in metrics) == sorted(names)
    assert np.array_equal(scores[:10], scores[:9:-1])
    assert np.array_equal(statistics[:10], statistics[:9:-1])
    assert np.array_equal(statistics[:10], parallel.LexicalScorer(1.0).score(PAIRS)[1])
    for row, pair in zip(scores, PAIRS, strict=False):
        assert dict(zip(NAMES, row[:7], strict=True)) == score_pair(*pair, rouge_beta=1.2)


def test_several_processes_give_the_same_scores(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = score_many(PAIRS, 1.2, processes=2)
    monkeypatch.setattr(parallel, "PAYS_FROM", 5)
    monkeypatch.setattr(parallel, "CHUNK", 3)
    monkeypatch.setattr(parallel.LexicalScorer, "score", lambda *_: pytest.fail("this process had no pairs to score"))
    found = score_many(PAIRS, 1.2, processes=2)
    assert (found.names, found.metrics) == (expected.names, expected.metrics)
    assert np.array_equal(found.scores, expected.scores)
    assert np.array_equal(found.statistics, expected.statistics)


def test_a_wordnet_that_cannot_be_read_is_missing_and_the_rest_goes_on(
    system: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (system / "data.noun").write_text("")
    names, scores, _, metrics = score_many(PAIRS, 1.0, processes=1)
    assert names == (*NAMES, "meteor_exact_stem")
    assert np.isfinite(scores).all()
    missing = {metric.name: metric.missing for metric in metrics if metric.missing}
    assert missing == {"meteor": "LookupError while WordNet was read"}
    synonyms = {metric.name: metric.signature.partition("synonyms:")[2] for metric in metrics}
    assert (synonyms["meteor"], synonyms["meteor_exact_stem"]) == ("WordNet", "no")
    told = [record.getMessage() for record in caplog.records if record.name == "med_lora.metrics.parallel"]
    assert len(told) == 1
    assert told[0].startswith("METEOR is computed without synonyms: The WordNet in ")
