"""Textbook files to paragraphs."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator

import pandas as pd

from med_lora.errors import InputError
from med_lora.pipelines.data_engineering.masking import mask_contacts
from med_lora.pipelines.data_engineering.text import clean_text, comparison_key, has_words

logger = logging.getLogger(__name__)

PASSAGE_COLUMNS = ["id", "book", "chapter", "page", "text"]

HEADING, ITEM, PARAGRAPH = "heading", "item", "paragraph"
Block = tuple[str, str]

_HEADING = re.compile(r"#{1,6}\s+(.*?)\s*#*$")
_ITEM = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s+")
_IMAGE = re.compile(r"!\[[^\]]{0,300}\]\([^)\s]{0,500}\)")
_LINK = re.compile(r"\[([^\]]{1,300})\]\((?:https?:|#|/|\.)[^)\s]{0,500}\)")
_STRONG = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_EMPHASIS = re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]+?)(?<=\S)\*(?![\w*])")
_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(
    r"(?P<before>\d{1,4}\s*(?P<bar>[|•·]?))?(?P<title>.*?)(?P<after>(?P<rear>[|•·]?)\s*\d{1,4}(?:\s+of\s+\d{1,4})?)?"
)
_HYPHEN_AT_LINE_END = re.compile("[\u00ad\ufffe\x02]\r?\n?")
_SENTENCE_END = re.compile(r"[.!?:;][\"'\u201d\u2019)\]]*$")
# A line of a PDF that fills less of the widest one than this ends its paragraph.
_FULL_LINE = 0.75
_LONGEST_HEADER_WORDS = 12


def read_passages(textbooks: pd.DataFrame) -> pd.DataFrame:
    """Paragraphs of textbooks, clean and each once a book.

    A heading opens the paragraph that follows it, a list belongs to the paragraph before it; mark-up of markdown and
    HTML goes, telephone numbers and e-mail addresses are masked. Dropped are page headers and footers that come at
    least twice: a page number alone, with the title of the book or of a chapter, or set off by a bar from other
    words; and the first and last lines that at least three pages of one PDF share, whatever their numbers.

    Args:
        textbooks: columns book, chapter, page (0 for markdown), text, as ``TextbookDataset`` loads them.

    Returns:
        id (unique, ``<book>/<chapter>#<number>``), book, chapter, page, text; in reading order.

    Raises:
        InputError: if the books hold no paragraph.
    """
    rows: list[tuple[str, str, str, int, str]] = []
    for book, pages in textbooks.groupby("book", sort=False):
        found = _book_passages(pages)
        logger.info("%s: %d files or pages read, %d passages.", book, len(pages), len(found))
        numbers: Counter[str] = Counter()
        for chapter, page, text in found:
            numbers[chapter] += 1
            rows.append((f"{book}/{chapter}#{numbers[chapter]:04d}", str(book), chapter, page, text))
    if not rows:
        raise InputError("raw_textbooks holds no paragraph of text; put markdown or PDF files with text there.")
    return pd.DataFrame(rows, columns=PASSAGE_COLUMNS).astype(dict.fromkeys(["id", "book", "chapter", "text"], "str"))


def _book_passages(pages: pd.DataFrame) -> list[tuple[str, int, str]]:
    """Chapter, page and text of the passages of one book."""
    pages = pages.assign(text=_without_running_lines(pages))
    blocks = [
        (chapter, page, list(_pdf_blocks(text) if page else _markdown_blocks(text)))
        for chapter, page, text in zip(pages["chapter"], pages["page"], pages["text"], strict=True)
    ]
    titles = {_title(name) for name in [str(pages["book"].iat[0]), *pages["chapter"].unique()]} | {"", "page"}
    headers = _recurring_headers([text for _, _, found in blocks for kind, text in found if kind != ITEM], titles)
    passages: list[tuple[str, int, str]] = []
    seen: set[str] = set()
    for chapter, page, found in blocks:
        for heading, body in _join_blocks([block for block in found if _masked(block[1]) not in headers]):
            key = comparison_key(body)
            if key not in seen:
                seen.add(key)
                passages.append((chapter, int(page), f"{heading}\n{body}" if heading else body))
    return passages


def _markdown_blocks(text: str) -> Iterator[Block]:
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        heading = _HEADING.fullmatch(line.strip())
        if heading or not line.strip() or _ITEM.match(line.strip()):
            yield from _block(lines)
            lines = []
        if heading:
            yield HEADING, _plain(heading[1])
        elif line.strip():
            lines.append(line.strip())


def _block(lines: list[str]) -> Iterator[Block]:
    """One item or paragraph of joined lines, if any words are left of it."""
    text = _plain(" ".join(lines))
    if has_words(text):
        yield (ITEM if _ITEM.match(lines[0]) else PARAGRAPH), text


def _pdf_blocks(text: str) -> Iterator[Block]:
    """Paragraphs of a page whose lines are as wide as they were printed."""
    lines = [line.strip() for line in _HYPHEN_AT_LINE_END.sub("", text).splitlines() if line.strip()]
    widest = max((len(line) for line in lines), default=0)
    block: list[str] = []
    for line in lines:
        block.append(line)
        if len(line) < _FULL_LINE * widest:
            alone = len(block) == 1 and not _SENTENCE_END.search(line) and len(line.split()) <= _LONGEST_HEADER_WORDS
            yield from [(HEADING, _plain(line))] if alone else _block(block)
            block = []
    yield from _block(block)


def _plain(text: str) -> str:
    text = _LINK.sub(r"\1", _IMAGE.sub("", text))
    text = _EMPHASIS.sub(r"\1", _STRONG.sub(r"\2", text))
    return " ".join(mask_contacts(clean_text(text))[0].split())


def _join_blocks(blocks: list[Block]) -> Iterator[tuple[str, str]]:
    """Headings and body of each passage; headings without a paragraph are dropped."""
    headings: list[str] = []
    body: list[str] = []
    heading_of_body = ""
    for kind, text in blocks:
        if kind == ITEM and body:
            body.append(text)
            continue
        if body:
            yield heading_of_body, "\n".join(body)
            body = []
        if kind == HEADING:
            headings.append(text)
        else:
            heading_of_body, headings, body = "\n".join(headings), [], [text]
    if body:
        yield heading_of_body, "\n".join(body)


def _masked(line: str) -> str:
    return _DIGITS.sub("0", line.casefold())


def _title(file_name: str) -> str:
    """Words of a file name without its number: ``005-the-shoulder`` is "the shoulder"."""
    return comparison_key(re.sub(r"^\d+\W+|[-_]+", " ", file_name))


def _recurring_headers(lines: list[str], titles: set[str]) -> set[str]:
    """Masked forms of page headers that come at least twice."""
    counts = Counter(_masked(line) for line in lines if _is_page_header(line, titles))
    return {line for line, count in counts.items() if count > 1}


def _is_page_header(line: str, titles: set[str]) -> bool:
    if len(line.split()) > _LONGEST_HEADER_WORDS:
        return False
    match = _PAGE_NUMBER.fullmatch(line)
    if not match or not (match["before"] or match["after"]):
        return False
    return bool(match["bar"] or match["rear"]) or comparison_key(match["title"]) in titles


def _without_running_lines(pages: pd.DataFrame) -> list[str]:
    """Texts of the pages without the first or last lines that PDF pages of one chapter share."""
    edges: Counter[tuple[str, str]] = Counter()
    split = [text.strip().splitlines() if page else [] for page, text in zip(pages["page"], pages["text"], strict=True)]
    for chapter, lines in zip(pages["chapter"], split, strict=True):
        edges.update({(chapter, _masked(line.strip())) for line in lines[:1] + lines[-1:]})
    texts: list[str] = []
    for chapter, page, text, lines in zip(pages["chapter"], pages["page"], pages["text"], split, strict=True):
        running = {line for line in lines[:1] + lines[-1:] if edges[chapter, _masked(line.strip())] >= 3}
        texts.append("\n".join(line for line in lines if line not in running) if page else text)
    return texts
