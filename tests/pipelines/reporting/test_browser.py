"""The report as a reader opens it: from disk, in a browser, without a network, and full of texts that try to run."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from itertools import cycle
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.parameters import ReportingParams
from med_lora.pipelines.reporting.exams_times_secrets import list_benchmarks
from med_lora.report_page.figures import make_figure
from tests.injections import INJECTIONS, as_shown

from .conftest import PAIRS, Table, ids, make_answers
from .reports import make_report

pytestmark = pytest.mark.browser

KNOWN_TAGS = {
    *("a", "article", "blockquote", "code", "details", "div", "em", "figure", "h1", "h2", "h3", "h4", "header", "hr"),
    *("li", "mark", "nav", "noscript", "ol", "p", "pre", "section", "small", "span", "strong", "summary", "table"),
    *("tbody", "td", "th", "thead", "tr", "ul"),
}
FIGURES = ("perplexity-bars-figure", "score-bars-figure", "loss-curve-figure", "epoch-scores-figure")


def spread(shift: int) -> list[str]:
    """One of the texts for every pair, all of them once at least."""
    return [INJECTIONS[(place + shift) % len(INJECTIONS)] for place in range(PAIRS)]


@pytest.fixture(scope="module")
def report_path(inputs: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report in which questions, references, answers, names, notes and the run's own texts try to run."""
    assert len(INJECTIONS) == 50 <= PAIRS
    foreign = cycle(INJECTIONS)
    comparison, controls = inputs["comparison"], inputs["controls"]
    notes = {name: [next(foreign) for _ in range(len(comparison))] for name in ("signature", "note")}
    metric = {"metric": {"token_f1": "<img src=x onerror=window.injected=1>"}}
    control = {"shuffled_reference": "<svg onload=window.injected=2>"}
    corpora = {"genmedgpt": {"layout": "alpaca", "title": INJECTIONS[1], "licence": INJECTIONS[20], "files": "a"}}
    run = inputs["report_run"]
    outcomes = inputs["row_outcomes"].query("corpus == 'genmedgpt'").assign(outcome=INJECTIONS[2])
    changed = {
        **inputs,
        "test": Table(pd.DataFrame({"id": ids(), "question": spread(0), "answer": spread(1)})),
        "base_answers": make_answers("", "eos").sort_values("id").assign(answer=spread(2)),
        "tuned_answers": make_answers("", "length").sort_values("id").assign(answer=spread(3)),
        "comparison": comparison.assign(**notes).replace(metric),
        "controls": controls.replace({**metric, "arm": control}),
        "row_outcomes": outcomes,
        "datasheet": "# Data sheet\n\n" + "\n\n".join(INJECTIONS),
        "report_run": run | {"env": INJECTIONS[3], "packages": [(text, text) for text in INJECTIONS]},
        "params:experiment": "</title>" + INJECTIONS[0],
        "params:description": INJECTIONS[9],
        "params:corpora": corpora,
        "params:reporting": ReportingParams(examples=PAIRS),
    }
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(make_report(changed, **sections_of_others()), encoding="utf-8")
    return path


def sections_of_others() -> dict[str, Any]:
    exam = dict.fromkeys(("chance", "majority", "base", "tuned", "difference", "p_value", "p_holm"), 0.25)
    exam |= {f"{name}_{end}": 0.2 for name in ("base", "tuned", "difference") for end in ("low", "high")}
    texts = {"benchmark": INJECTIONS[4], "signature": INJECTIONS[5], "note": INJECTIONS[6]}
    counts = {"n": 9, "excluded": 0, "base_only": 1, "tuned_only": 2}
    benchmarks = pd.DataFrame([texts | counts | exam])
    assert list_benchmarks(benchmarks)[0]["note"] == INJECTIONS[6]
    summary = {"sentences": list(INJECTIONS), "verdict": INJECTIONS[7]}
    return {"benchmarks": benchmarks, "judge": {"summary": summary, "contrasts": [], "others": [], "checks": []}}


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
    for name in FIGURES:
        holder = browser.find_element("id", name)
        drawn = holder.find_elements("css selector", ".main-svg")
        assert drawn
        assert drawn[0].size["width"] > 600
        assert holder.find_elements("css selector", ".trace, .js-line")


