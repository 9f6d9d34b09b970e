"""The embedded corpora: every blemish that was written into them is found, and nothing else is thrown away."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets.raw import TextbookDataset
from med_lora.parameters import CleaningParams, SplitParams
from med_lora.pipelines.data_engineering.cleaning import merge_and_clean
from med_lora.pipelines.data_engineering.passages import read_passages
from med_lora.pipelines.data_engineering.splitting import split_pairs
from tests.pipelines.data_engineering.test_splitting import assert_apart

Parse = Callable[[Path, str], pd.DataFrame]

# Pairs that cleaning keeps of each corpus.
KEPT = {"genmedgpt": 120, "wikidoc": 156, "medquad": 144, "medical_terms": 74, "medical_terms_llama2": 74}
MARKUP = re.compile(r"</?[a-z]+[^<>]*>|&#?\w+;|\[\[|\]\]|'''|\{\{|\u00a0| {2}", re.IGNORECASE)


@pytest.fixture(scope="session")
def blemishes(embedded: Path) -> dict[str, Any]:
    """For each corpus its blemished records: numbers are rows, text is a MedQuAD file and pair.

    A duplicate is listed with the record that it repeats, or, for the pages, alone.
    """
    listed: dict[str, Any] = json.loads((embedded / "blemishes.json").read_text(encoding="utf-8"))
    # The Llama-2 layout holds the same pages.
    return {**listed, "medical_terms_llama2": listed["medical_terms"]}


def full_id(pairs: pd.DataFrame, record: int | str) -> str:
    if isinstance(record, int):
        return str(pairs["id"].iat[0]).rsplit(":", 1)[0] + f":{record:05d}"
    (found,) = [identifier for identifier in pairs["id"] if identifier.rsplit("/", 1)[-1] == record]
    return str(found)


@pytest.mark.parametrize("name", KEPT)
def test_listed_blemishes_are_dealt_with(
    name: str, blemishes: dict[str, Any], parsed: Parse, embedded: Path, cleaning: CleaningParams
) -> None:
    listed, pairs = blemishes[name], parsed(embedded, name)
    kept, rejected, report = merge_and_clean(cleaning, pairs)
    reasons = dict(zip(rejected["id"], rejected["reason"], strict=True))
    for kind in ("exact", "near"):
        for entry in listed[f"{kind}_duplicates"]:
            copies = entry if isinstance(entry, list) else [entry]
            found = [reasons[copy] for copy in (full_id(pairs, copy) for copy in copies) if copy in reasons]
            assert found == [f"{kind}_duplicate"], entry
    assert {full_id(pairs, record) for record in listed["empty_answers"]} == set(
        rejected.query("reason == 'empty_answer'")["id"]
    )
    assert len(rejected) == sum(len(listed[kind]) for kind in ("exact_duplicates", "near_duplicates", "empty_answers"))
    assert len(kept) == KEPT[name] == len(pairs) - len(rejected)
    texts = (kept["question"] + "\n" + kept["answer"]).set_axis(kept["id"])
    raw = (pairs["question"] + "\n" + pairs["answer"]).set_axis(pairs["id"])
    for record in listed["html"]:
        assert texts[full_id(pairs, record)] != raw[full_id(pairs, record)].strip()
    assert not [identifier for identifier, text in texts.items() if MARKUP.search(text)]
    masked = [identifier for identifier, text in texts.items() if "[PHONE]" in text]
    assert masked == [full_id(pairs, record) for record in listed["phone"]]
    assert not texts.str.contains("555-01").any()
    unfilled = [identifier for identifier, text in texts.items() if "[NAME]" in text]
    assert unfilled == [full_id(pairs, record) for record in listed.get("placeholder", [])]
    assert report.query("outcome == 'masked_phone'")["rows"].tolist() == [len(masked)]


def test_all_corpora_split_together(parsed: Parse, embedded: Path, cleaning: CleaningParams) -> None:
    tables = [parsed(embedded, name) for name in ("genmedgpt", "wikidoc", "medquad", "medical_terms")]
    kept, rejected, _ = merge_and_clean(cleaning, *tables)
    assert len(kept) + len(rejected) == sum(map(len, tables))
    splits = split_pairs(kept, SplitParams(train=None, validation=40, test=60, seed=20240501))
    parts = [part.to_pandas() for part in splits]
    assert (len(parts[1]), len(parts[2])) == (40, 60)
    assert len(parts[0]) > 300
    assert_apart(parts)
    for part in parts:
        assert set(part["corpus"]) == {"genmedgpt", "wikidoc", "medquad", "medical_terms"}


def test_textbook_blemishes_are_dealt_with(blemishes: dict[str, Any], embedded: Path) -> None:
    passages = read_passages(TextbookDataset(filepath=str(embedded / "textbooks")).load())
    text = passages["text"]
    for blemish in blemishes["textbooks"]:
        found = text.str.contains(blemish["text"], regex=False).sum()
        assert found == (blemish["kind"] == "duplicate_paragraph"), blemish["kind"]
    assert not text.str.contains(r"Page \d of 3|</?\w+|&nbsp;").any()
    phones = [blemish for blemish in blemishes["textbooks"] if blemish["kind"] == "phone_number"]
    assert text.str.contains("[PHONE]", regex=False).sum() == len(phones)
    assert text.str.contains("nearly all lateral sprains. Exercises start within days", regex=False).sum() == 1
    assert set(passages.loc[passages["page"] > 0, "chapter"]) == {"013-appendix-clinical-tests"}
    assert passages["id"].is_unique
