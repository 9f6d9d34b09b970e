"""Parsed pairs to clean and screened ones, with a reason for each that is not fit to train on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from med_lora.chunks import Chunks
from med_lora.parameters import CleaningParams, ScreeningParams
from med_lora.parameters.data import ArtefactParams
from med_lora.pipelines.data_engineering.parsing import PAIR_COLUMNS, PARSE_FAULTS
from med_lora.pipelines.data_engineering.screening import Screened, Screener
from med_lora.pipelines.data_engineering.text import clean_text, has_words

CLEANED_COLUMNS = [*PAIR_COLUMNS[:-1], "screened", "stage", "reason"]
_SPACE_BEFORE_MARK = re.compile(r"\s+(?=[?!]+(?:\n|$))")
# The letter in front of an option is no initial of a name.
_OPTION_LETTER = re.compile(r"^([A-Z]\. )", re.MULTILINE)


class _Pair(NamedTuple):
    """What cleaning makes of a pair: its text, the classes found in it, and why it is left out, or ``""``."""

    focus: str
    question: str
    answer: str
    screened: str
    reason: str


def clean_corpus(
    pairs: Chunks, cleaning: CleaningParams, screening: ScreeningParams, artefacts: Sequence[ArtefactParams]
) -> Chunks:
    """Clean, screen and validate the pairs of one corpus, each by itself.

    In this order: normal text (:func:`clean_text`), the artefacts of the corpus, length, privacy screening, language.

    Args:
        pairs: chunks with ``PAIR_COLUMNS``.
        cleaning: bounds of an answer in words, and the language. There is no lower bound for the answer of an exam
            (a pair with a ``choice``) and for one that a language model was asked to keep short (``question_type``
            short of the corpus generated).
        screening: what happens to each class of identifiers.
        artefacts: what the making of the corpus left in its text.

    Returns:
        Chunks with ``CLEANED_COLUMNS``, all text, one row a pair: the columns of pairs without ``fault``, the classes
        found by screening (sorted, joined by a space), and the stage (``read``, ``parse`` or ``clean``) and reason of a
        pair that is left out. Such a pair keeps no question, answer or focus. Reasons found here: empty_question,
        empty_answer, artefact, answer_too_short, answer_too_long, screened_<class>, other_language.
    """
    return Chunks(lambda: _clean(pairs, cleaning, screening, artefacts))


def _clean(
    pairs: Chunks, cleaning: CleaningParams, screening: ScreeningParams, artefacts: Sequence[ArtefactParams]
) -> Iterator[pd.DataFrame]:
    screener = Screener(screening)
    patterns = [(re.compile(artefact.pattern), artefact.replacement) for artefact in artefacts]
    for chunk in pairs:
        is_exam = chunk["choice"] != ""
        may_be_short = is_exam | (chunk["corpus"].eq("generated") & chunk["question_type"].eq("short"))
        columns = (chunk["focus"], chunk["question"], chunk["answer"], is_exam, may_be_short, chunk["fault"])
        cleaned = [
            _Pair("", "", "", "", fault)
            if fault
            else _clean_pair(
                texts, exam, (1 if short else cleaning.min_answer_words, cleaning.max_answer_words), patterns, screener
            )
            for *texts, exam, short, fault in zip(*columns, strict=True)
        ]
        yield _as_table(chunk, _in_language(cleaned, cleaning.language))


def _clean_pair(
    texts: list[str],
    is_exam: bool,
    answer_words: tuple[int, int],
    artefacts: list[tuple[re.Pattern[str], str | None]],
    screener: Screener,
) -> _Pair:
    """The pair of a focus, a question and an answer of so many words at least and at most."""
    focus, question, answer = map(clean_text, texts)
    for pattern, replacement in artefacts:
        if not pattern.search(question) and not pattern.search(answer):
            continue
        if replacement is None:
            return _Pair("", "", "", "", "artefact")
        question, answer = (clean_text(pattern.sub(replacement, text)) for text in (question, answer))
    question = _SPACE_BEFORE_MARK.sub("", question)
    # Before screening, which takes longest, and longest on the longest texts.
    reason = _unfit(question, answer, *answer_words)
    if reason:
        return _Pair("", "", "", "", reason)
    screened = [_screen(text, screener, is_exam) for text in (focus, question, answer)]
    found = " ".join(sorted(set().union(*(part.found for part in screened))))
    rejected = set().union(*(part.rejected for part in screened))
    if rejected:
        return _Pair("", "", "", found, f"screened_{min(rejected)}")
    focus, question, answer = (part.text for part in screened)
    return _Pair(focus, question, answer, found, "")


def _unfit(question: str, answer: str, fewest: int, most: int) -> str:
    """Why a pair is empty or of the wrong length, or ``""``; a text without a letter or digit is empty."""
    if not has_words(question):
        return "empty_question"
    if not has_words(answer):
        return "empty_answer"
    words = len(answer.split())
    if words < fewest:
        return "answer_too_short"
    return "answer_too_long" if words > most else ""


def _screen(text: str, screener: Screener, has_options: bool) -> Screened:
    """The text screened; the letters of an exam's options are kept apart."""
    # by turns a piece of text and, from the pattern's one group, the letter in front of an option
    pieces = _OPTION_LETTER.split(text) if has_options else [text]
    screened = [Screened(piece, (), ()) if place % 2 else screener.screen(piece) for place, piece in enumerate(pieces)]
    found = {name for part in screened for name in part.found}
    rejected = {name for part in screened for name in part.rejected}
    return Screened("".join(part.text for part in screened), tuple(sorted(found)), tuple(sorted(rejected)))


def _in_language(cleaned: list[_Pair], language: str | None) -> list[_Pair]:
    """The pairs, with those in another language left out."""
    if language is None:
        return cleaned
    from med_lora.pipelines.data_engineering.language import in_language

    kept = [pair for pair in cleaned if not pair.reason]
    verdicts = iter(in_language([f"{pair.question}\n{pair.answer}" for pair in kept], language))
    return [
        pair if pair.reason or next(verdicts) else _Pair("", "", "", pair.screened, "other_language")
        for pair in cleaned
    ]


def _as_table(chunk: pd.DataFrame, cleaned: list[_Pair]) -> pd.DataFrame:
    return chunk.assign(
        focus=[pair.focus for pair in cleaned],
        question=[pair.question for pair in cleaned],
        answer=[pair.answer for pair in cleaned],
        screened=[pair.screened for pair in cleaned],
        stage=[_stage(fault, pair.reason) for fault, pair in zip(chunk["fault"], cleaned, strict=True)],
        reason=[pair.reason for pair in cleaned],
    )[CLEANED_COLUMNS].astype("str")


def _stage(fault: str, reason: str) -> str:
    if fault:
        return "parse" if fault in PARSE_FAULTS else "read"
    return "clean" if reason else ""
