"""The order of the report, its links and headings, and what is there only where it was given."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from med_lora.report_page.figures import make_figure
from tests.report_pages import Page

from .reports import make_report


@pytest.fixture(scope="module")
def report(inputs: dict[str, Any]) -> str:
    return make_report(inputs)


@pytest.fixture(scope="module")
def page(report: str) -> Page:
    return Page(report)


def test_every_link_of_the_contents_has_its_heading(page: Page) -> None:
    ids = [values["id"] for _, values in page.elements if values.get("id")]
    links = [(values["href"] or "").removeprefix("#") for tag, values in page.elements if tag == "a"]
    assert len(ids) == len(set(ids))
    assert len(links) > 15
    assert set(links) <= set(ids)


def test_sections_stand_in_the_order_of_the_contents(report: str) -> None:
    linked = re.findall(r'<li><a href="#(section-[a-z-]+)"', report)
    headed = re.findall(r'<h2 id="(section-[a-z-]+)"', report)
    assert headed == ["section-meaning", "section-limits", "section-contents", *linked]
    assert linked[:2] == ["section-comparison", "section-controls"]
    assert linked[-1] == "section-limitations"


def test_headings_are_in_order_and_tables_say_what_their_headings_head(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    assert {values.get("scope") for tag, values in page.elements if tag == "th"} == {"col", "row", "rowgroup"}
    regions = [values for _, values in page.elements if values.get("role") == "region"]
    assert len(regions) == sum(tag == "table" for tag, _ in page.elements)
    assert all(values["aria-label"] and values["tabindex"] == "0" for values in regions)
    assert dict(page.elements)["html"] == {"lang": "en"}


def test_figures_are_numbered_in_the_order_of_the_page(report: str) -> None:
    assert re.findall(r"<strong>Figure (\d+)\.", report) == ["1", "2", "3", "4"]
    holders = re.findall(r'<div id="([a-z-]+)" data-figure', report)
    assert holders == ["perplexity-bars-figure", "score-bars-figure", "loss-curve-figure", "epoch-scores-figure"]


def test_a_figure_that_the_report_does_not_know_is_shown_and_an_empty_one_is_not(inputs: dict[str, Any]) -> None:
    new = make_figure([{"type": "bar", "y": [1]}], "Something new", "n = 1", "A bar.")
    empty = make_figure([], "Nothing", "n = 0", "No values.")
    html = make_report(inputs, something_new_figure=new, judge_figure=empty)
    assert 'id="something-new-figure"' in html
    assert "Something new" in html
    assert 'id="judge-figure"' not in html


def test_a_study_stands_after_the_controls_and_is_linked(inputs: dict[str, Any]) -> None:
    study: dict[str, Any] = {"title": "A study <b>", "citation": "Anybody 2024", "system": "", "judge_note": ""}
    study |= {name: [] for name in ("impossible", "differences", "settings", "comparison", "columns", "rows")}
    study |= {"faults": ["It has no control."], "is_rehearsal": False}
    html = make_report(inputs, study=study)
    assert '<a href="#section-study">' in html
    places = [html.index(f'id="section-{name}"') for name in ("controls", "study", "figures")]
    assert places == sorted(places)
    assert "A study &lt;b&gt;" in html
    assert "It has no control." in html[places[1] : places[2]]


def test_checklists_are_counted(page: Page) -> None:
    assert "TRIPOD-LLM2025612037" in page.text
