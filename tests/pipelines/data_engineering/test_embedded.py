"""The embedded corpora: every blemish that was written into them is found, and nothing else is thrown away."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.pipelines.data_engineering.conftest import EMBEDDED, Read, Run
from tests.pipelines.data_engineering.test_splitting import assert_apart

# Pairs that are kept of each corpus.
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
    """The one id that ends in the record's eight digits, or in MedQuAD's file and pair."""
    end = f":{record:08d}" if isinstance(record, int) else f"/{record}"
    (found,) = [identifier for identifier in pairs["id"] if identifier.endswith(end)]
    return str(found)


@pytest.mark.parametrize("name", KEPT)
def test_listed_blemishes_are_dealt_with(
    name: str, blemishes: dict[str, Any], parsed: Read, run: Run, embedded: Path, embedded_run: dict[str, Any]
) -> None:
    listed, pairs = blemishes[name], parsed(embedded, name)
    outputs = embedded_run if name in EMBEDDED else run(embedded, name, validation=5, test=5)
    kept, rejected, outcomes = (
        outputs[table].query(f"corpus == {name!r}") for table in ("qa_pairs", "rejected_pairs", "row_outcomes")
    )
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
    assert_text_is_clean(listed, kept, pairs)
    assert outcomes.query("outcome == 'screened_phones'")["rows"].tolist() == [len(listed["phone"])]


def assert_text_is_clean(listed: dict[str, Any], kept: pd.DataFrame, pairs: pd.DataFrame) -> None:
    """Mark-up is gone, telephone numbers are masked, and slots without a name stay as they are."""
    texts = (kept["question"] + "\n" + kept["answer"]).set_axis(kept["id"])
    raw = (pairs["question"] + "\n" + pairs["answer"]).set_axis(pairs["id"])
    for record in listed["html"]:
        assert texts[full_id(pairs, record)] != raw[full_id(pairs, record)].strip()
    assert not [identifier for identifier, text in texts.items() if MARKUP.search(text)]
    phones = [full_id(pairs, record) for record in listed["phone"]]
    assert [identifier for identifier, text in texts.items() if "[PHONE]" in text] == phones
    assert kept.loc[kept["screened"] != "", ["id", "screened"]].to_numpy().tolist() == [[phones[0], "phones"]]
    assert not texts.str.contains("555-01").any()
    unfilled = [identifier for identifier, text in texts.items() if "[NAME]" in text]
    assert unfilled == [full_id(pairs, record) for record in listed.get("placeholder", [])]


def test_all_corpora_split_together(embedded_run: dict[str, Any], parsed: Read, embedded: Path) -> None:
    kept, rejected = embedded_run["qa_pairs"], embedded_run["rejected_pairs"]
    names = {name for name in EMBEDDED if name != "textbooks"}
    ids = [identifier for name in names for identifier in parsed(embedded, name)["id"]]
    assert sorted([*kept["id"], *rejected["id"]]) == sorted(ids)
    parts = [embedded_run[name].to_pandas() for name in ("train", "validation", "test")]
    assert (len(parts[1]), len(parts[2])) == (40, 60)
    assert sum(map(len, parts)) + len(embedded_run["unused_pairs"]) == len(kept)
    assert len(parts[0]) > 300
    assert_apart(parts)
    for part in parts:
        assert set(part["corpus"]) == names
    assert (embedded_run["leakage"]["pairs"] == 0).all()
    assert embedded_run["benchmark_overlap"].empty


def test_textbook_blemishes_are_dealt_with(blemishes: dict[str, Any], embedded_run: dict[str, Any]) -> None:
    passages = embedded_run["passages"].query("corpus == 'textbooks'")
    # A passage breaks lines between paragraphs alone; the overlap repeats text.
    text = passages["text"].str.replace("\n", " ")
    for blemish in blemishes["textbooks"]:
        found = text.str.contains(blemish["text"], regex=False).sum()
        assert found == (blemish["kind"] == "duplicate_paragraph"), blemish["kind"]
    assert not text.str.contains(r"Page \d of 3|</?\w+|&nbsp;").any()
    phones = [blemish for blemish in blemishes["textbooks"] if blemish["kind"] == "phone_number"]
    assert text.str.contains("[PHONE]", regex=False).sum() == len(phones)
    assert text.str.contains("nearly all lateral sprains. Exercises start within days", regex=False).sum() == 1
    assert set(passages.loc[passages["page"] > 0, "chapter"]) == {"013-appendix-clinical-tests"}
    assert passages["id"].is_unique
