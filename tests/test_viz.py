"""kedro-viz on a finished project: layers from raw to reporting, no private text, plots that draw."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.projects import run_environment

Finished = tuple[Path, subprocess.CompletedProcess[str]]
LAYERS = ["01_raw", "02_intermediate", "03_primary", "05_model_input", "06_models", "07_model_output", "08_reporting"]


def free_port() -> int:
    """A port nobody listens on; kedro-viz refuses those above 49151, which the system would hand out."""
    for port in range(42000, 49000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise RuntimeError("no free port between 42000 and 49000")


@pytest.fixture(scope="module")
def address(finished: Finished) -> Iterator[str]:
    """Where `kedro viz run` serves the finished project."""
    project, _ = finished
    port = free_port()
    command = [sys.executable, "-m", "kedro", "viz", "run", "--no-browser", f"--port={port}"]
    with (
        (project / "viz.log").open("w+") as log,
        subprocess.Popen(command, cwd=project, env=run_environment(project), stdout=log, stderr=log) as server,
    ):
        try:
            while True:
                assert server.poll() is None, (project / "viz.log").read_text()
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/api/main").close()
                    break
                except OSError:
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def graph(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{address}/api/main") as answer:
        content: dict[str, Any] = json.load(answer)
    return content


def find(graph: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [node for node in graph["nodes"] if node["name"] == name]
    return dict(found)


def test_layers_run_from_raw_to_reporting(graph: dict[str, Any]) -> None:
    assert graph["layers"] == LAYERS


def test_a_path_leads_from_a_raw_corpus_to_a_plot(graph: dict[str, Any]) -> None:
    reached = {find(graph, "raw_genmedgpt")["id"]}
    while True:
        further = {edge["target"] for edge in graph["edges"] if edge["source"] in reached} - reached
        if not further:
            break
        reached |= further
    for name in ("perplexity_bars_figure", "loss_curve_figure", "report"):
        assert find(graph, name)["id"] in reached


PRIVATE = (
    "raw_genmedgpt parsed_wikidoc cleaned_medquad passages qa_pairs rejected_pairs unused_pairs train test "
    "rendered_pairs tuned_answers data_report"
)


def test_reasons_for_rejected_rows_are_shown(address: str, graph: dict[str, Any]) -> None:
    with urllib.request.urlopen(f"{address}/api/nodes/{find(graph, 'row_outcomes')['id']}") as answer:
        preview = json.load(answer)["preview"]
    assert preview["columns"] == ["corpus", "rows_read", "stage", "outcome", "rows"]
    assert any("exact_duplicate" in row for row in preview["data"])


@pytest.mark.parametrize("name", PRIVATE.split())
def test_private_text_is_not_previewed(address: str, graph: dict[str, Any], name: str) -> None:
    with urllib.request.urlopen(f"{address}/api/nodes/{find(graph, name)['id']}") as answer:
        assert not json.load(answer).get("preview")


@pytest.mark.browser
def test_lineage_and_plots_are_drawn(address: str, graph: dict[str, Any], browser: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    def drawn(selector: str) -> list[Any]:
        return list(browser.find_elements("css selector", selector))

    wait = WebDriverWait(browser, 60)
    for name in ("loss_curve_figure", "perplexity_bars_figure"):
        browser.get(f"{address}/?pid=__default__&sid={find(graph, name)['id']}")
        wait.until(lambda _: len(drawn(".pipeline-node")) > 20)
        wait.until(lambda _: drawn(".js-plotly-plot .main-svg"))
        assert drawn(".js-plotly-plot .trace"), name
