"""The site of a lineage: what it shows, what it never does, and whom it asks."""

from __future__ import annotations

import functools
import http.server
import itertools
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lineage_site import COMMAND, SECRET, TABLES, build, make_project
from tests.projects import copy_project, network_attempts, run_environment

# From a raw corpus to a figure of scores: datasets, and between them the boxes of the steps.
PATH = ["raw_genmedgpt", "data_engineering", "test", "scoring", "scores", "arm_comparison", "comparison", "figures"]
PATH += ["score_bars_figure"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with artifacts, and the site of its experiment."""
    made = make_project(tmp_path_factory.mktemp("lineage"))
    result = build(made)
    assert result.returncode == 0, result.stderr[-3000:]
    return made


@pytest.fixture(scope="module")
def site(project: Path) -> Path:
    return project / "build/lineage/embedded"


@pytest.fixture(scope="module")
def graph(site: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((site / "api/main").read_text())
    return content


def find(graph: dict[str, Any], name: str) -> str:
    (found,) = [each["id"] for each in graph["nodes"] if each["name"] == name and each["type"] == "data"]
    return str(found)


def read_node(site: Path, graph: dict[str, Any], name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((site / "api/nodes" / find(graph, name)).read_text())
    return content


def test_site_holds_no_text_of_a_record_and_no_place_of_its_making(project: Path, site: Path) -> None:
    for file in (site / "api").rglob("*"):
        if file.is_file():
            content = file.read_text()
            assert SECRET not in content, file
            assert str(project) not in content, file


@pytest.mark.parametrize("name", [*TABLES, "data_report"])
def test_text_is_not_previewed(name: str, site: Path, graph: dict[str, Any]) -> None:
    assert not read_node(site, graph, name).get("preview")


def test_figure_table_and_report_are_previewed(site: Path, graph: dict[str, Any]) -> None:
    shown = {name: read_node(site, graph, name) for name in ("score_bars_figure", "comparison", "headline", "report")}
    types = {name: content["preview_type"] for name, content in shown.items()}
    assert types == {
        "score_bars_figure": "PlotlyPreview",
        "comparison": "TablePreview",
        "headline": "JSONPreview",
        "report": "HTMLPreview",
    }
    assert shown["score_bars_figure"]["preview"]["data"][0]["type"] == "bar"
    assert len(shown["comparison"]["preview"]["data"]) == 20
    assert shown["comparison"]["preview"]["data"][0] == ["bleu", 0, None]
    assert "Perplexity fell." in shown["report"]["preview"]


def test_study_table_is_previewed_without_ids(site: Path, graph: dict[str, Any]) -> None:
    rows = read_node(site, graph, "study_table")["preview"]["data"]
    assert [row for row in rows if row[0] == "ours"]
    assert SECRET not in json.dumps(rows)


@pytest.fixture(scope="module")
def unrun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project without artifacts, and the site of another experiment and environment."""
    project = copy_project(tmp_path_factory.mktemp("unrun"))
    place = project.parent / "wards"  # as of corpora and models that lie outside the project
    params = f"experiment=genmedgpt_embedded,corpora.genmedgpt.files={place}/notes.json,model.id={place}/models/tiny"
    result = build(project, f"--params={params}", "--env=cpu_bf16")
    assert result.returncode == 0
    assert "could not be previewed" not in result.stderr + result.stdout  # nothing has been made yet
    return project


def test_every_pipeline_is_shown_in_layers(unrun: Path, site: Path) -> None:
    """kedro-viz leaves the layers out where one lies both before and behind another."""
    for folder in (unrun / "build/lineage/genmedgpt_embedded", site):
        for file in (folder / "api/pipelines").iterdir():
            layers = json.loads(file.read_text())["layers"]
            assert layers, f"{file.name} of {folder.name}"
            assert file.name != "__default__" or layers == sorted(layers)


def test_site_is_of_the_experiment_and_environment_that_are_named(unrun: Path) -> None:
    site = unrun / "build/lineage/genmedgpt_embedded"
    graph = json.loads((site / "api/main").read_text())
    raw = {each["name"] for each in graph["nodes"] if each["name"].startswith("raw_")}
    assert {"raw_genmedgpt"} <= raw
    assert "raw_medquad" not in raw
    (hardware,) = [each["id"] for each in graph["nodes"] if each["name"] == "params:hardware"]
    parameters = json.loads((site / "api/nodes" / hardware).read_text())["parameters"]["hardware"]
    assert parameters["precision"] == "bf16"
    told = {file: file.read_text() for file in (site / "api").rglob("*") if file.is_file()}
    assert [file for file, text in told.items() if "/wards" in text] == []
    assert any("notes.json" in text for text in told.values())
    assert network_attempts(unrun) == ""


def test_own_command_of_kedro_viz_shows_the_experiment_and_environment_that_are_named(unrun: Path) -> None:
    """Without its --include-hooks; the code is what `kedro viz run` does before it serves."""
    given = {"experiment": "medquad_wikidoc_embedded", "canaries": {"enabled": True}}
    code = (
        "from pathlib import Path; from kedro_viz.integrations.kedro.data_loader import load_data;"
        f"catalog, made, _ = load_data(Path.cwd(), 'cpu_bf16', extra_params={given});"
        "names = made['__default__'].datasets();"
        "print('raw_medquad' in names, 'raw_genmedgpt' in names, 'canary_secrets' in names);"
        "print(catalog['params:hardware'].load().precision)"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=unrun, env=run_environment(unrun), capture_output=True, text=True, check=False)
    assert result.stdout.split()[-4:] == ["True", "False", "True", "bf16"], result.stderr[-3000:]


def test_view_answers_without_asking_another_machine(project: Path) -> None:
    port = free_port()
    command = [sys.executable, "-c", COMMAND, "--view", f"--port={port}"]
    address = f"http://127.0.0.1:{port}"
    with (
        (project / "view.log").open("w+") as log,
        subprocess.Popen(command, cwd=project, env=run_environment(project), stdout=log, stderr=log) as server,
    ):
        try:
            page = wait_for(address, server, project / "view.log")
            assert "default-src 'self'" in page
            assert "https://" not in page
            with urllib.request.urlopen(f"{address}/api/version") as answer:
                assert json.load(answer)["is_outdated"] is False
            with urllib.request.urlopen(f"{address}/api/main") as answer:
                assert "figures" in json.load(answer)["modular_pipelines"]
        finally:
            server.terminate()
    assert network_attempts(project) == ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> str:
    while True:
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(address) as answer:
                return str(answer.read().decode())
        except OSError:
            time.sleep(0.2)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where a plain file server shows the site."""
    handler = functools.partial(_Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.browser
def test_a_path_leads_from_a_raw_corpus_to_a_drawn_plot(address: str, browser: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    def shown(selector: str) -> list[Any]:
        return list(browser.find_elements("css selector", selector))

    def click(name: str) -> None:
        """Click on what the graph shows under a name."""
        browser.execute_script(
            "[...document.querySelectorAll('.pipeline-node')].find(node => node.textContent.trim() === arguments[0])"
            ".dispatchEvent(new MouseEvent('click', {bubbles: true}))",
            name,
        )

    for kind in ("performance", "browser"):
        browser.get_log(kind)
    browser.get(address)
    wait = WebDriverWait(browser, 60)
    wait.until(lambda _: len(shown(".pipeline-node")) > 20)
    visible = {each.get_attribute("textContent").strip() for each in shown(".pipeline-node")}
    assert set(PATH) <= visible
    graph = browser.execute_async_script(
        "fetch('./api/main').then(answer => answer.json()).then(arguments[arguments.length - 1])"
    )
    folded = {child["id"] for child in graph["modular_pipelines"]["__root__"]["children"]}
    names = {each["id"]: each["name"] for each in graph["nodes"] if each["id"] in folded}
    edges = {(names.get(each["source"]), names.get(each["target"])) for each in graph["edges"]}
    assert set(itertools.pairwise(PATH)) <= edges
    for name in PATH[::2]:
        click(name)
        wait.until(lambda _: name in "".join(each.text for each in shown(".pipeline-metadata__title")))  # noqa: B023
    wait.until(lambda _: shown(".pipeline-metadata .js-plotly-plot .main-svg"))
    assert len(shown(".pipeline-metadata .js-plotly-plot .trace .point")) == 2
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    assert [url for url in urls if not url.startswith((address, "data:", "blob:", "chrome"))] == []  # its own first tab
    assert [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    browser.get("about:blank")  # the page goes on drawing for as long as it is open
