"""Documents and pages to passages of at most so many tokens."""

from __future__ import annotations

import logging
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any, Literal, NamedTuple

import pandas as pd

from med_lora.chunks import Chunks
from med_lora.errors import InputError
from med_lora.parameters import PassageParams, ScreeningParams
from med_lora.passages import PASSAGE_COLUMNS
from med_lora.pipelines.data_engineering.blocks import Paragraph, Part, read_paragraphs
from med_lora.pipelines.data_engineering.layouts.encyclopaedia import split_pages
from med_lora.pipelines.data_engineering.screening import Screener
from med_lora.pipelines.data_engineering.text import comparison_key

logger = logging.getLogger(__name__)

_WIKI_HEADING = re.compile(r"^[ \t]*={2,6}[ \t]*([^=\n]+?)[ \t]*={2,6}[ \t]*$", re.MULTILINE)
# The splitter prefers to cut at the longest run of newlines; a line separator is to it the end of a sentence, so that
# a heading is cut off from a paragraph only where no whole sentence fits behind it.
_BEFORE_HEADING, _BEFORE_PARAGRAPH, _AFTER_HEADING = "\n\n\n", "\n\n", "\u2028"
_CACHED_WORDS = 500_000
_CHAPTERS_AT_ONCE = 200
_LONGEST_WORD = 200

Chapter = tuple[str, str, list[Paragraph]]  # of a book: book, chapter, paragraphs


class PassageSource(NamedTuple):
    """A corpus that passages are made from.

    Attributes:
        corpus: its key, which starts every id.
        licence: of its text.
        layout: what a record is.
        records: raw records; ``documents``: book, chapter, page, text, fault, the files of a book one after another;
            ``pages``: page_title and page_text, or text (``<s>[INST] title [/INST] page </s>``), and fault.
    """

    corpus: str
    licence: str
    layout: Literal["documents", "pages"]
    records: Chunks


def make_passages(
    params: PassageParams, screening: ScreeningParams, tokenizer: Any, source: PassageSource
) -> pd.DataFrame:
    """Passages of documents or pages, each text once.

    A chapter, or a page of a wiki, becomes paragraphs (see ``read_paragraphs``), which are screened; those that hold an
    identifier of a class to reject go. The rest is joined and split anew, recursively: before headings, between
    paragraphs, list items, sentences, words and characters, at the first of these where the parts fit
    (semantic-text-splitter).

    Args:
        params: longest passage and overlap, in tokens. The overlap consists of whole parts, so it is often less.
        screening: what happens to each class of identifiers.
        tokenizer: the base model's; special tokens are not counted.
        source: a corpus; books and pages are read one by one.

    Returns:
        ``PASSAGE_COLUMNS`` in reading order: id (unique, ``<corpus>:<book>/<chapter>#<number>``), corpus, book (a
        corpus of pages is one book), chapter (title of a page), page (of the first character; 0 for none), licence,
        text.

    Raises:
        InputError: if the corpus holds no text, or the tokenizer has no fast form.
    """
    splitter = Splitter(params, tokenizer)
    chapters = _document_chapters(source) if source.layout == "documents" else _page_chapters(source)
    rows: list[tuple[str, str, str, str, int, str, str]] = []
    numbers: Counter[tuple[str, str]] = Counter()
    seen: set[str] = set()
    repeated = 0
    for book, chapter, page, text in splitter.split(_screened(chapters, Screener(screening), source.corpus)):
        key = comparison_key(text)
        if key in seen:
            repeated += 1
            continue
        seen.add(key)
        numbers[book, chapter] += 1
        name = f"{source.corpus}:{book}/{chapter}#{numbers[book, chapter]:04d}"
        rows.append((name, source.corpus, book, chapter, page, source.licence, text))
    if not rows:
        raise InputError(f"raw_{source.corpus} holds no paragraph of text; put documents or pages with text there.")
    logger.info(
        "%s: %d passages in %d chapters or pages; %d that repeat one are left out.",
        *(source.corpus, len(rows), len(numbers), repeated),
    )
    columns = {column: "int64" if column == "page" else "str" for column in PASSAGE_COLUMNS}
    return pd.DataFrame(rows, columns=PASSAGE_COLUMNS).astype(columns)


