"""General English from textbooks in markdown and from WikiText, as clean documents."""

from __future__ import annotations

import logging
import re

import pandas as pd

from med_lora.errors import InputError, nearest
from med_lora.parameters import PretrainingParams

logger = logging.getLogger(__name__)

MIN_PARAGRAPH_WORDS = 20  # shorter ones are captions, exercises, names of contributors, lists of terms
_WIKITEXT_HEADING = re.compile(r"^\s*=\s.*\s=\s*$")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“(])")
# WikiText separates every token by a blank and writes infix marks as " @-@ "
_WIKITEXT_REPAIRS = (
    (re.compile(r" @(.)@ "), r"\1"),
    (re.compile(r'" ([^"]*?) "'), r'"\1"'),
    (re.compile(r" ([,.;:!?%)\]])"), r"\1"),
    (re.compile(r"([(\[$£]) "), r"\1"),
    (re.compile(r" '(s|re|ve|ll|d|m|t)\b"), r"'\1"),
    (re.compile(r"s ' "), "s' "),
)


def clean_general_text(raw_general: pd.DataFrame, pretraining: PretrainingParams) -> pd.DataFrame:
    """Documents of the chosen files (columns ``file`` and ``text``): columns ``document`` (file and number), ``text``.

    Sentences with WikiText's ``<unk>`` and sentences that lost a figure reference are dropped whole, so that the
    model is not taught their gaps.

    Raises:
        InputError: if a named file is not among ``raw_general``.
    """
    contents = dict(zip(raw_general["file"], raw_general["text"], strict=True))
    documents: list[tuple[str, str]] = []
    for name in pretraining.corpus:
        if name not in contents:
            raise InputError(
                f"pretraining.corpus names {name!r}, which is no file of the general corpus{nearest(name, contents)}"
            )
        texts = split_wikitext(contents[name]) if "wikitext" in name else split_markdown(contents[name])
        documents += [(f"{name}:{number:05d}", text) for number, text in enumerate(texts)]
        logger.info("Read %s: %d documents, %d words.", name, len(texts), sum(len(text.split()) for text in texts))
    if not documents:
        raise InputError("The general corpus holds no text: check pretraining.corpus and the folder in MED_LORA_RAW.")
    return pd.DataFrame(documents, columns=["document", "text"])


def split_markdown(text: str) -> list[str]:
    """One document for each first-level heading; prose paragraphs only."""
    sections = re.split(r"(?m)^# .*$", text)
    return [document for section in sections if (document := _join(_prose(section.split("\n"))))]


def split_wikitext(text: str) -> list[str]:
    """One document for each article section of WikiText, its tokenisation undone."""
    documents: list[list[str]] = [[]]
    for line in text.split("\n"):
        if _WIKITEXT_HEADING.match(line):
            documents.append([])
        else:
            documents[-1].append(_undo_tokenisation(line))
    return [document for lines in documents if (document := _join(_prose(lines)))]


def _undo_tokenisation(line: str) -> str:
    kept = [sentence for sentence in re.split(r"(?<= [.!?]) ", line.strip()) if "<unk>" not in sentence]
    text = " ".join(kept)
    for pattern, replacement in _WIKITEXT_REPAIRS:
        text = pattern.sub(replacement, text)
    return text


def _prose(lines: list[str]) -> list[str]:
    paragraphs = []
    for line in lines:
        line = re.sub(r"^\s*(#{2,}|[-*]|\d+\.)\s+", "", line).strip()
        # a blank before a comma or stop is the hole of a removed figure reference
        sentences = [part for part in _SENTENCE_END.split(line) if not re.search(r"\s[,.;:)]", part)]
        paragraph = " ".join(sentences)
        if len(paragraph.split()) >= MIN_PARAGRAPH_WORDS and paragraph[0].isupper() and paragraph[-1] in '.!?"”':
            paragraphs.append(paragraph)
    return paragraphs


def _join(paragraphs: list[str]) -> str:
    return "\n".join(paragraphs)
