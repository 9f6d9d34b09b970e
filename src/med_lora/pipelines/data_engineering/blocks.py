"""Documents to paragraphs: mark-up, page headers and the line breaks of print go."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from med_lora.pipelines.data_engineering.text import clean_text, comparison_key, has_words

HEADING, ITEM, PARAGRAPH = "heading", "item", "paragraph"


class Part(NamedTuple):
    """A file, or a page of one: chapter, page (0 where the file has none) and text as it was read."""

    chapter: str
    page: int
    text: str


class Block(NamedTuple):
    """A heading, a list item or a paragraph, on one line."""

    kind: str
    text: str
    page: int


class Paragraph(NamedTuple):
    """A paragraph with the list behind it (lines), the headings before it (lines), and the page it begins on."""

    page: int
    heading: str
    body: str


_HEADING_MARK = re.compile(r"#{1,6}(?=\s)")
_ITEM = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s+")
_IMAGE = re.compile(r"!\[[^\]]{0,300}\]\([^)\s]{0,500}\)")
_LINK = re.compile(r"\[([^\]]{1,300})\]\((?:https?:|#|/|\.)[^)\s]{0,500}\)")
# The bound keeps many marks that are never closed from costing time in the square of their number.
_STRONG = re.compile(r"(\*\*|__)(?=\S)(.{1,500}?)(?<=\S)\1")
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


def read_paragraphs(book: str, parts: Sequence[Part]) -> Iterator[tuple[str, list[Paragraph]]]:
    """Paragraphs of each chapter of a book, clean and each once a book.

    Headings belong to the paragraph that follows them, a list to the paragraph before it; headings that nothing
    follows are dropped. Mark-up of markdown and HTML goes. Dropped
    are page headers and footers that come at least twice: a page number alone, with the title of the book or of a
    chapter, or set off by a bar from other words; and the first and last lines that at least three pages of one PDF
    share, whatever their numbers.

    Args:
        book: its title, or the name of its folder.
        parts: its files or pages, in reading order.

    Yields:
        A chapter and its paragraphs, for each run of parts of one chapter.
    """
    texts = _without_running_lines(parts)
    blocks = [
        (part.chapter, list(_pdf_blocks(text, part.page) if part.page else _markdown_blocks(text)))
        for part, text in zip(parts, texts, strict=True)
    ]
    titles = {_title(name) for name in [book, *(part.chapter for part in parts)]} | {"", "page"}
    headers = _recurring_headers([one.text for _, found in blocks for one in found if one.kind != ITEM], titles)
    seen: set[str] = set()
    for chapter, group in groupby(blocks, key=lambda item: item[0]):
        kept = [block for _, found in group for block in found if _masked(block.text) not in headers]
        paragraphs: list[Paragraph] = []
        for paragraph in _join_blocks(kept):
            key = comparison_key(paragraph.body)
            if key not in seen:
                seen.add(key)
                paragraphs.append(paragraph)
        yield chapter, paragraphs


def _markdown_blocks(text: str) -> Iterator[Block]:
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        line = line.strip()
        heading = _HEADING_MARK.match(line)
        if heading or not line or _ITEM.match(line):
            yield from _block(lines, 0)
            lines = []
        if heading:
            yield Block(HEADING, _plain(line[heading.end() :].rstrip("#")), 0)
        elif line:
            lines.append(line)


def _block(lines: list[str], page: int) -> Iterator[Block]:
    """One item or paragraph of joined lines, if any words are left of it."""
    text = _plain(" ".join(lines))
    if has_words(text):
        yield Block(ITEM if _ITEM.match(lines[0]) else PARAGRAPH, text, page)


def _pdf_blocks(text: str, page: int) -> Iterator[Block]:
    """Paragraphs of a page whose lines are as wide as they were printed."""
    lines = [line.strip() for line in _HYPHEN_AT_LINE_END.sub("", text).splitlines() if line.strip()]
    widest = max((len(line) for line in lines), default=0)
    block: list[str] = []
    for line in lines:
        block.append(line)
        if len(line) < _FULL_LINE * widest:
            alone = len(block) == 1 and not _SENTENCE_END.search(line) and len(line.split()) <= _LONGEST_HEADER_WORDS
            yield from [Block(HEADING, _plain(line), page)] if alone else _block(block, page)
            block = []
    yield from _block(block, page)


def _plain(text: str) -> str:
    text = _LINK.sub(r"\1", _IMAGE.sub("", text))
    text = _EMPHASIS.sub(r"\1", _STRONG.sub(r"\2", text))
    return " ".join(clean_text(text).split())


def _join_blocks(blocks: Sequence[Block]) -> Iterator[Paragraph]:
    headings: list[str] = []
    body: list[str] = []
    heading, page, last_page = "", 0, 0
    for block in blocks:
        # A sentence that runs over the end of a page goes on in small letters.
        runs_on = block.page != last_page and block.kind == PARAGRAPH and block.text[:1].islower()
        last_page = block.page
        if body and runs_on and not headings and not _SENTENCE_END.search(body[-1]):
            body[-1] += f" {block.text}"
        elif body and block.kind == ITEM:
            body.append(block.text)
        else:
            if body:
                yield Paragraph(page, heading, "\n".join(body))
                body = []
            if block.kind == HEADING:
                headings.append(block.text)
            else:
                heading, headings, body, page = "\n".join(headings), [], [block.text], block.page
    if body:
        yield Paragraph(page, heading, "\n".join(body))


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
    if len(line.split(maxsplit=_LONGEST_HEADER_WORDS)) > _LONGEST_HEADER_WORDS:
        return False
    match = _PAGE_NUMBER.fullmatch(line)
    if not match or not (match["before"] or match["after"]):
        return False
    return bool(match["bar"] or match["rear"]) or comparison_key(match["title"]) in titles


def _without_running_lines(parts: Sequence[Part]) -> list[str]:
    """Texts of the parts without the first or last lines that PDF pages of one chapter share."""
    edges: Counter[tuple[str, str]] = Counter()
    split = [part.text.strip().splitlines() if part.page else [] for part in parts]
    for part, lines in zip(parts, split, strict=True):
        edges.update({(part.chapter, _masked(line.strip())) for line in lines[:1] + lines[-1:]})
    texts: list[str] = []
    for part, lines in zip(parts, split, strict=True):
        running = {line for line in lines[:1] + lines[-1:] if edges[part.chapter, _masked(line.strip())] >= 3}
        texts.append("\n".join(line for line in lines if line not in running) if part.page else part.text)
    return texts
