"""The report's section on a study: every figure under its heading, impossible ones marked by sign and words."""

from __future__ import annotations

import html
import io
import re
from typing import Any

import pandas as pd
import pytest

from med_lora.pipelines.reporting.studies.description import describe_study, name_quantity
from med_lora.pipelines.reporting.studies.published import compare_with_published
from med_lora.pipelines.reporting.studies.shapes import tabulate_study

from ....injections import INJECTIONS


@pytest.fixture
def describe(
    raw_studies: dict[str, Any], parameters: dict[str, Any], tables: dict[str, Any], forgetting: pd.DataFrame
) -> Any:
    def make(
        study: str, through_csv: bool = False, judge_summary: dict[str, Any] | None = None, **changes: Any
    ) -> dict[str, Any]:
        studies = raw_studies | {study: raw_studies[study] | changes}
        given: dict[str, Any] = {"study": study, "studies": studies, "parameters": parameters}
        made = [
            compare_with_published(**given, **tables),
            tabulate_study(**given, **tables, forgetting=forgetting),
        ]
        if through_csv:
            made = [pd.read_csv(io.StringIO(table.to_csv(index=False))) for table in made]
        return describe_study(**given, published_comparison=made[0], study_table=made[1], judge_summary=judge_summary)

    return make


def render(study: dict[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("med_lora.pipelines.reporting", package_path="")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    page = '{% from "studies/study.html.j2" import show_study %}{{ show_study(study) }}'
    return environment.from_string(page).render(study=study)


@pytest.mark.parametrize("study", ["kim2024_msk", "medlms", "medidialogue", "gpt2_medical_terms", "lund_heart"])
def test_every_study_is_shown_with_its_faults(describe: Any, study: str) -> None:
    described = describe(study)
    page = html.unescape(render(described))
    for sentence in described["faults"] + described["differences"]:
        assert sentence in page
    for table in ("study-table", "study-settings"):
        assert f'<table id="{table}">' in page
    assert ('<table id="study-comparison">' in page) == (study != "lund_heart")
    assert "nan" not in re.sub(r"<[^>]*>", " ", page).split()


@pytest.mark.parametrize("study", ["kim2024_msk", "medlms", "medidialogue", "gpt2_medical_terms", "lund_heart"])
def test_section_is_the_same_from_saved_tables(describe: Any, study: str) -> None:
    assert describe(study, through_csv=True) == describe(study)


def test_impossible_figures_are_marked_by_a_sign_and_in_words(describe: Any) -> None:
    described = describe("medlms")
    row = next(row for row in described["comparison"] if row["printed"] == "81.34 %")
    assert row["impossible"] == (
        "⚠ cannot be right as printed: As the share of answers that match exactly, which the column names: no whole "
        "number of 100 questions is 81.34 % of them."
    )
    assert row["unit"] == "0.813 in the unit here"
    (cells,) = [cells for cells in described["rows"] if cells["system"] == "Llama-3-8B"]
    assert (cells["exact_match"], cells["token_f1_max"], cells["bleu_max"]) == ("⚠ 0.813", "⚠ 0.730", "58.00")
    (possible,) = [cells for cells in described["rows"] if cells["system"] == "Mistral-7B"]
    assert not any("⚠" in cell for cell in possible.values())
    assert len(described["impossible"]) == 8
    assert described["impossible"][0].startswith("Llama-3-8B, Exact match: 81.34 %. As the share of answers that match")


def test_a_figure_with_two_ways_is_printed_once(describe: Any) -> None:
    described = describe("gpt2_medical_terms")
    table = {row["stage"]: row["perplexity_padded"] for row in described["rows"] if row["source"] == "published"}
    assert (table["before"], table["after"]) == ("27.810", "⚠ 4.790")
    after = [row for row in described["comparison"] if row["printed"] == "4.79"]
    assert [row["first"] for row in after] == ["yes", ""]
    assert [row["ours"] for row in after] == ["12.0", "4.00"]
    assert render(described).count("cannot be right as printed: exp(1.963)") == 1


def test_settings_are_said_once_and_not_in_every_row(describe: Any) -> None:
    described = describe("medidialogue")
    row = next(row for row in described["comparison"] if row["quantity"] == "ROUGE-L F")
    assert row["why"] == (
        "n: 84 there, 60 here; definition there: F with beta 1.2, tokens are not stated, here: rougeL, version 1"
    )
    (model,) = [setting for setting in described["settings"] if setting["key"] == "model.id"]
    assert (model["label"], model["here"], model["differs"]) == (
        "Base model",
        "data/06_models/embedded-base",
        "differs",
    )
    (batch,) = [setting for setting in described["settings"] if setting["label"] == "Batch size"]
    assert batch["differs"] == "same"


def test_a_reason_is_told_once_for_a_metric(describe: Any) -> None:
    rows = [
        row for row in describe("medlms")["comparison"] if row["quantity"] == "BLEU, largest" and row["ours"] != "–"
    ]
    assert [bool(row["why"]) for row in rows] == [True] + [False] * (len(rows) - 1)


@pytest.mark.parametrize(
    ("verdict", "note"),
    [
        ("passes its floor controls", ""),
        ("fails its floor controls", "This run's judge fails its floor controls: its figures here show nothing"),
        ("unclear", "This run's judge is not shown to tell true answers from empty or misplaced ones: its figures"),
    ],
)
def test_ratings_of_a_judge_that_does_not_pass_are_doubted(describe: Any, verdict: str, note: str) -> None:
    described = describe("medidialogue", judge_summary={"verdict": verdict})
    assert described["judge_note"].startswith(note)
    assert bool(described["judge_note"]) == bool(note)
    assert ('<p class="finding">⚠ ' + note in html.unescape(render(described))) == bool(note)
    assert describe("medlms", judge_summary={"verdict": verdict})["judge_note"] == ""  # prints no rating


def test_gains_are_percentages_with_their_interval(describe: Any) -> None:
    row = next(row for row in describe("medidialogue")["comparison"] if row["printed"] == "548.99 %")
    assert row["quantity"] == "BLEU, relative improvement"
    assert (row["ours"], row["ours_interval"]) == ("+150 %", "[+149 %, +151 %]")


@pytest.mark.parametrize(
    ("quantity", "name"),
    [
        ("rouge1_max", "ROUGE-1 F, largest"),
        ("meteor_difference", "METEOR, tuned − base"),
        ("validation_loss@300", "Validation loss at step 300"),
        ("judge_accuracy", "Judge: accuracy"),
        ("training_seconds", "Training seconds"),
    ],
)
def test_quantities_have_names_for_readers(quantity: str, name: str) -> None:
    assert name_quantity(quantity) == name


def test_text_of_a_study_stays_text(describe: Any) -> None:
    page = render(describe("medidialogue", title=INJECTIONS[0], faults=list(INJECTIONS)))
    assert not any(injection in page for injection in INJECTIONS if "<" in injection)
    assert html.escape(INJECTIONS[0], quote=False)[:8] in page


def test_figures_one_by_one_are_folded_with_their_number(describe: Any) -> None:
    described = describe("medidialogue")
    bulk = render(described).partition('<details class="bulk">')[2].partition("</details>")[0]
    assert f"why they differ ({len(described['comparison'])})</summary>" in bulk
    assert '<table id="study-comparison">' in bulk
