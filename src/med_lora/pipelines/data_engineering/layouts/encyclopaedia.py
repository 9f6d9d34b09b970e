"""Reference works: MedQuAD's documents and one page a topic."""

from __future__ import annotations

import re

import pandas as pd

from med_lora.pipelines.data_engineering.text import clean_text

MEDQUAD_COLUMNS = ("document", "source", "focus", "concepts", "pair", "question_type", "question", "answer")
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


def parse_medquad(records: pd.DataFrame) -> pd.DataFrame:
    """MedQuAD's pairs, each named by its document and its number there."""
    kept = records[["document", "source", "concepts", "question_type", "question", "answer"]]
    focus = [clean_text(focus) for focus in records["focus"]]
    return kept.assign(id=records["document"] + "-" + records["pair"], focus=focus)


def parse_pages(records: pd.DataFrame) -> pd.DataFrame:
    """The question asks what the page's title is; MediaWiki mark-up goes, its words stay."""
    titles, texts = split_pages(records)
    fits = (titles != "") | (texts != "")
    return pd.DataFrame(
        {
            "document": titles,
            "focus": titles,
            "question_type": "information",
            "question": ("What is " + titles + "?").where(titles != "", ""),
            "answer": texts,
            "fault": pd.Series("not_in_layout", index=records.index, dtype="str").where(~fits, ""),
        },
        index=records.index,
    )


def split_pages(records: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Titles and texts of pages, clean of MediaWiki mark-up.

    Args:
        records: columns page_title and page_text, or text (``<s>[INST] title [/INST] page </s>``), or all three.

    Returns:
        Two columns of text with the index of the records; both are ``""`` where a record has neither form.
    """
    titles, texts = [], []
    for title, text, wrapped in records.reindex(columns=["page_title", "page_text", "text"], fill_value="").itertuples(
        index=False
    ):
        match = None if title or text else _LLAMA_PAGE.fullmatch(wrapped)
        titles.append(clean_text(match["title"] if match else title))
        texts.append(strip_wiki_markup(match["text"] if match else text))
    return (
        pd.Series(titles, index=records.index, dtype="str"),
        pd.Series(texts, index=records.index, dtype="str"),
    )


def strip_wiki_markup(text: str) -> str:
    """Text without MediaWiki templates, links, emphasis and heading marks; their visible words stay."""
    before = None
    # A pass takes only the innermost of nested marks; each one makes the text shorter, so the passes end.
    while before != text:
        before = text
        for pattern, replacement in _WIKI_RULES:
            text = pattern.sub(replacement, text)
    return text
