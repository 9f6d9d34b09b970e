"""The data report: complete, escaped, the same every time, and without any request."""

from __future__ import annotations

import re
from typing import Any

import pytest
from plotly.offline import get_plotlyjs

from med_lora.pipelines.data_report.datasheet import HEADINGS
from med_lora.pipelines.data_report.report import choose_examples
from med_lora.report_page.markdown import render_markdown
from tests.injections import SAMPLE
from tests.report_pages import Page

from .conftest import Table, make_split
from .reports import make_outputs

URL = re.compile(r"(?:https?:)?//[\w.-]+")


def make_hostile(inputs: dict[str, Any]) -> dict[str, Any]:
    """Inputs whose every text tries to become part of the page."""
    hostile = "".join(SAMPLE)
    titles = {
        name: {**corpus, "title": hostile, "files": "".join(SAMPLE[:3])}
        for name, corpus in inputs["params:corpora"].items()
    }
    texts = {"question": hostile, "answer": hostile, "question_type": hostile, "focus": hostile}
    splits = {name: Table(inputs[name].to_pandas().assign(**texts)) for name in ("train", "validation", "test")}
    changed = {"params:corpora": titles, "params:experiment": hostile, "params:description": hostile, **splits}
    changed["passages"] = inputs["passages"].assign(book=hostile, licence=hostile)
    changed["row_outcomes"] = inputs["row_outcomes"].replace({"outcome": {"empty_answer": hostile}})
    changed["leakage"] = inputs["leakage"].assign(kind=hostile).iloc[[0, 3]]
    changed["unused_pairs"] = inputs["unused_pairs"].assign(reason=hostile)
    return {**inputs, **changed}


@pytest.fixture(scope="module")
def report(outputs: dict[str, Any]) -> str:
    made: str = outputs["data_report"]
    return made


@pytest.fixture(scope="module")
def page(report: str) -> Page:
    return Page(report)


def cells(report: str, table: str) -> list[list[str]]:
    """The rows of a table as text."""
    (body,) = re.findall(rf'<table id="{table}">(.*?)</table>', report, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [[Page(cell).text for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL)] for row in rows]


def test_same_inputs_give_the_same_bytes(inputs: dict[str, Any], report: str) -> None:
    assert make_outputs(inputs)["data_report"] == report


def test_summary_states_rows_splits_leakage_and_cuts(page: Page) -> None:
    for sentence in (
        "Of 320 rows read from 2 sources, 230 were kept as pairs (72 %).",
        "Pairs in the splits: train 178, validation 20, test 30.",
        "3 of 30 test pairs (10 %) share their disease or topic with a training pair.",
        "of 178 training pairs",
        "Every row read was kept or left out with a reason.",
        "Screened is not de-identified",
    ):
        assert sentence in page.text


def test_tables_hold_the_counts(report: str) -> None:
    assert cells(report, "rows")[1:] == [
        ["MedQuAD", "200", "0", "60", "10", "6", "4", "120", "60 %"],
        ["Exchanges", "120", "1", "0", "0", "9", "0", "110", "92 %"],
        ["All", "320", "1", "60", "10", "15", "4", "230", "72 %"],
    ]
    assert ["clean", "answer too short", "7", "7 MedQuAD"] in cells(report, "reasons")
    assert ["share their disease or topic with a training pair", "5 of 20", "3 of 30"] in cells(report, "leakage")
    assert ["The exam", "MedQuAD", "near question", "3"] in cells(report, "overlap")
    assert ["MedQuAD", "CC-BY-4.0", "yes", "no", "licence"] in cells(report, "licences")
    assert ["phones", "masked by a placeholder", "7", "0"] in cells(report, "screening")
    assert ["test", "30", "15", "15 Exchanges, 15 MedQuAD"] in cells(report, "splits")
    (exchanges,) = [row for row in cells(report, "sources") if row[0] == "Exchangesexchanges"]
    assert (
        exchanges[3] == "a.json, b.jsonHugging Face hub: owner/exchanges, commit " + "0123456789abcdef" * 2 + "01234567"
    )