def test_only_the_file_itself_is_requested(browser: Any, report_path: Path, requests: list[str]) -> None:
    assert [url for url in requests if not url.startswith("data:")] == [report_path.as_uri()]
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_console_is_silent(browser: Any, requests: list[str]) -> None:
    """No error, and no violation of the page's policy: nothing even tried to run or to fetch."""
    assert browser.get_log("browser") == []


def test_no_text_runs_or_becomes_an_element(browser: Any, requests: list[str]) -> None:
    """Neither at once nor when what is folded is opened and a reader moves over the page."""
    found = browser.execute_script(
        """
        document.querySelectorAll("details").forEach((part) => { part.open = true; });
        document.querySelectorAll("*").forEach((element) => element.dispatchEvent(new Event("mouseover")));
        const own = Array.from(document.querySelectorAll("main *")).filter((element) => !element.closest("figure"));
        return {
          injected: window.injected ?? null,
          tags: Array.from(new Set(own.map((element) => element.localName))),
          handlers: own.flatMap((element) => element.getAttributeNames()).filter((name) => name.startsWith("on")),
          targets: own.map((element) => element.getAttribute("href") ?? element.getAttribute("src"))
            .filter((target) => target !== null && !target.startsWith("#section-")),
          titles: document.title,
        };
        """
    )
    assert found["injected"] is None
    assert set(found["tags"]) <= KNOWN_TAGS
    assert found["handlers"] == found["targets"] == []
    assert found["titles"].startswith("</title><script>")


@pytest.mark.parametrize(("part", "shift"), [("question", 0), ("reference", 1), ("base", 2), ("tuned", 3)])
def test_every_text_is_seen_exactly_as_it_was_written(browser: Any, requests: list[str], part: str, shift: int) -> None:
    place = ["question", "reference", "base", "tuned"].index(part)
    seen = browser.execute_script(
        """
        const examples = document.querySelector("#section-examples").parentElement;
        return Array.from(examples.querySelectorAll("article")).map((article) => [
          article.querySelector(".asked"), ...article.querySelectorAll(".answers > div > p:first-of-type")
        ].map((element) => [element.textContent, element.innerText]));
        """
    )
    assert len(seen) == PAIRS
    texts = {shown[place][0] for shown in seen}
    assert texts == {as_shown(text) for text in spread(shift)}
    assert all(shown[place][1].strip() == shown[place][0].strip() for shown in seen)


def test_texts_outside_of_answers_are_seen_too(browser: Any, requests: list[str]) -> None:
    text = browser.execute_script("return document.querySelector('main').textContent")
    for injection in (*INJECTIONS, "<img src=x onerror=window.injected=1>"):
        assert as_shown(injection) in text
    packages = browser.execute_script(
        "return Array.from(document.querySelectorAll('#versions td')).map((cell) => cell.textContent)"
    )
    assert packages[1:] == [as_shown(injection) for injection in INJECTIONS]


def test_error_examples_hold_the_same_texts_as_text(browser: Any, requests: list[str]) -> None:
    seen = browser.execute_script(
        """
        const errors = document.querySelector("#section-errors").parentElement;
        return Array.from(errors.querySelectorAll(".answers p:first-of-type")).map((element) => element.textContent);
        """
    )
    assert set(seen) <= {as_shown(injection) for injection in INJECTIONS}
    assert len(set(seen)) > 40  # pairs whose answers were cut are not among them


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


