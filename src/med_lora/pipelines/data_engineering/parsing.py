"""Raw records of each layout to one table of question-answer pairs, nothing left out."""

from __future__ import annotations

import logging
import re

import pandas as pd

from med_lora.errors import InputError
from med_lora.parameters import CorpusParams
from med_lora.pipelines.data_engineering.text import clean_text
from med_lora.pipelines.data_engineering.topics import question_topic

logger = logging.getLogger(__name__)

PAIR_COLUMNS = ["id", "corpus", "document", "focus", "question_type", "question", "answer", "licence"]
_LLAMA_PAGE = re.compile(r"\s*(?:<s>)?\s*\[INST\](?P<title>.*?)\[/INST\](?P<text>.*?)(?:</s>)?\s*", re.DOTALL)
_WIKI_RULES = [
    (re.compile(r"\{\{[^{}]*\}\}"), ""),
    (re.compile(r"\[\[(?:File|Image|Category):[^\[\]]*\]\]", re.IGNORECASE), ""),
    (re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]"), r"\1"),
    (re.compile(r"\[(?:https?|ftp)://\S+ ([^\[\]]+)\]"), r"\1"),
    (re.compile(r"'''(?!')(.+?)'''"), r"\1"),
    (re.compile(r"(?<!')''(?!')(.+?)''"), r"\1"),
    (re.compile(r"={2,6}[ \t]*([^=\n]+?)[ \t]*={2,6}"), r"\1"),
]


def parse_corpus(records: pd.DataFrame, corpus: CorpusParams, name: str) -> pd.DataFrame:
    """Question-answer pairs of one raw corpus; every record becomes one row, usable or not.

    Args:
        records: columns by layout: ``alpaca`` instruction, input, output; ``medquad`` those of ``MedQuADDataset``;
            ``pages`` page_title and page_text, or text (``<s>[INST] title [/INST] page </s>``).
        corpus: layout and licence of the corpus.
        name: the corpus's key, which starts every id.

    Returns:
        ``PAIR_COLUMNS``, all text, ``""`` where unknown; ids are unique. Questions and answers are as in the raw file.

    Raises:
        InputError: if a column is missing, an id comes twice, no row has the layout's form, or the layout has no pairs.
    """
    parsers = {"alpaca": _parse_alpaca, "medquad": _parse_medquad, "pages": _parse_pages}
    if corpus.layout not in parsers:
        raise InputError(
            f"corpora.{name}.layout is {corpus.layout}, which holds no questions; use {', '.join(parsers)}."
        )
    columns = parsers[corpus.layout](records, name)
    pairs = pd.DataFrame(columns, index=range(len(records)), columns=PAIR_COLUMNS[:-1], dtype="str")
    pairs.insert(0, "id", f"{name}:" + pairs.pop("id"))
    pairs["corpus"], pairs["licence"] = name, corpus.licence
    repeated = pairs.loc[pairs["id"].duplicated(), "id"].tolist()
    if repeated:
        raise InputError(f"raw_{name} holds {len(repeated)} ids twice, such as {repeated[0]}; make them unique.")
    logger.info("%s: %d records read.", corpus.title, len(pairs))
    return pairs.astype("str")


def _require(records: pd.DataFrame, columns: list[str], name: str) -> None:
    missing = [column for column in columns if column not in records.columns]
    if missing:
        raise InputError(
            f"raw_{name} lacks {', '.join(missing)} and has {', '.join(records.columns)}; set `columns` in the "
            f"catalog, or corpora.{name}.layout."
        )


def _numbered(records: pd.DataFrame) -> list[str]:
    return [f"{row:05d}" for row in range(len(records))]


def _parse_alpaca(records: pd.DataFrame, name: str) -> dict[str, object]:
    """The question is the input, or the instruction where the input is empty."""
    _require(records, ["instruction", "input", "output"], name)
    questions = records["input"].where(records["input"].str.strip() != "", records["instruction"])
    topics = [question_topic(clean_text(question)) for question in questions]
    return {
        "id": _numbered(records),
        "document": "",
        "focus": [focus for focus, _ in topics],
        "question_type": [kind for _, kind in topics],
        "question": questions.to_numpy(),
        "answer": records["output"].to_numpy(),
    }


def _parse_medquad(records: pd.DataFrame, name: str) -> dict[str, object]:
    _require(records, ["document", "focus", "pair", "question_type", "question", "answer"], name)
    return {
        "id": (records["document"] + "-" + records["pair"]).to_numpy(),
        "document": records["document"].to_numpy(),
        "focus": [clean_text(focus) for focus in records["focus"]],
        "question_type": records["question_type"].to_numpy(),
        "question": records["question"].to_numpy(),
        "answer": records["answer"].to_numpy(),
    }


def _parse_pages(records: pd.DataFrame, name: str) -> dict[str, object]:
    """The question asks what the page's title is; MediaWiki mark-up goes, its words stay."""
    if "text" in records.columns:
        titles, texts = _split_llama_pages(records["text"], name)
    else:
        _require(records, ["page_title", "page_text"], name)
        titles, texts = records["page_title"].tolist(), records["page_text"].tolist()
    titles = [clean_text(title) for title in titles]
    return {
        "id": _numbered(records),
        "document": titles,
        "focus": titles,
        "question_type": "information",
        "question": [f"What is {title}?" if title else "" for title in titles],
        "answer": [strip_wiki_markup(text) for text in texts],
    }


def _split_llama_pages(pages: pd.Series, name: str) -> tuple[list[str], list[str]]:
    """Titles and texts; a row without the instruction marks has neither, and is rejected as empty when cleaned."""
    matches = [_LLAMA_PAGE.fullmatch(page) for page in pages]
    if not any(matches):
        raise InputError(
            f"No row of raw_{name} has the form `<s>[INST] title [/INST] page </s>`; check corpora.{name}.layout."
        )
    return [match["title"] if match else "" for match in matches], [match["text"] if match else "" for match in matches]


def strip_wiki_markup(text: str) -> str:
    """Text without MediaWiki templates, links, emphasis and heading marks; their visible words stay."""
    before = None
    # A pass takes only the innermost of nested marks; each one makes the text shorter, so the passes end.
    while before != text:
        before = text
        for pattern, replacement in _WIKI_RULES:
            text = pattern.sub(replacement, text)
    return text