def test_leakage_is_drawn_where_there_is_some(inputs: dict[str, Any], page: Page) -> None:
    clean = inputs["leakage"].assign(pairs=0, share=0.0)
    without = Page(make_outputs({**inputs, "leakage": clean})["data_report"])
    drawn = [[values.get("id") for _, values in of.elements if "data-figure" in values] for of in (page, without)]
    assert drawn[0].count("leakage-bars") == 1
    assert "leakage-bars" not in drawn[1]
    assert "No pair has a counterpart in training" in without.text


def test_every_id_is_one_elements(page: Page) -> None:
    ids = [values["id"] for _, values in page.elements if "id" in values]
    assert len(ids) == len(set(ids))


def test_data_sheet_stands_in_the_report(report: str) -> None:
    headings = re.findall(r"<h3>(.*?)</h3>", report.split('<div class="sheet">')[1])
    assert headings == list(HEADINGS)
    assert "<strong>To fill:</strong> funder and grant." in report


def test_nothing_is_asked_of_a_network(report: str, page: Page) -> None:
    addresses = [value for _, values in page.elements for name, value in values.items() if name in {"src", "href"}]
    assert addresses == ["data:,"]
    (policy,) = [values["content"] for tag, values in page.elements if values.get("http-equiv")]
    assert str(policy).startswith("default-src 'none'; script-src 'sha256-")
    assert not URL.search(report.replace(get_plotlyjs(), ""))


def test_foreign_text_is_shown_and_never_run(inputs: dict[str, Any]) -> None:
    html = make_outputs(make_hostile(inputs))["data_report"]
    page = Page(html)
    assert len(page.scripts) == 4 + 2
    assert not [tag for tag, _ in page.elements if tag in {"img", "b", "a"}]
    assert not [name for _, values in page.elements for name in values if name.startswith("on")]
    own = html.replace(get_plotlyjs(), "")
    assert all(injection not in own for injection in SAMPLE)
    assert page.text.count("".join(SAMPLE)) > 20


def test_examples_are_a_few_of_each_corpus(inputs: dict[str, Any]) -> None:
    pairs = make_split(0, 40).assign(answer=" ".join(["word"] * 61))
    titles = {"medquad": "MedQuAD"}
    chosen = choose_examples(Table(pairs), titles, 3)
    assert [example["title"] for example in chosen] == ["MedQuAD"] * 3 + ["exchanges"] * 3
    assert chosen[0]["answer"].split() == ["word"] * 60 + ["…"]
    turned = choose_examples(Table(pairs[::-1]), titles, 3)
    assert sorted(example["id"] for example in turned) == sorted(example["id"] for example in chosen)
    assert choose_examples(Table(pairs), titles, 0) == []
    page = Page(make_outputs({**inputs, "params:data_engineering.report_examples": 0})["data_report"])
    assert "None are shown" in page.text
    assert "What helps against pain" not in page.text


def test_markdown_keeps_markup_as_text() -> None:
    html = render_markdown("# title\n\n## part\n\n<b>x</b> ![i](y.png) [l](https://example.invalid)\n")
    assert html.startswith("<h3>part</h3>")
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert not re.search(r"<(?:img|a|b)\b", html)


def test_empty_splits_and_tables_are_reported(inputs: dict[str, Any]) -> None:
    none = Table(make_split(0, 0))
    empty = {name: inputs[name][:0] for name in ("leakage", "benchmark_overlap", "unused_pairs", "passages")}
    changed = {**inputs, **empty, "validation": none, "test": none}
    page = Page(make_outputs(changed)["data_report"])
    assert "Leakage was not measured." in page.text
    assert "None of the pairs was found in The exam." in page.text
    assert not re.search(r"\bnan\b", page.text, re.IGNORECASE)
