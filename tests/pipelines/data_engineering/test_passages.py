from __future__ import annotations

import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.pipelines.data_engineering.passages import PASSAGE_COLUMNS, read_passages


def book(*files: tuple[str, int, str], name: str = "a-book-of-joints") -> pd.DataFrame:
    return pd.DataFrame([(name, *file) for file in files], columns=["book", "chapter", "page", "text"])


def texts(*files: tuple[str, int, str]) -> list[str]:
    return read_passages(book(*files))["text"].tolist()


def test_headings_open_and_lists_end_paragraphs() -> None:
    markdown = (
        "# Chapter\n\n## Part\nFirst line\nsecond line.\n\nTypes are:\n\n- one\n\n- two\n  wrapped\n3) three\n\n# Last"
    )
    assert texts(("001-a", 0, markdown)) == [
        "Chapter\nPart\nFirst line second line.",
        "Types are:\n- one\n- two wrapped\n3) three",
    ]


def test_rows_are_numbered_within_the_chapter() -> None:
    passages = read_passages(book(("001-a", 0, "One.\n\nTwo."), ("002-b", 0, "Three."), ("003-c", 1, "Four.")))
    assert list(passages.columns) == PASSAGE_COLUMNS
    assert passages["id"].tolist() == [
        f"a-book-of-joints/{end}" for end in ("001-a#0001", "001-a#0002", "002-b#0001", "003-c#0001")
    ]
    assert passages["page"].tolist() == [0, 0, 0, 1]


def test_mark_up_and_contacts_go() -> None:
    markdown = (
        "A **bold** and *slanted* [link](https://example.org/a) ![](x.png)H<sub>2</sub>O &lt;5 * 3 mg."
        "<br/>&nbsp;Ring 555-0142."
    )
    assert texts(("001-a", 0, markdown)) == ["A bold and slanted link H2O <5 * 3 mg. Ring [PHONE]."]


def test_a_repeated_paragraph_stays_once_per_book() -> None:
    table = pd.concat(
        [book(("001-a", 0, "# One\n\nSame text.\n\nSame  TEXT!")), book(("001-a", 0, "Same text."), name="b")]
    )
    assert read_passages(table)["id"].tolist() == ["a-book-of-joints/001-a#0001", "b/001-a#0001"]


def test_recurring_page_headers_go_and_facts_with_numbers_stay() -> None:
    one = "A Book of Joints | 57\n\nThe knee bends.\n\n12\n\nPage 3 of 9\n\nStage 2\n\nWeek 3"
    two = "A Book of Joints | 58\n\nThe hip turns.\n\n13\n\nPage 4 of 9\n\nStage 3\n\nWeek 4\n\nThe Hip 14"
    assert texts(("001-the-knee", 0, one), ("002-the-hip", 0, two)) == [
        "The knee bends.", "Stage 2", "Week 3", "The hip turns.", "Stage 3", "Week 4", "The Hip 14",
    ]  # fmt: skip


def test_pdf_lines_become_paragraphs() -> None:
    first = (
        "Knee tests\r\nThis line is as wide as the page allows it to be, and\r\nit ends here.\r\n"
        "The second paragraph begins on a line of its own and is hy\u00ad\r\nphenated."
    )
    assert texts(("009-tests", 1, first)) == [
        "Knee tests\nThis line is as wide as the page allows it to be, and it ends here.",
        "The second paragraph begins on a line of its own and is hyphenated.",
    ]


def test_running_lines_of_a_pdf_go() -> None:
    pages = [
        ("009-tests", page, f"Clinical tests\nText of page {'abc'[page - 1]}.\nseen on {page}") for page in (1, 2, 3)
    ]
    assert texts(*pages) == ["Text of page a.", "Text of page b.", "Text of page c."]
    assert len(texts(*pages[:2])) == 2


def test_books_without_a_paragraph_are_an_error() -> None:
    with pytest.raises(InputError, match="raw_textbooks holds no paragraph"):
        read_passages(book(("001-a", 0, "# Only a heading\n\n---\n")))
