from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest

from med_lora.chunks import Chunks
from med_lora.datasets.readers.documents import read_documents
from med_lora.errors import InputError
from med_lora.parameters.data import PassageParams, ScreeningParams
from med_lora.passages import PASSAGE_COLUMNS
from med_lora.pipelines.data_engineering.blocks import Part, read_paragraphs
from med_lora.pipelines.data_engineering.passages import PassageSource, make_passages

PROSE = " ".join(f"Sentence {number} says what the joint of number {number} does." for number in range(60))
CHAPTER = (
    f"# Joints\n\n{PROSE}\n\n## Kinds\n\nKinds are:\n\n- hinge\n- pivot\n\n## Last\n\n{PROSE.replace('joint', 'hip')}"
)


def documents(*files: tuple[str, str, int, str], name: str = "texts", fault: str = "") -> PassageSource:
    columns = ["book", "chapter", "page", "text"]
    table = pd.DataFrame(files, columns=columns).assign(fault=fault).astype("str")
    return PassageSource(name, "CC-BY-4.0", "documents", Chunks(lambda: (table.iloc[:1], table.iloc[1:])))


def pages(**columns: Sequence[str]) -> PassageSource:
    table = pd.DataFrame(columns).assign(fault="").astype("str")
    return PassageSource("wiki", "CC0-1.0", "pages", Chunks(lambda: [table]))


def passages(
    tokenizer: Any, source: PassageSource, tokens: int = 200, overlap: int = 0, **actions: str
) -> pd.DataFrame:
    classes: dict[str, Any] = dict.fromkeys(ScreeningParams.model_fields, "mask") | {"presidio": False} | actions
    return make_passages(PassageParams(tokens=tokens, overlap=overlap), ScreeningParams(**classes), tokenizer, source)


def paragraphs(*parts: tuple[str, int, str], name: str = "a-book-of-joints") -> list[str]:
    return [
        f"{one.heading}\n{one.body}" if one.heading else one.body
        for _, found in read_paragraphs(name, [Part(*part) for part in parts])
        for one in found
    ]


def lengths(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]


def test_headings_open_and_lists_end_paragraphs() -> None:
    markdown = (
        "# Chapter\n\n## Part\nFirst line\nsecond line.\n\nTypes are:\n\n- one\n\n- two\n  wrapped\n3) three\n\n# Last"
    )
    assert paragraphs(("001-a", 0, markdown)) == [
        "Chapter\nPart\nFirst line second line.",
        "Types are:\n- one\n- two wrapped\n3) three",
    ]


def test_mark_up_goes() -> None:
    markdown = (
        "A **bold** and *slanted* [link](https://example.org/a) ![](x.png)H<sub>2</sub>O &lt;5 * 3 mg.<br/>&nbsp;End."
    )
    assert paragraphs(("001-a", 0, markdown)) == ["A bold and slanted link H2O <5 * 3 mg. End."]


def test_identifiers_are_masked_or_their_paragraph_goes(tokenizer: Any) -> None:
    source = documents(("b", "c", "0", "First. Ring 800-555-0142.\n\nSecond. Write to a@example.org."))
    assert passages(tokenizer, source)["text"].tolist() == ["First. Ring [PHONE].\n\nSecond. Write to [EMAIL]."]
    assert passages(tokenizer, source, emails="reject")["text"].tolist() == ["First. Ring [PHONE]."]


def test_a_repeated_paragraph_stays_once_per_book() -> None:
    assert paragraphs(("001-a", 0, "# One\n\nSame text.\n\nSame  TEXT!"), ("002-b", 0, "Same text.")) == [
        "One\nSame text."
    ]


def test_recurring_page_headers_go_and_facts_with_numbers_stay() -> None:
    one = "A Book of Joints | 57\n\nThe knee bends.\n\n12\n\nPage 3 of 9\n\nStage 2\n\nWeek 3"
    two = "A Book of Joints | 58\n\nThe hip turns.\n\n13\n\nPage 4 of 9\n\nStage 3\n\nWeek 4\n\nThe Hip 14"
    assert paragraphs(("001-the-knee", 0, one), ("002-the-hip", 0, two)) == [
        "The knee bends.", "Stage 2", "Week 3", "The hip turns.", "Stage 3", "Week 4", "The Hip 14",
    ]  # fmt: skip


