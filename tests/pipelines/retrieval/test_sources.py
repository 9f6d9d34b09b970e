"""What is indexed: no text that holds the answer to a test question, unless it may, and every text once."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets import CorpusDataset
from med_lora.errors import InputError
from med_lora.parameters import CorpusFiles, PassageParams, parse_parameters
from med_lora.passages import PASSAGE_COLUMNS
from med_lora.pipelines.data_engineering.parsing import parse_corpus
from med_lora.pipelines.data_engineering.passages import PassageSource, make_passages
from med_lora.pipelines.data_engineering.text import words
from med_lora.pipelines.retrieval.sources import REPORT_COLUMNS, holds_answer, select_passages
from tests import recipes
from tests.experiments import base_parameters
from tests.pipelines.evaluation.conftest import Table

BOTH = ["passages", "training_answers"]
ALPHABET = [f"w{number}" for number in range(200)]
ANSWER = " ".join(ALPHABET[:20])  # of 20 words


def split(*answers: str, **columns: list[str]) -> Table:
    ids = [f"corpus:{number}" for number in range(len(answers))]
    return Table(pd.DataFrame({"id": ids, "question": "Why?", "answer": list(answers), **columns}))


def texts(*given: str, ids: list[str] | None = None) -> pd.DataFrame:
    ids = ids or [f"book:{number}" for number in range(len(given))]
    table = pd.DataFrame({"id": ids, "corpus": "book", "book": "b", "chapter": "c", "page": 0, "licence": "CC0-1.0"})
    return table.assign(text=list(given))[PASSAGE_COLUMNS]


def indexed(test: Table, *given: str) -> list[str]:
    """The texts that stay, beside one that shares nothing."""
    table, _ = select_passages(test, recipes.retrieval(sources=["passages"]), passages=texts(*given, "apart"))
    return [text for text in table["text"] if text != "apart"]


def shared(start: int, count: int) -> str:
    return " ".join(["before", *ALPHABET[start : start + count], "after"])


def test_thirteen_words_in_a_row_of_an_answer_are_too_many_and_twelve_are_not() -> None:
    kept = indexed(split(ANSWER), shared(3, 13), shared(3, 12), shared(7, 13))
    assert kept == [shared(3, 12)]


def test_case_and_punctuation_hide_no_answer() -> None:
    assert indexed(split(ANSWER), shared(0, 13).upper().replace(" ", ", ")) == []


def test_an_answer_of_six_to_twelve_words_must_stand_whole_in_a_text() -> None:
    answer = " ".join(ALPHABET[:8])
    kept = indexed(split(answer), f"Say {answer}.", " ".join(ALPHABET[:7]), " ".join(reversed(ALPHABET[:8])))
    assert kept == [" ".join(ALPHABET[:7]), " ".join(reversed(ALPHABET[:8]))]


def test_shorter_answers_are_not_looked_for() -> None:
    assert indexed(split("Rest the swollen joint now."), "Rest the swollen joint now.") == [
        "Rest the swollen joint now."
    ]


def test_a_short_answer_given_to_two_questions_is_still_looked_for() -> None:
    answer = "See a doctor within three days."
    assert indexed(split(answer, answer), f"Well: {answer}") == []


def test_the_end_of_one_text_and_the_beginning_of_the_next_make_no_answer() -> None:
    head, tail = " ".join(ALPHABET[:10]), " ".join(ALPHABET[10:20])
    assert indexed(split(ANSWER), head, tail) == [head, tail]


@pytest.mark.parametrize("seed", range(3))
def test_random_texts_share_no_long_run_with_an_answer_after_selection(seed: int) -> None:
    draw = random.Random(seed)
    answers = [" ".join(draw.choices(ALPHABET, k=draw.randint(1, 60))) for _ in range(20)]
    pieces = [answer.split() for answer in answers]
    given = []
    for _ in range(100):
        piece = draw.choice(pieces)
        start = draw.randrange(len(piece))
        taken = piece[start : start + draw.randint(1, 20)]
        padding = [draw.choices(ALPHABET, k=draw.randint(0, 10)) for _ in range(2)]
        given.append(" ".join([*padding[0], *taken, *padding[1]]))
    found = holds_answer(given, answers)
    assert found.tolist() == [any(_is_held(text, answer) for answer in answers) for text in given]
    assert 0 < found.sum() < len(given)


def _is_held(text: str, answer: str) -> bool:
    """The rule in its plainest form."""
    sought = words(answer)
    if len(sought) < 6:
        return False
    width = min(13, len(sought))
    runs = [f" {' '.join(sought[start : start + width])} " for start in range(len(sought) - width + 1)]
    return any(run in f" {' '.join(words(text))} " for run in runs)


def test_of_texts_with_the_same_words_the_first_by_id_stays_whatever_the_order() -> None:
    given = texts("The knee.", "the KNEE", "The hip.", ids=["b", "a", "c"])
    retrieval = recipes.retrieval(sources=["passages"])
    for table in (given, given[::-1]):
        kept, report = select_passages(split(ANSWER), retrieval, passages=table)
        assert kept["id"].tolist() == ["a", "c"]
        assert report.set_index("reason")["left_out"].to_dict() == {
            "no_words": 0,
            "holds_test_answer": 0,
            "duplicate": 1,
        }


def test_training_answers_become_passages_that_say_where_they_are_from() -> None:
    train = split("Rest.", "Ice.", corpus=["wiki", "wiki"], focus=["Gout", ""], document=["d1", "d2"])
    kept, _ = select_passages(split(ANSWER), recipes.retrieval(sources=["training_answers"]), train=train)
    assert list(kept.columns) == PASSAGE_COLUMNS
    assert kept["id"].tolist() == ["training:corpus:0", "training:corpus:1"]
    assert kept[["book", "chapter", "page"]].to_numpy().tolist() == [["wiki", "Gout", 0], ["wiki", "d2", 0]]


def test_pairs_without_further_columns_become_passages_too() -> None:
    kept, _ = select_passages(split(ANSWER), recipes.retrieval(), train=split("Rest."))
    assert kept[["corpus", "book", "chapter", "licence"]].to_numpy().tolist() == [["", "", "", ""]]


def test_the_report_accounts_for_every_text_of_every_source() -> None:
    train = split(ANSWER, "Rest the knee.", "Ice.")
    given = texts(shared(0, 13), "...", "rest THE knee", "The hip.", ids=["p1", "p2", "p3", "p4"])
    kept, report = select_passages(split(ANSWER), recipes.retrieval(sources=BOTH), train, given)
    assert kept["id"].tolist() == ["p3", "p4", "training:corpus:2"]
    assert list(report.columns) == REPORT_COLUMNS
    assert report.to_numpy().tolist() == [
        ["passages", 4, 1, "no_words", 2, 0],
        ["passages", 4, 1, "holds_test_answer", 2, 0],
        ["passages", 4, 0, "duplicate", 2, 0],
        ["training_answers", 3, 0, "no_words", 1, 0],
        ["training_answers", 3, 1, "holds_test_answer", 1, 0],
        ["training_answers", 3, 1, "duplicate", 1, 0],
    ]


def test_answers_that_are_not_held_out_are_indexed_and_counted() -> None:
    given = texts(shared(0, 13), shared(0, 13).upper(), "The hip.", ids=["p1", "p2", "p3"])
    retrieval = recipes.retrieval(sources=["passages"], hold_out_answers=False)
    kept, report = select_passages(split(ANSWER), retrieval, passages=given)
    assert kept["id"].tolist() == ["p1", "p3"]
    assert report.to_numpy().tolist() == [
        ["passages", 3, 0, "no_words", 2, 1],
        ["passages", 3, 0, "holds_test_answer", 2, 1],
        ["passages", 3, 1, "duplicate", 2, 1],
    ]


def test_only_the_sources_named_are_indexed() -> None:
    kept, report = select_passages(split(ANSWER), recipes.retrieval(), split("Rest."), texts("The hip."))
    assert kept["id"].tolist() == ["training:corpus:0"]
    assert set(report["source"]) == {"training_answers"}


def test_an_index_of_nothing_is_refused_with_the_reasons() -> None:
    with pytest.raises(InputError, match=r"None of the 1 texts.*1 holds_test_answer.*add a source"):
        select_passages(split(ANSWER), recipes.retrieval(), split(ANSWER))


def test_a_source_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="names passages"):
        select_passages(split(ANSWER), recipes.retrieval(sources=BOTH), split("Rest."))


def test_no_answer_of_the_embedded_corpora_stays_in_their_own_texts(root: Path) -> None:
    pages, documents, pairs = _embedded(root)
    test, train = pairs[pairs.index % 5 == 0], pairs[pairs.index % 5 != 0]
    given = pd.concat([pages, documents], ignore_index=True)
    kept, report = select_passages(Table(test), recipes.retrieval(sources=BOTH), Table(train), given)
    runs = {
        tuple(found[start : start + 13])
        for answer in test["answer"]
        for found in [words(answer)]
        for start in range(len(found) - 12)
    }
    left = [
        text
        for text in kept["text"]
        for found in [words(text)]
        if any(tuple(found[start : start + 13]) in runs for start in range(len(found) - 12))
    ]
    assert len(runs) > 1000
    assert not left
    # the pages are answers of test pairs themselves, the textbook is not
    counts = report.pivot(index="source", columns="reason", values="left_out")
    assert counts.loc["passages", "holds_test_answer"] > 0
    assert documents["id"].isin(kept["id"]).mean() > 0.95
    assert (report["indexed"] > 0).all()


def _embedded(root: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Passages of the pages and of the textbook, and the pairs of the pages and of WikiDoc's layout."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(root / "data" / "06_models" / "embedded-base")
    parameters = parse_parameters({"experiment": "test", "description": "a test", **base_parameters()})

    def raw(name: str) -> Any:
        files = parameters.corpora[name].model_dump(include=set(CorpusFiles.model_fields))
        return CorpusDataset(name=name, corpora={name: files}, root=str(root / "data/01_raw/embedded")).load()

    def passages(name: str) -> pd.DataFrame:
        corpus = parameters.corpora[name]
        assert corpus.layout in ("documents", "pages")
        source = PassageSource(name, corpus.licence, corpus.layout, raw(name))
        screening = parameters.data_engineering.screening
        return make_passages(PassageParams(tokens=96, overlap=16), screening, tokenizer, source)

    pairs = [
        chunk
        for name in ("medical_terms", "wikidoc")
        for chunk in parse_corpus(raw(name), parameters.corpora[name], name)
    ]
    table = pd.concat(pairs, ignore_index=True)
    return passages("medical_terms"), passages("textbooks"), table[table["fault"] == ""].reset_index(drop=True)
