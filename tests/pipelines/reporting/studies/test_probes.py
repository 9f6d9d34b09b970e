"""A study's fixed questions beside the run's, by their number."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from med_lora.pipelines.reporting.studies.description import describe_study, name_quantity, show_value
from med_lora.pipelines.reporting.studies.pipeline import create_study_pipeline
from med_lora.pipelines.reporting.studies.published import compare_with_published
from med_lora.pipelines.reporting.studies.shapes import tabulate_study
from med_lora.pipelines.tracks import DEFAULT_TRACKS

STUDY = "kim2024_msk"
SECRET = "nobody else's business"


@pytest.fixture
def probes() -> pd.DataFrame:
    """Six questions to four arms, the last first: words 10 x number + arm, refused by the base model where odd."""
    rows = [
        {"probe": f"p{number}", "number": number, "arm": arm, "question": SECRET, "answer": SECRET}
        | {"words": 10 * number + place, "refusal": float(arm == "base" and number % 2)}
        | {"finish_reason": "length" if number == 6 else "eos"}
        | {"passages": 2 * (place > 1), "cites_passage": 1.0 if place > 1 else float("nan")}
        for number in range(6, 0, -1)
        for place, arm in enumerate(("base", "tuned", "base_rag", "tuned_rag"))
    ]
    return pd.DataFrame(rows)


def compare(
    raw_studies: dict[str, Any], parameters: dict[str, Any], tables: dict[str, Any], **more: Any
) -> pd.DataFrame:
    return compare_with_published(STUDY, raw_studies, parameters, **tables, **more).set_index(["quantity", "arm"])


def test_figures_of_a_question_are_those_of_the_probe_of_its_number(
    raw_studies: dict[str, Any], parameters: dict[str, Any], tables: dict[str, Any], probes: pd.DataFrame
) -> None:
    table = compare(raw_studies, parameters, tables, probes=probes)
    found = table[["published", "ours", "ours_n", "note"]]
    assert found.loc[("answer_words@3", "base")].tolist() == [
        69.0,
        30.0,
        1,
        "probe 3 of this run, matched by its number",
    ]
    assert found.loc[("answer_words@3", "tuned_rag")].tolist()[:2] == [75.0, 33.0]
    assert found.loc[("refusal@3", "base")].tolist()[:2] == [1.0, 1.0]
    assert found.loc[("refusal@4", "base")].tolist()[:2] == [1.0, 0.0]
    assert found.loc[("cut@6", "base")].tolist()[:2] == [1.0, 1.0]
    of_all = table.loc[("refusal", "base"), ["ours", "ours_n", "way"]]
    assert of_all.tolist() == [0.5, 6, "as published: of the fixed questions"]


def test_without_them_the_note_says_what_to_set(
    raw_studies: dict[str, Any], parameters: dict[str, Any], tables: dict[str, Any], probes: pd.DataFrame
) -> None:
    notes = compare(raw_studies, parameters, tables)["note"]
    assert notes["answer_words@3", "base"].startswith("not measured: probes is empty; name the study's questions")
    assert notes["answer_words@3", "tuned_rag"] == "not measured: retrieval.enabled is false"
    few = compare(raw_studies, parameters, tables, probes=probes[probes["number"] < 3])
    assert few["note"]["cut@3", "base"].startswith("not measured: probes has no question 3")
    assert few["ours"]["cut@2", "base"] == 0


def test_table_holds_four_arms_beside_every_published_question_and_no_text(
    raw_studies: dict[str, Any],
    parameters: dict[str, Any],
    tables: dict[str, Any],
    forgetting: pd.DataFrame,
    probes: pd.DataFrame,
) -> None:
    examples = pd.DataFrame({"id": ["a"], "sources": [""], "base": ["one"], "base_finish": ["eos"]})
    given: dict[str, Any] = {**tables, "forgetting": forgetting, "probes": probes, "examples": examples}
    table = tabulate_study(STUDY, raw_studies, parameters, **given)
    sources = [source for source in ("published", "ours") for _ in range(2 if source == "published" else 4)]
    assert table["source"].tolist() == sources * 6
    names = dict(zip(probes["number"], probes["probe"], strict=True))
    assert table["question"].tolist() == [f"{number}: {names[number]}" for number in range(1, 7) for _ in range(6)]
    ours = table[table["source"] == "ours"].set_index(["question", "arm"])
    assert ours.loc[(f"4: {names[4]}", "tuned_rag"), ["words", "cut", "passages", "cites_passage"]].tolist() == [
        43,
        0,
        2,
        1,
    ]
    assert SECRET not in table.to_csv()
    published = compare(raw_studies, parameters, tables, probes=probes).reset_index()
    shown = describe_study(STUDY, raw_studies, parameters, published, table)
    (row,) = [row for row in shown["comparison"] if (row["quantity"], row["arm"]) == ("Cut, question 6", "Base model")]
    assert (row["ours"], row["ours_n"]) == ("1", "1")
    assert [bool(row["again"]) for row in shown["rows"]] == [False, *[True] * 5] * 6


def test_quantities_of_a_question_are_named_and_counted() -> None:
    assert name_quantity("answer_words@3") == "Answer words, question 3"
    assert name_quantity("train_loss@100") == "Train loss at step 100"
    assert show_value("answer_words@3", 79.0) == "79"


def test_nodes_take_the_probes_where_the_experiment_has_some() -> None:
    assert "probe_answers" not in create_study_pipeline(DEFAULT_TRACKS).inputs()
    assert "probe_answers" in create_study_pipeline(DEFAULT_TRACKS._replace(probes=True)).inputs()
