"""Passages in front of a question: numbered, cited, and within the tokens that are free for them."""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import pandas as pd

from med_lora.parameters.retrieval import RetrievalParams
from med_lora.prompts import PairTokeniser
from med_lora.sentences import SENTENCE_END

_PLACE = re.compile(r"\{(passages|question)\}")
_BRACKETED = re.compile(r"\[([\d\s,;.\u2013\u2014-]++)\]")
# tried once in a run of space, which may be long
_BLANK_LINES = re.compile(r"(?<!\s)[^\S\n]*+\n\s*+")
# a list can end after any of its items
_SENTENCE_END = re.compile(rf"{SENTENCE_END}|(?<=[^\s:])(?=\n(?:[-*+\u2022]|\d{{1,3}}[.)])\s)")
_WORD_END = re.compile(r"(?<=\S)(?=\s)")


@dataclass(frozen=True)
class ShownPassage:
    """A passage as a model is given it.

    Attributes:
        place: its number in the prompt, from 1.
        passage: its id.
        text: as shown: perhaps cut, numbers in square brackets in round ones.
        citation: book, chapter and page, "" where none is known.
        tokens: by which it makes the prompt longer, number and citation included.
        cut: whether its end is missing.
    """

    place: int
    passage: str
    text: str
    citation: str
    tokens: int
    cut: bool


@dataclass(frozen=True)
class Grounded:
    """A question as a model is asked it, and the passages in it; the bare question where none fits."""

    question: str
    passages: list[ShownPassage]


class _Part(NamedTuple):
    passage: str
    citation: str
    text: str
    cut: bool


def prompt_counter(tokeniser: PairTokeniser) -> Callable[[str], int]:
    """For ``ground``: tokens of the whole prompt, template included, in which a text is the question."""
    return lambda text: len(tokeniser.prompts([text], sys.maxsize)[0][0])


def ground(
    question: str,
    found: Sequence[str],
    passages: pd.DataFrame,
    retrieval: RetrievalParams,
    count_tokens: Callable[[str], int],
    room: int,
) -> Grounded:
    """``retrieval.instruction`` filled with the question and the best ``retrieval.passages`` of those found.

    A passage reads ``[1] (book, chapter, p. 12) text``. Together the passages take no more than
    ``retrieval.context_tokens``, and no more than ``room`` leaves beside the question. The first that does not fit is
    cut at the end of a sentence or a list item, and is the last one shown; one of which no whole sentence fits is left
    out, unless it would be the first of all, which is cut at a word. Where not even a word fits, or nothing was found,
    the question is asked without the instruction, as it is without retrieval: passages never cut it.

    Passages are data. Blank lines in them go, and numbers in square brackets, such as "[2]", are shown in round ones,
    so that no text can begin a passage of its own or speak for another. Nothing in a passage or a question is taken
    for a place of the instruction. A passage may hold words that read as an order; no form can rule that out.

    Args:
        question: what is asked.
        found: ids of passages, by rank.
        passages: index id; columns book, chapter, page (0 for none), text.
        retrieval: instruction and budget.
        count_tokens: tokens of the prompt in which a text is the question (:func:`prompt_counter`); it grows with the
            text.
        room: tokens that the prompt may have (:func:`med_lora.generation.room.prompt_room`).
    """
    counted = cache(count_tokens)  # encoding is what takes time

    def count(parts: Sequence[_Part]) -> int:
        return counted(_fill(retrieval.instruction, question, parts))

    empty = count([])
    limit = min(room, empty + retrieval.context_tokens)
    shown: list[_Part] = []
    for passage in found[: retrieval.passages]:
        whole = _read(passage, passages.loc[passage])
        part = _fit(whole, lambda part: count([*shown, part]), limit, by_word=not shown)
        if part is not None:
            shown.append(part)
            if part.cut:
                break
    if not shown:
        return Grounded(question, [])
    sizes = [empty, *(count(shown[:place]) for place in range(1, len(shown) + 1))]
    listed = [
        ShownPassage(place, part.passage, part.text, part.citation, sizes[place] - sizes[place - 1], part.cut)
        for place, part in enumerate(shown, start=1)
    ]
    return Grounded(_fill(retrieval.instruction, question, shown), listed)


def cite(book: str, chapter: str, page: int) -> str:
    """Where a passage stands, such as "book, chapter, p. 12", without what is empty, 0 or said twice."""
    names = [_plain(" ".join(name.split())) for name in (book, chapter)]
    if names[0].casefold() == names[1].casefold():
        names.pop()
    return ", ".join([*filter(None, names), *([f"p. {page}"] if page else [])])


def _read(passage: str, row: Any) -> _Part:
    text = _BLANK_LINES.sub("\n", _plain(row["text"].strip()))
    return _Part(passage, cite(row["book"], row["chapter"], int(row["page"])), text, cut=False)


def _plain(text: str) -> str:
    return _BRACKETED.sub(r"(\1)", text)


def _fit(whole: _Part, size: Callable[[_Part], int], limit: int, *, by_word: bool) -> _Part | None:
    """The passage, the longest beginning of it that fits, or None."""
    if size(whole) <= limit:
        return whole
    for pattern in (_SENTENCE_END, _WORD_END) if by_word else (_SENTENCE_END,):
        ends = [match.end() for match in pattern.finditer(whole.text)]
        fitting = bisect_right(ends, limit, key=lambda end: size(_cut(whole, end)))
        if fitting:
            return _cut(whole, ends[fitting - 1])
    return None


def _cut(whole: _Part, end: int) -> _Part:
    return whole._replace(text=whole.text[:end], cut=True)


def _fill(instruction: str, question: str, parts: Sequence[_Part]) -> str:
    listed = [
        f"[{place}] ({part.citation}) {part.text}" if part.citation else f"[{place}] {part.text}"
        for place, part in enumerate(parts, start=1)
    ]
    given = {"passages": "\n\n".join(listed), "question": question}
    # in one pass: what is filled in may hold braces
    return _PLACE.sub(lambda match: given[match[1]], instruction)