def test_pdf_lines_become_paragraphs() -> None:
    first = (
        "Knee tests\r\nThis line is as wide as the page allows it to be, and\r\nit ends here.\r\n"
        "The second paragraph begins on a line of its own and is hy\u00ad\r\nphenated."
    )
    assert paragraphs(("009-tests", 1, first)) == [
        "Knee tests\nThis line is as wide as the page allows it to be, and it ends here.",
        "The second paragraph begins on a line of its own and is hyphenated.",
    ]


def test_running_lines_of_a_pdf_go() -> None:
    parts = [
        ("009-tests", page, f"Clinical tests\nText of page {'abc'[page - 1]}.\nseen on {page}") for page in (1, 2, 3)
    ]
    assert paragraphs(*parts) == ["Text of page a.", "Text of page b.", "Text of page c."]
    assert len(paragraphs(*parts[:2])) == 2


def test_a_sentence_goes_on_over_the_end_of_a_page() -> None:
    parts = ("a", 1, "The knee bends and"), ("a", 2, "turns a little."), ("a", 3, "The hip turns.")
    assert paragraphs(*parts) == ["The knee bends and turns a little.", "The hip turns."]


def test_columns_and_numbers_of_passages(tokenizer: Any) -> None:
    table = passages(
        tokenizer,
        documents(("b", "001-a", 0, "One."), ("b", "002-b", 0, "Two."), ("b", "001-a", 0, "Three.")),
    )
    assert list(table.columns) == PASSAGE_COLUMNS
    assert table["id"].tolist() == [
        "texts:b/001-a#0001",
        "texts:b/002-b#0001",
        "texts:b/001-a#0002",
    ]
    assert table["page"].dtype == "int64"
    assert set(table["licence"]) == {"CC-BY-4.0"}


@pytest.mark.parametrize("overlap", [0, 60])
def test_every_word_stands_in_a_passage_within_the_tokens(tokenizer: Any, overlap: int) -> None:
    table = passages(tokenizer, documents(("b", "a", 0, CHAPTER)), overlap=overlap)
    assert max(lengths(tokenizer, table["text"])) <= 200
    assert len(table) > 10
    expected = CHAPTER.replace("#", "").split()
    position = 0
    for text in table["text"]:
        words = text.split()
        start = next(at for at in range(position, -1, -1) if expected[at : at + len(words)] == words)
        assert overlap or start == position
        position = start + len(words)
    assert position == len(expected)


def test_overlap_repeats_no_more_than_its_tokens(tokenizer: Any) -> None:
    single, shared = (passages(tokenizer, documents(("b", "a", 0, CHAPTER)), overlap=size) for size in (0, 100))
    extra = sum(lengths(tokenizer, shared["text"])) - sum(lengths(tokenizer, single["text"]))
    assert 0 < extra <= 100 * len(shared)


def test_passages_end_with_sentences_and_headings_stay_with_their_paragraph(tokenizer: Any) -> None:
    texts = passages(tokenizer, documents(("b", "a", 0, CHAPTER)))["text"]
    assert texts.str.endswith((".", "pivot")).all()
    assert texts[texts.str.startswith(("Joints\nSentence 0", "Kinds\nKinds are", "Last\nSentence 0"))].size == 3


def test_words_longer_than_a_passage_are_cut(tokenizer: Any) -> None:
    word = "".join(f"acetyl{number}" for number in range(200))
    texts = passages(tokenizer, documents(("b", "a", 0, f"Before {word} after.")), tokens=50)["text"]
    assert max(lengths(tokenizer, texts)) <= 50
    assert "".join(texts).replace(" ", "") == f"Before{word}after."


