"""The embedded corpora: every blemish that was written into them is found, and nothing else is thrown away."""

from __future__ import annotations

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

TERMS: dict[str, Any] = {
    "exact": [(49, 43), (71, 42)],
    "near": [(50, 3), (54, 29), (77, 44)],
    "empty": [15, 58],
    "html": [7, 36, 64],
    "phone": [22],
    "kept": 74,
}
# Record, and for a duplicate the one it repeats; numbers are rows, text is a MedQuAD file and pair.
BLEMISHES: dict[str, dict[str, Any]] = {
    "genmedgpt": {
        "exact": [(64, 40), (65, 28), (112, 13), (129, 48)],
        "near": [(49, 12), (66, 20), (119, 82), (130, 45)],
        "empty": [34, 99, 122],
        "html": [1, 10, 11, 105],
        "phone": [37],
        "kept": 120,
    },
    "wikidoc": {
        "exact": [(54, 13), (142, 134), (144, 50), (151, 98)],
        "near": [(95, 55), (128, 74), (152, 147), (158, 153)],
        "empty": [56, 80, 81, 99],
        "html": [3, 49, 52, 87, 113],
        "phone": [27],
        "kept": 156,
    },
    "medquad": {
        "exact": [("0000001_1-1", "0000017-1"), ("0000002_3-1", "0000018-1"), ("0000005_1-1", "0000019-1")],
        "near": [("0000006_3-1", "0000020-1"), ("0000007_3-1", "0000021-1"), ("0000009_2-1", "0000022-1")],
        "empty": [
            *("0000001_3-4", "0000003_1-4", "0000004_1-4", "0000005_3-4", "0000008_1-4", "0000009_1-4"),
            *("0000002-4", "0000004-4", "0000007-4", "0000013-4"),
        ],
        "html": ["0000004_1-3", "0000008_2-1", "0000010-2", "0000009-2"],
        "phone": ["0000012-3"],
        "kept": 144,
    },
    "medical_terms": TERMS,
    "medical_terms_llama2": TERMS,
}
MARKUP = re.compile(r"</?[a-z]+[^<>]*>|&#?\w+;|\[\[|\]\]|'''|\{\{|\u00a0| {2}", re.IGNORECASE)


def full_id(pairs: pd.DataFrame, record: int | str) -> str:
    if isinstance(record, int):
        return str(pairs["id"].iat[0]).rsplit(":", 1)[0] + f":{record:05d}"
    (found,) = [identifier for identifier in pairs["id"] if identifier.rsplit("/", 1)[-1] == record]
    return str(found)


@pytest.mark.parametrize("name", list(BLEMISHES))
def test_listed_blemishes_are_dealt_with(name: str, parsed: Parse, embedded: Path, cleaning: CleaningParams) -> None:
    listed, pairs = BLEMISHES[name], parsed(embedded, name)
    kept, rejected, report = merge_and_clean(cleaning, pairs)
    reasons = dict(zip(rejected["id"], rejected["reason"], strict=True))
    for kind in ("exact", "near"):
        for copies in listed[kind]:
            found = [reasons.get(full_id(pairs, copy)) for copy in copies]
            assert sorted(found, key=str) == sorted([None, f"{kind}_duplicate"], key=str), copies
    assert {full_id(pairs, record) for record in listed["empty"]} == set(
        rejected.query("reason == 'empty_answer'")["id"]
    )
    assert len(rejected) == sum(len(listed[kind]) for kind in ("exact", "near", "empty"))
    assert len(kept) == listed["kept"] == len(pairs) - len(rejected)
    texts = (kept["question"] + "\n" + kept["answer"]).set_axis(kept["id"])
    raw = (pairs["question"] + "\n" + pairs["answer"]).set_axis(pairs["id"])
    for record in listed["html"]:
        assert texts[full_id(pairs, record)] != raw[full_id(pairs, record)].strip()
    assert not [identifier for identifier, text in texts.items() if MARKUP.search(text)]
    masked = [identifier for identifier, text in texts.items() if "[PHONE]" in text]
    assert masked == [full_id(pairs, record) for record in listed["phone"]]
    assert not texts.str.contains("555-01").any()
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


def test_textbook_blemishes_are_dealt_with(embedded: Path) -> None:
    passages = read_passages(TextbookDataset(filepath=str(embedded / "textbooks")).load())
    text = passages["text"]
    for opening in ("Long-standing tendon pain is usually called", "Meniscal tears in young people follow a twist"):
        assert text.str.contains(opening).sum() == 1
    assert not text.str.contains(r"\| 57|Page \d of 3|</?\w+|&nbsp;|555-0142").any()
    assert text.str.contains("[PHONE]", regex=False).sum() == 1
    assert text.str.contains("nearly all lateral sprains. Exercises start within days", regex=False).sum() == 1
    assert set(passages.loc[passages["page"] > 0, "chapter"]) == {"013-appendix-clinical-tests"}
    assert passages["id"].is_unique
