"""Stores: exact search against a plain sort, ties, blocks, and Chroma behind the same interface."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from med_lora.errors import InputError
from med_lora.retrieval import stores
from med_lora.retrieval.stores import DECIMALS, ChromaStore, ExactStore, open_store


def unit(random: np.random.Generator, rows: int, width: int = 48) -> np.ndarray:
    found = random.normal(size=(rows, width))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def passages() -> np.ndarray:
    """400 embeddings, the last 10 equal to the first 10."""
    found = unit(np.random.default_rng(1), 390)
    return np.concatenate([found, found[:10]])


@pytest.fixture(scope="module")
def questions(passages: np.ndarray) -> np.ndarray:
    near = passages[:20] + unit(np.random.default_rng(2), 20) / 4
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)


def test_exact_search_equals_a_plain_sort(passages: np.ndarray, questions: np.ndarray) -> None:
    rankings = ExactStore(passages).search(questions, 7)
    cosines = (questions.astype(np.float64) @ passages.astype(np.float64).T).round(DECIMALS)
    for ranking, row in zip(rankings, cosines.tolist(), strict=True):
        expected = sorted(range(len(row)), key=lambda place: (-row[place], place))[:7]
        assert [place for place, _ in ranking] == expected
        assert [score for _, score in ranking] == pytest.approx([row[place] for place in expected], abs=1e-6)


def test_equal_embeddings_tie_and_the_lower_place_wins(passages: np.ndarray, questions: np.ndarray) -> None:
    for place, ranking in enumerate(ExactStore(passages).search(questions[:10], 2)):
        (first, score), (second, other) = ranking
        assert (first, second) == (place, place + 390)
        assert score == other


def test_a_question_alone_gets_what_it_gets_among_others(
    passages: np.ndarray, questions: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ExactStore(passages)
    together = store.search(questions, 9)
    assert [store.search(questions[[row]], 9)[0] for row in range(len(questions))] == together
    monkeypatch.setattr(stores, "_CELLS", 3 * len(passages))
    assert store.search(questions, 9) == together


def test_noise_of_a_batch_does_not_change_the_order_of_equal_passages(questions: np.ndarray) -> None:
    passages = np.repeat(questions[:1], 30, axis=0)
    noise = np.random.default_rng(3).normal(scale=1e-7, size=passages.shape).astype(np.float32)
    (ranking,) = ExactStore(passages + noise).search(questions[:1], 30)
    assert [place for place, _ in ranking] == list(range(30))


def test_more_candidates_than_passages_give_all_and_no_question_gives_none(passages: np.ndarray) -> None:
    store = open_store("exact", passages[:3])
    assert [len(ranking) for ranking in store.search(passages[:2], 20)] == [3, 3]
    assert store.search(passages[:0], 5) == []


def test_a_missing_chroma_is_one_sentence(passages: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chromadb", None)
    with pytest.raises(
        InputError, match=r"pip install -e \.\[chroma\]` in the project, or set retrieval\.store to exact\."
    ):
        open_store("chroma", passages)


def test_chroma_finds_what_exact_search_finds(passages: np.ndarray, questions: np.ndarray) -> None:
    pytest.importorskip("chromadb")
    exact, chroma = ExactStore(passages).search(questions, 10), open_store("chroma", passages).search(questions, 10)
    shared = [len({*dict(one)} & {*dict(other)}) / 10 for one, other in zip(exact, chroma, strict=True)]
    assert np.mean(shared) >= 0.95
    for one, other in zip(exact, chroma, strict=True):
        assert one[0] == other[0]
        scores = dict(one)
        assert all(scores[place] == score for place, score in other if place in scores)


def test_chroma_stores_do_not_share_passages_and_go_with_their_object(passages: np.ndarray) -> None:
    chromadb = pytest.importorskip("chromadb")
    client = chromadb.EphemeralClient(settings=chromadb.Settings(anonymized_telemetry=False))
    before = client.count_collections()
    first, second = ChromaStore(passages[:5]), ChromaStore(passages[5:15])
    assert [len(store.search(passages[:1], 20)[0]) for store in (first, second)] == [5, 10]
    assert first.search(passages[:0], 5) == []
    assert client.count_collections() == before + 2
    del first, second
    assert client.count_collections() == before
