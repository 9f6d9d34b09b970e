"""The page of many runs as a reader opens it: from disk, in a browser, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from med_lora.pipelines.comparison.pipeline import FIGURES
from tests.figure_standards import check_figure
from tests.injections import INJECTIONS
from tests.report_pages import Page

from .made_runs import compare_runs, make_run

DAY = "2026-11-20T{:02}.00.00.000Z"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two ranks and two run lengths, whose machines try to run as script."""
    folder = tmp_path_factory.mktemp("project")
    for hour, (rank, length) in enumerate([(4, 48), (8, 48), (8, 96)]):
        changes = {"training.lora.r": rank, "training.max_length": length}
        machine, experiment = INJECTIONS[hour], INJECTIONS[-1]
        make_run(folder, DAY.format(hour), 0.1, changes=changes, machine=machine, noise=hour, experiment=experiment)
    lost = make_run(folder, DAY.format(9))
    next((folder / "data/08_reporting/embedded/scores.parquet" / lost).iterdir()).unlink()
    return folder


@pytest.fixture(scope="module")
def outputs(project: Path) -> dict[str, Any]:
    return compare_runs(project)


def test_all_text_is_escaped_and_every_caption_is_there(outputs: dict[str, Any]) -> None:
    page = Page(outputs["comparison_report"])
    assert all(injection in page.text for injection in (*INJECTIONS[:3], INJECTIONS[-1]))
    figures = {name: figure for name, figure in outputs.items() if name.endswith("_figure")}
    assert len(figures) == len(FIGURES)
    for name, figure in figures.items():
        assert figure.layout.meta["caption"] in page.text, name


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_holds_to_the_standards(name: str, outputs: dict[str, Any]) -> None:
    check_figure(outputs[f"{name}_figure"])


def test_the_page_names_what_was_left_out(outputs: dict[str, Any]) -> None:
    assert f"{DAY.format(9)} has lost its scores" in Page(outputs["comparison_report"]).text


def test_equal_runs_give_the_same_page(project: Path, outputs: dict[str, Any]) -> None:
    assert compare_runs(project, "comparison_report")["comparison_report"] == outputs["comparison_report"]


@pytest.mark.browser
def test_figures_are_drawn_and_nothing_is_requested(browser: Any, outputs: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(outputs["comparison_report"], encoding="utf-8")
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(path.as_uri())
    drawn = {
        holder.get_attribute("id"): len(holder.find_elements("css selector", ".scatterlayer .point"))
        for holder in browser.find_elements("css selector", "[data-figure]")
    }
    assert drawn == {
        "leaderboard": (3 + 1) * 3 + (3 + 1) * 2,  # models in three metrics, controls in the two better higher
        "setting-curves": 3 * 2,
        "loss-curves": 3 * 3,
        "epoch-curves": 3 * 3,
        "answer-times": 3 * 2,
        "training-times": 3,
    }
    assert browser.get_log("browser") == []
    assert browser.execute_script("return window.injected") is None
