"""Reporting checklists: right items, honest statuses."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from med_lora.pipelines.reporting.exports.checklist_facts import Facts, gather_facts
from med_lora.pipelines.reporting.exports.filling import (
    CHECKLISTS,
    answer,
    count_checklists,
    fill_checklists,
    named_facts,
    read_checklist,
    write_checklists,
)

NOT_OF_CHECKLISTS = ("experiment", "controls", "forgetting", "settings")


@pytest.fixture
def inputs(card_inputs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in card_inputs.items() if name not in NOT_OF_CHECKLISTS}


def find(checklists: dict[str, Any], name: str, number: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in checklists[name]["items"] if item["item"] == number)
    return found


def test_numbers_are_those_of_the_statements() -> None:
    def numbers(name: str) -> list[str]:
        return [item["item"] for item in read_checklist(name)["items"]]

    letters = {"3": "ab", "5": "abcde", "6": "abcde", "7": "abcde", "8": "abc", "9": "ab", "14": "abcdef"}
    letters |= {"16": "abcd", "19": "abcdefg"}
    tripod = [f"{number}{letter}" for number in range(1, 20) for letter in letters.get(str(number), [""])]
    assert numbers("tripod_llm") == tripod
    assert len(numbers("chart")) == len(set(numbers("chart"))) == 39
    assert {"5aiii", "7biii", "9ai", "12cii"} <= set(numbers("chart"))
    assert not any(number[0].isdigit() for number in numbers("mi_claim_gen"))  # not confirmed, and so not given


def test_files_name_facts_that_exist_and_say_why_an_item_may_not_apply(inputs: dict[str, Any]) -> None:
    facts = gather_facts(**inputs)
    for name in CHECKLISTS:
        for item in read_checklist(name)["items"]:
            named = [*named_facts(item.get("answer", "")), *named_facts(item.get("hint", ""))]
            assert set(named) | {item.get("needs", "run")} <= set(facts), item
            assert ("needs" in item) == ("without" in item), item
            assert {"answer", "hint", "without"} & set(item), item


def test_status_follows_from_what_is_known() -> None:
    facts: Facts = {"known": "Known.", "unknown": None}
    assert answer({"answer": "{known} Sure."}, facts) == ("filled", "Known. Sure.")
    assert answer({"answer": "{unknown}", "hint": "Ask. {known}"}, facts) == ("to fill", "Ask. Known.")
    assert answer({"needs": "unknown", "without": "None here.", "answer": "x"}, facts) == (
        "does not apply",
        "None here.",
    )
    assert answer({"needs": "known", "without": "None here.", "hint": "Say."}, facts) == ("to fill", "Say.")


def test_run_fills_what_software_knows_and_leaves_people_the_rest(inputs: dict[str, Any]) -> None:
    checklists = fill_checklists(gather_facts(**inputs))
    model = find(checklists, "CHART", "3a")
    assert model["status"] == "filled"
    assert "tuned in run 2026-11-21T22.05.00.000Z" in model["answer"]  # this run loaded the adapter
    assert "in run 2026-11-22T03.14.00.123Z" in find(checklists, "CHART", "6b")["answer"]
    assert "rank 16, alpha 32" in find(checklists, "TRIPOD-LLM", "6b")["answer"]
    assert "95 % intervals" in find(checklists, "CHART", "9a")["answer"]
    assert "not audited" in find(checklists, "CHART", "12ci")["answer"]
    for name, number in (("TRIPOD-LLM", "13"), ("TRIPOD-LLM", "14a"), ("CHART", "12c"), ("CHART", "8")):
        assert find(checklists, name, number)["status"] == "to fill"
    assert find(checklists, "TRIPOD-LLM", "14e")["status"] == "to fill"  # MedQuAD is not on the hub
    assert find(checklists, "TRIPOD-LLM", "10")["status"] == "does not apply"


def test_nobody_tells_compute_of_training_that_left_no_record(inputs: dict[str, Any]) -> None:
    checklists = fill_checklists(gather_facts(**inputs))
    assert "Training took 33 s" in find(checklists, "TRIPOD-LLM", "12")["answer"]
    inputs["run"] |= {"steps": inputs["run"]["steps"][1:]}
    untold = find(fill_checklists(gather_facts(**inputs)), "TRIPOD-LLM", "12")
    assert untold["status"] == "to fill"
    assert "left no record" in untold["answer"]


def test_a_rerun_is_a_fact_only_once_it_is_verified(inputs: dict[str, Any]) -> None:
    checklists = fill_checklists(gather_facts(**inputs))
    assert f"runs verify {inputs['run']['id']}` says whether it is" in find(checklists, "CHART", "9a")["answer"]
    assert "repeats byte for byte" not in write_checklists(checklists)
    assert find(checklists, "TRIPOD-LLM", "17")["status"] == "to fill"


def test_ratings_and_judge_make_their_items_apply(inputs: dict[str, Any]) -> None:
    assert find(fill_checklists(gather_facts(**inputs)), "CHART", "7biii")["status"] == "does not apply"
    judge = {"judge": "big-model", "version": "1", "verdict": "passes its floor controls", "nothing_said": []}
    rated = pd.DataFrame({"n": [12, 9]})
    filled = fill_checklists(gather_facts(**inputs, judge_summary=judge, ratings_comparison=rated))
    assert "both orders" in find(filled, "CHART", "7biii")["answer"]
    raters = find(filled, "CHART", "7bi")
    assert raters["status"] == "to fill"
    assert "12 test questions" in raters["answer"]


def test_unknown_licence_is_left_to_a_person(inputs: dict[str, Any]) -> None:
    data = inputs["data"]
    data["sources"][1]["licence"] = "unknown"
    assert find(fill_checklists(gather_facts(**inputs)), "CHART", "12cii")["status"] == "to fill"


def test_counts_add_up_in_the_text_and_for_the_report(inputs: dict[str, Any]) -> None:
    checklists = fill_checklists(gather_facts(**inputs))
    text = write_checklists(checklists)
    for counted in count_checklists(checklists):
        assert counted["filled"] + counted["to_fill"] + counted["does_not_apply"] == counted["items"]
        assert f"Filled: {counted['filled']}, to fill: {counted['to_fill']}" in text
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| item", "| ---"))]
    assert len(rows) == sum(counted["items"] for counted in count_checklists(checklists))
    assert all(line.replace("\\|", "").count("|") == 5 for line in rows)