def _screened(chapters: Iterable[Chapter], screener: Screener, corpus: str) -> Iterator[Chapter]:
    """The chapters with their identifiers masked, and without paragraphs that hold one to reject."""
    found: Counter[str] = Counter()
    rejected = 0
    for book, chapter, paragraphs in chapters:
        kept = []
        for paragraph in paragraphs:
            heading, body = screener.screen(paragraph.heading), screener.screen(paragraph.body)
            found.update({*heading.found, *body.found})
            if heading.rejected or body.rejected:
                rejected += 1
            else:
                kept.append(paragraph._replace(heading=heading.text, body=body.text))
        yield book, chapter, kept
    if found:
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(found.items()))
        logger.info("%s: screening found, in paragraphs: %s; %d paragraphs are left out.", corpus, counts, rejected)


def _document_chapters(source: PassageSource) -> Iterator[Chapter]:
    rows = (row for chunk in _usable(source) for row in _rows(chunk, "book", "chapter", "page", "text"))
    for book, group in groupby(rows, key=lambda row: row[0]):
        parts = [Part(chapter, int(page), text) for _, chapter, page, text in group]
        for chapter, paragraphs in read_paragraphs(book, parts):
            yield book, chapter, paragraphs


def _page_chapters(source: PassageSource) -> Iterator[Chapter]:
    for chunk in _usable(source):
        marked = {name: chunk[name].map(_mark_headings) for name in ("page_text", "text") if name in chunk.columns}
        titles, texts = split_pages(chunk.assign(**marked))
        for title, text in zip(titles, texts, strict=True):
            chapter = " ".join(title.split())
            for _, paragraphs in read_paragraphs(source.corpus, [Part(chapter, 0, text)]):
                yield source.corpus, chapter, paragraphs


def _mark_headings(page: str) -> str:
    """The page with markdown's headings in place of MediaWiki's, which lose their marks later."""
    return _WIKI_HEADING.sub(r"\n# \1\n", page)


def _usable(source: PassageSource) -> Iterator[pd.DataFrame]:
    """The records without a fault."""
    faulty = 0
    for chunk in source.records:
        faulty += int((chunk["fault"] != "").sum())
        yield chunk[chunk["fault"] == ""]
    if faulty:
        logger.warning("%s: %d records cannot be used and make no passage.", source.corpus, faulty)


def _rows(chunk: pd.DataFrame, *columns: str) -> Iterator[tuple[str, ...]]:
    return zip(*(chunk[column] for column in columns), strict=True)


class _WordLengths(dict[str, int]):
    """Numbers of tokens of words, found when they are first asked for."""

    def __init__(self, measure: Callable[[str], int]) -> None:
        super().__init__()
        self._measure = measure

    def __missing__(self, word: str) -> int:
        # Tokenizers take a time in the square of such a word's length; a token a character is close enough to cut it.
        if len(word) > _LONGEST_WORD:
            return len(word)
        self[word] = self._measure(word)
        return self[word]


