"""The summary adds up, and names what is missing."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from med_lora.pipelines.data_report.summary import summarise_data

from .conftest import CLASSES


@pytest.fixture(scope="module")
def summary(outputs: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = outputs["data_summary"]
    return made


def test_rows_read_are_kept_or_left_out(summary: dict[str, Any]) -> None:
    assert summary["rows"] == {"read": 320, "kept": 230, "left_out": 90}
    medquad, exchanges = summary["corpora"]
    assert medquad["left_out"] == {"parse": 60, "clean": 10, "deduplicate": 6, "decontaminate": 4}
    assert (exchanges["read"], exchanges["kept"], exchanges["left_out"]["deduplicate"]) == (120, 110, 9)
    assert sum(reason["rows"] for reason in summary["reasons"]) == 90


def test_reasons_follow_the_stages_and_the_rows(summary: dict[str, Any]) -> None:
    assert [(reason["stage"], reason["reason"], reason["rows"]) for reason in summary["reasons"]] == [
        ("read", "malformed_json", 1),
        ("parse", "empty_answer", 60),
        ("clean", "answer_too_short", 7),
        ("clean", "screened_names", 3),
        ("deduplicate", "near_duplicate", 9),
        ("deduplicate", "exact_duplicate", 6),
        ("decontaminate", "in_benchmark_exam", 4),
    ]
    assert summary["reasons"][4]["corpora"] == {"Exchanges": 9}


def test_every_class_has_its_action_and_counts(summary: dict[str, Any]) -> None:
    classes = {found["name"]: found for found in summary["screening"]}
    assert list(classes) == CLASSES
    assert len(classes) == 18
    assert classes["phones"] == {"name": "phones", "action": "mask", "found": 7, "left_out": 0}
    assert classes["names"] == {"name": "names", "action": "reject", "found": 0, "left_out": 3}
    assert classes["dates"]["found"] == 23
    assert classes["photographs"]["action"] == "ignore"


def test_splits_overlap_and_unused_pairs_are_counted(summary: dict[str, Any]) -> None:
    train, _, test = summary["splits"]
    assert train == {"name": "train", "pairs": 178, "groups": 89, "corpora": {"Exchanges": 89, "MedQuAD": 89}}
    assert (test["pairs"], test["groups"]) == (30, 15)
    assert summary["described"] == {"pairs": 228, "focus": 114, "question_type": 171, "document": 0, "screened": 23}
    assert summary["unused"] == {"near_test": 1, "split_surplus": 1}
    assert summary["overlapping"] == 4
    found = {(row["benchmark"], row["kind"]): row["pairs"] for row in summary["overlap"]}
    assert found == {("The exam", "exact_question"): 2, ("The exam", "near_question"): 3}


def test_lengths_are_lengths_that_occur(outputs: dict[str, Any]) -> None:
    tokens = pd.DataFrame({"prompt_tokens": 10, "answer_tokens": [*range(1, 20), 200]})
    tokens = tokens.assign(split="train", corpus="medquad", id="")
    data = outputs | {"token_lengths": tokens}
    names = {"outcomes": "row_outcomes", "unused": "unused_pairs", "corpora": "params:corpora"}
    names |= {"data_engineering": "params:data_engineering", "training": "params:training"}
    same = ("leakage", "benchmark_overlap", "token_lengths", "train", "validation", "test")
    made = summarise_data(**{name: data[key] for name, key in (names | dict(zip(same, same, strict=True))).items()})
    prompt, answer, whole = made["lengths"]
    assert (prompt["median"], prompt["p95"], prompt["max"], prompt["over"]) == (10, 10, 10, None)
    assert (answer["median"], answer["p95"], answer["max"]) == (10, 19, 200)
    assert (whole["median"], whole["p95"], whole["max"], whole["over"]) == (20, 29, 210, 1)
    assert made["passages"] == []


def test_passages_are_counted_by_book(summary: dict[str, Any]) -> None:
    assert [(row["book"], row["passages"]) for row in summary["passages"]] == [("Knees", 2), ("Feet", 1)]


def test_summary_is_json_without_text_of_pairs(summary: dict[str, Any], inputs: dict[str, Any]) -> None:
    text = json.dumps(summary)
    pairs = inputs["train"].to_pandas()
    assert not any(pair in text for pair in [*pairs["question"], *pairs["answer"]])
