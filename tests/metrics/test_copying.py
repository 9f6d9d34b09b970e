"""The longest shared run of words, against brute force."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med_lora.metrics import copying
from med_lora.metrics.copying import longest_runs, normalised_words


def brute_force(text: Sequence[str], sources: Sequence[Sequence[str]]) -> int:
    """Every run of the text, looked for at every place of every source."""
    runs = (text[start:end] for start in range(len(text)) for end in range(start + 1, len(text) + 1))
    shared = (
        len(run)
        for run in runs
        for source in sources
        if any(source[place : place + len(run)] == run for place in range(len(source)))
    )
    return max(shared, default=0)


# few letters, so that runs are long, and one that no source has
TEXTS = st.lists(st.text(alphabet="abz", max_size=14).map(list), min_size=1, max_size=5)
SOURCES = st.lists(st.text(alphabet="abc", max_size=14).map(list), max_size=5)


@settings(deadline=None, max_examples=150, derandomize=True)
@given(texts=TEXTS, sources=SOURCES)
def test_runs_are_those_of_brute_force(texts: list[list[str]], sources: list[list[str]]) -> None:
    assert longest_runs(texts, sources) == [brute_force(text, sources) for text in texts]


@settings(deadline=None, max_examples=50, derandomize=True)
@given(texts=TEXTS, sources=SOURCES)
def test_copies_of_a_whole_source_are_found_behind_and_before_other_words(
    texts: list[list[str]], sources: list[list[str]]
) -> None:
    copies = [["z", *source, "z"] for source in sources]
    found = longest_runs([*texts, *copies], sources)
    assert found[len(texts) :] == [len(source) for source in sources]
    assert found[: len(texts)] == longest_runs(texts, sources)


def test_a_run_must_stand_in_one_source() -> None:
    sources = [["rest", "and", "ice"], ["help", "the", "knee"]]
    assert longest_runs([["rest", "and", "ice", "help", "the", "knee"]], sources) == [3]


def test_texts_sorted_in_several_blocks_have_the_same_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [list("abcab"), list("ccc"), [], list("bcabca"), list("zz")]
    sources = [list("cabcc"), list("bcabc")]
    whole = longest_runs(texts, sources)
    monkeypatch.setattr(copying, "BLOCK_WORDS", 6)
    assert longest_runs(texts, sources) == whole == [4, 2, 0, 5, 0]


def test_nothing_is_shared_with_no_sources_and_of_no_texts() -> None:
    assert longest_runs([["a"], []], []) == [0, 0]
    assert longest_runs([], [["a"]]) == []


def test_case_and_punctuation_are_no_part_of_a_word() -> None:
    assert normalised_words("Rest, ICE – and (5 mg) ÉLAN!") == ["rest", "ice", "and", "5", "mg", "élan"]
