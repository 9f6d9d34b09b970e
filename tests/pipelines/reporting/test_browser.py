"""The report as a reader opens it: from disk, in a browser, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.report_pages import INJECTIONS

from .conftest import Table, make_answers
from .reports import make_report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report_path(inputs: dict[str, Any], hostile_split: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report whose questions, references and answers try to run."""
    hostile = make_answers("".join(INJECTIONS), "eos")
    changed = {**inputs, "test": hostile_split, "base_answers": hostile, "tuned_answers": hostile}
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(make_report(changed), encoding="utf-8")
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


def test_every_figure_is_drawn(browser: Any, requests: list[str]) -> None:
    for name, shapes in (
        ("perplexity-bars", ".bars .point"),
        ("score-bars", ".bars .point"),
        ("loss-curve", ".js-line"),
        ("epoch-scores", ".js-line"),
    ):
        holder = browser.find_element("id", name)
        drawn = holder.find_elements("css selector", ".main-svg")
        assert drawn
        assert drawn[0].size["width"] > 600
        assert holder.find_elements("css selector", shapes)
    assert len(browser.find_elements("css selector", "#score-bars .bars .point")) == 6 * 3


def test_only_the_file_itself_is_requested(report_path: Path, requests: list[str]) -> None:
    assert [url for url in requests if not url.startswith("data:")] == [report_path.as_uri()]


def test_console_is_silent(browser: Any, requests: list[str]) -> None:
    assert browser.get_log("browser") == []


def test_hostile_text_is_text(browser: Any, requests: list[str]) -> None:
    assert browser.execute_script("return window.injected") is None
    text = browser.find_element("tag name", "main").text
    assert "<script>window.injected = 1</script>" in text
    assert all(injection in text for injection in INJECTIONS)
    assert not browser.find_elements("css selector", "main script, main img, main b")


def test_policy_blocks_what_is_not_in_the_file(browser: Any, requests: list[str]) -> None:
    """A script, an image and a request that something could still smuggle in come to nothing."""
    outcome = browser.execute_async_script(
        """
        const done = arguments[0], blocked = [];
        document.addEventListener("securitypolicyviolation", (event) => blocked.push(event.effectiveDirective));
        const script = document.createElement("script");
        script.textContent = "window.injected = 5";
        document.body.append(script);
        const image = new Image();
        image.src = "https://example.invalid/pixel.png";
        fetch("https://example.invalid/").catch(() => setTimeout(() => done([window.injected ?? null, blocked]), 200));
        """
    )
    browser.get_log("browser")
    assert outcome[0] is None
    assert {"connect-src", "img-src", "script-src-elem"} <= set(outcome[1])