def test_a_count_that_is_too_low_is_corrected(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from med_lora.pipelines.data_engineering.passages import Splitter

    count = Splitter._count
    monkeypatch.setattr(Splitter, "_count", lambda splitter, text: count(splitter, text) // 2)
    texts = passages(tokenizer, documents(("b", "a", 0, CHAPTER)))["text"]
    assert max(lengths(tokenizer, texts)) <= 200
    assert " ".join(texts).split() == CHAPTER.replace("#", "").split()


def test_page_is_that_of_the_first_character(tokenizer: Any) -> None:
    joints = enumerate(["knee", "hip", "wrist"], start=1)
    parts = [("b", "a", page, f"Page {page} begins. {PROSE.replace('joint', joint)}") for page, joint in joints]
    table = passages(tokenizer, documents(*parts))
    starts = table[table["text"].str.startswith("Page ")]
    assert starts["page"].tolist() == [1, 2, 3]
    assert table["page"].is_monotonic_increasing
    assert table["page"].value_counts().min() > 1


def test_equal_passages_of_a_corpus_stay_once(tokenizer: Any) -> None:
    source = documents(("b", "1", 0, "Same text."), ("c", "1", 0, "same  TEXT!"), ("c", "1", 0, "Other text."))
    assert passages(tokenizer, source)["id"].tolist() == ["texts:b/1#0001", "texts:c/1#0001"]


@pytest.mark.parametrize(
    "columns",
    [
        {"page_title": ["Gout ", "Ataxia"], "page_text": ["'''Gout''' is a [[disease]].\n== Signs ==\nPain.", "Gait."]},
        {
            "text": [
                "<s>[INST] Gout [/INST] '''Gout''' is a [[disease]].\n== Signs ==\nPain. </s>",
                "<s>[INST] Ataxia [/INST] Gait. </s>",
            ]
        },
    ],
    ids=["columns", "instruction marks"],
)
def test_pages_become_passages_without_their_marks(tokenizer: Any, columns: dict[str, list[str]]) -> None:
    table = passages(tokenizer, pages(**columns))
    assert table["text"].tolist() == ["Gout is a disease.\n\nSigns\nPain.", "Gait."]
    assert table["id"].tolist() == ["wiki:wiki/Gout#0001", "wiki:wiki/Ataxia#0001"]
    assert table["chapter"].tolist() == ["Gout", "Ataxia"]


def test_records_with_a_fault_make_no_passage(tokenizer: Any, caplog: pytest.LogCaptureFixture) -> None:
    faulty = documents(("b", "a", 0, ""), ("b", "a", 0, ""), fault="unreadable_page").records
    sound = documents(("b", "a", 0, "Text.")).records

    def both() -> Iterator[pd.DataFrame]:
        yield from faulty
        yield from sound

    assert len(passages(tokenizer, PassageSource("c", "CC0-1.0", "documents", Chunks(both)))) == 1
    assert "c: 2 records cannot be used" in caplog.text


def test_a_corpus_without_text_is_an_error(tokenizer: Any) -> None:
    with pytest.raises(InputError, match="raw_texts holds no paragraph"):
        passages(tokenizer, documents(("b", "a", 0, "# Only a heading\n\n---\n")))


def test_a_tokenizer_without_a_fast_form_is_an_error() -> None:
    with pytest.raises(InputError, match=r"needs? a tokenizer with a tokenizer\.json"):
        passages(object(), documents(("b", "a", 0, "Text.")))


def test_tokens_for_less_than_a_character_name_their_key(tokenizer: Any) -> None:
    with pytest.raises(InputError, match=r"^data_engineering\.passages\.tokens is 1, less than one character needs"):
        passages(tokenizer, documents(("b", "a", 0, "痛风")), tokens=1)


def test_marks_that_are_never_closed_cost_little() -> None:
    # In the square of their number, these would take hours.
    text = "# a" + " " * 50_000 + "b" + "#" * 50_000 + "c\n\n" + " **a" * 50_000 + "\n\n" + "[" * 50_000
    assert len(paragraphs(("a", 0, text))) == 1


def test_a_real_textbook_loses_no_word(real_corpora: Path, tokenizer: Any) -> None:
    folder = str(real_corpora / "textbooks" / "nutrition")
    records = pd.concat(read_documents(fsspec.filesystem("file"), folder, "nutrition", "utf-8", "textbooks"))[:20]
    records["book"] = "nutrition"
    source = PassageSource("nutrition", "CC-BY-4.0", "documents", Chunks(lambda: [records]))
    unscreened = dict.fromkeys(set(ScreeningParams.model_fields) - {"presidio"}, "ignore")
    table = passages(tokenizer, source, tokens=400, **unscreened)
    parts = [Part(chapter, 0, text) for chapter, text in zip(records["chapter"], records["text"], strict=True)]
    for chapter, found in read_paragraphs("nutrition", parts):
        words = [word for one in found for word in f"{one.heading}\n{one.body}".split()]
        assert " ".join(table.loc[table["chapter"] == chapter, "text"]).split() == words
    assert max(lengths(tokenizer, table["text"])) <= 400
    assert not table["text"].str.contains(r"^#|</?(?:p|br|span)\b", regex=True).any()