class Splitter:
    """Splits chapters by the tokens of a base model.

    Counting goes word by word, each word encoded once: tokenizers cut at white space first, and encoding every
    candidate for a passage takes ten times as long. Where that count proves wrong, the passage itself is encoded.
    """

    def __init__(self, params: PassageParams, tokenizer: Any) -> None:
        """Take over the tokenizer, without its truncation and padding.

        Raises:
            InputError: if it has no fast form.
        """
        from semantic_text_splitter import TextSplitter
        from tokenizers import Tokenizer

        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise InputError(
                f"Passages need a tokenizer with a tokenizer.json, and that of the base model has none "
                f"({type(tokenizer).__name__}); save the model with a fast tokenizer, or choose another."
            )
        self._tokenizer = Tokenizer.from_str(backend.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._params = params
        self._inner = _WordLengths(lambda word: self._lengths([f" {word}"])[0])
        self._first = _WordLengths(lambda word: self._lengths([word])[0])
        self._splitter = TextSplitter.from_callback(self._count, params.tokens, params.overlap)

    def split(self, chapters: Iterable[Chapter]) -> Iterator[tuple[str, str, int, str]]:
        """Book, chapter, page of the first character and text of each passage, none above ``params.tokens`` tokens.

        Raises:
            InputError: if a single character has more tokens.
        """
        remaining = iter(chapters)
        # Many chapters at once, since the tokenizer shares a large batch among the cores.
        while batch := list(islice(remaining, _CHAPTERS_AT_ONCE)):
            joined = [_join(paragraphs) for _, _, paragraphs in batch]
            self._learn([text for text, _ in joined])
            found = [self._splitter.chunk_indices(text) for text, _ in joined]
            lengths = iter(self._lengths([_print(passage) for passages in found for _, passage in passages]))
            for (book, chapter, paragraphs), (_, starts), passages in zip(batch, joined, found, strict=True):
                for offset, passage in self._fitting(passages, lengths):
                    yield book, chapter, paragraphs[bisect_right(starts, offset) - 1].page, passage

    def _fitting(self, found: Sequence[tuple[int, str]], lengths: Iterator[int]) -> Iterator[tuple[int, str]]:
        """The passages as they are printed; those that have too many tokens are split once more."""
        for offset, passage in found:
            if next(lengths) <= self._params.tokens:
                yield offset, _print(passage)
                continue
            parts = self._exact().chunk_indices(passage)
            if len(parts) < 2:
                raise InputError(
                    f"data_engineering.passages.tokens is {self._params.tokens}, less than one character needs; raise "
                    "it."
                )
            for start, part in self._fitting(parts, iter(self._lengths([_print(part) for _, part in parts]))):
                yield offset + start, part

    def _exact(self) -> Any:
        from semantic_text_splitter import TextSplitter

        return TextSplitter.from_huggingface_tokenizer(self._tokenizer, self._params.tokens, self._params.overlap)

    def _learn(self, texts: Sequence[str]) -> None:
        if len(self._inner) > _CACHED_WORDS:
            self._inner.clear()
            self._first.clear()
        # not `set(...) - keys`, which walks through all keys
        words = {word for text in texts for word in text.split()}
        new = sorted(word for word in words if word not in self._inner and len(word) <= _LONGEST_WORD)
        self._inner.update(zip(new, self._lengths([f" {word}" for word in new]), strict=True))

    def _count(self, text: str) -> int:
        """Tokens of a candidate: those of its words, and one a line end; a line's first word has no space before it."""
        total = sum(map(self._inner.__getitem__, text.split()))
        lines = text.splitlines()
        for line in lines:
            if first := line.split(maxsplit=1)[:1]:
                total += self._first[first[0]] - self._inner[first[0]]
        return total + max(len(lines) - 1, 0)

    def _lengths(self, texts: list[str]) -> list[int]:
        return [len(found.ids) for found in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def _join(paragraphs: Sequence[Paragraph]) -> tuple[str, list[int]]:
    """The text of a chapter with the marks that the splitter looks for, and where each paragraph starts in it."""
    text, starts = "", []
    for paragraph in paragraphs:
        if text:
            text += _BEFORE_HEADING if paragraph.heading else _BEFORE_PARAGRAPH
        starts.append(len(text))
        heading = paragraph.heading.replace("\n", _AFTER_HEADING)
        text += f"{heading}{_AFTER_HEADING}{paragraph.body}" if heading else paragraph.body
    return text, starts


def _print(passage: str) -> str:
    """The passage with line ends in place of the splitter's marks."""
    return passage.replace(_BEFORE_HEADING, "\n\n").replace(_AFTER_HEADING, "\n")