@pytest.fixture(scope="module")
def plain_path(inputs: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report as most are."""
    path = tmp_path_factory.mktemp("plain") / "report.html"
    path.write_text(make_report(inputs), encoding="utf-8")
    return path


def test_links_of_the_contents_lead_to_their_sections(browser: Any, plain_path: Path) -> None:
    browser.get(plain_path.as_uri())
    links = browser.find_elements("css selector", "nav a")
    assert len(links) > 10
    browser.execute_script("arguments[0].click()", links[-1])
    place = browser.execute_script("return document.querySelector('#section-limitations').getBoundingClientRect().top")
    assert browser.current_url.endswith("#section-limitations")
    assert 0 <= place < browser.execute_script("return window.innerHeight")


@pytest.mark.parametrize("width", [400, 680])
def test_narrow_screens_scroll_tables_and_paper_holds_them(browser: Any, plain_path: Path, width: int) -> None:
    """680 pixels is what A4 leaves between its margins."""
    paper = width == 680
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print" if paper else "screen"})
    try:
        browser.get(plain_path.as_uri())
        browser.execute_script("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        buttons = browser.execute_script(
            "return Array.from(document.querySelectorAll('.modebar')).map((bar) => bar.getBoundingClientRect().width)"
        )
        tables = browser.execute_script(
            "return Array.from(document.querySelectorAll('table')).map((t) => [t.id, t.getBoundingClientRect().right])"
        )
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert wide <= width
    assert set(buttons) == {0}  # they would cover the titles
    assert not paper or [name for name, right in tables if right > width] == []


def print_text(browser: Any, folder: Path) -> str:
    """The words of the open page on paper, a space between any two."""
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})
    (folder / "report.pdf").write_bytes(base64.b64decode(printed["data"]))
    command = ["pdftotext", "-layout", str(folder / "report.pdf"), "-"]
    return " ".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


no_pdftotext = not shutil.which("pdftotext")
needs_pdftotext = pytest.mark.skipif(no_pdftotext, reason="pdftotext is not installed (Debian: poppler-utils)")


@needs_pdftotext
@pytest.mark.parametrize("scripts", [True, False])
def test_paper_holds_what_is_folded_but_for_what_fills_pages(
    browser: Any, plain_path: Path, tmp_path: Path, scripts: bool
) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
    try:
        browser.get(plain_path.as_uri())
        text = print_text(browser, tmp_path)
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert all(folded in text for folded in ("Who made it?", "transformers", "train adapter", "Figure 1"))
    assert not any(bulk in text for bulk in ("training.lora.r", "nrefs:1"))
    assert "Every control in every metric (folded: on screen and in results.csv)" in text
    assert "answers and comparison (folded: on screen and in the run's manifest.json)" in text
    assert ("The figures need JavaScript" in text) is not scripts


@needs_pdftotext
def test_what_a_reader_opened_is_on_paper(browser: Any, plain_path: Path, tmp_path: Path) -> None:
    browser.get(plain_path.as_uri())
    browser.execute_script("document.querySelector('#settings').closest('details').open = true")
    text = print_text(browser, tmp_path)
    assert "training.lora.r" in text
    assert "manifest.json)" not in text


def test_a_figure_taller_than_a_page_is_shrunk_on_paper_alone(
    browser: Any, inputs: dict[str, Any], tmp_path: Path
) -> None:
    tall = make_figure([{"type": "bar", "y": [1]}], "Tall", "n = 1", "A bar.").update_layout(height=1500)
    path = tmp_path / "report.html"
    path.write_text(make_report(inputs, tall_figure=tall), encoding="utf-8")
    browser.get(path.as_uri())
    heights = browser.execute_script(
        """
        const measure = () => ["tall-figure", "loss-curve-figure"].map(
          (name) => document.getElementById(name).getBoundingClientRect().height);
        const heights = [measure()];
        for (const event of ["beforeprint", "beforeprint", "afterprint"]) {
          window.dispatchEvent(new Event(event));
          heights.push(measure());
        }
        return heights;
        """
    )
    (tall_before, low), *paper, after = heights
    assert tall_before > 1400
    assert all(on_paper[0] <= 881 and on_paper[1] == low for on_paper in paper)
    assert after == [tall_before, low]
