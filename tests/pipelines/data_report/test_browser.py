"""The data report as a reader opens it: from disk, in a browser, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.injections import SAMPLE

from .reports import make_outputs
from .test_report import make_hostile

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report_path(inputs: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report whose titles, reasons, questions and answers try to run."""
    path = tmp_path_factory.mktemp("report") / "data_report.html"
    path.write_text(make_outputs(make_hostile(inputs))["data_report"], encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def requests(browser: Any, report_path: Path) -> list[str]:
    """Opens the report; what was requested meanwhile."""
    browser.get("about:blank")
    browser.get_log("performance")  # both logs still hold what earlier pages wrote
    browser.get_log("browser")
    browser.get(report_path.as_uri())
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]


@pytest.mark.parametrize(
    ("name", "shapes", "count"),
    [
        ("outcome-bars", ".bars .point", 6 * 2 + 7),
        ("length-histograms", ".scatterlayer .js-line", 3 * 3),
        ("question-type-bars", ".bars .point", 3),
        ("leakage-bars", ".bars .point", 2),
    ],
)
def test_figures_are_drawn(browser: Any, requests: list[str], name: str, shapes: str, count: int) -> None:
    holder = browser.find_element("id", name)
    assert holder.find_elements("css selector", ".main-svg")[0].size["width"] > 600
    assert len(holder.find_elements("css selector", shapes)) == count


def test_only_the_file_itself_is_requested(report_path: Path, requests: list[str]) -> None:
    assert [url for url in requests if not url.startswith("data:")] == [report_path.as_uri()]


def test_console_is_silent(browser: Any, requests: list[str]) -> None:
    assert browser.get_log("browser") == []


def test_hostile_text_is_text(browser: Any, requests: list[str]) -> None:
    assert browser.execute_script("return window.injected") is None
    text = browser.find_element("tag name", "main").text
    assert all(injection in text for injection in SAMPLE)
    assert not browser.find_elements("css selector", "main script, main img, main b, main svg a")
