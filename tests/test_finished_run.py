"""A whole run in a copied project, what it leaves behind, and its lineage in kedro-viz."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.kedro_server import KedroServer
from tests.lineage_site import build
from tests.projects import DefaultRun, artifacts, copy_run, network_attempts, newest

Finished = tuple[Path, subprocess.CompletedProcess[str]]
LAYERS = ["01_raw", "02_intermediate", "03_primary", "05_model_input", "06_models", "07_model_output", "08_reporting"]


@pytest.fixture(scope="module")
def finished(default_run: DefaultRun, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A project of this file's in which the default pipeline has run once, and what the run said."""
    return copy_run(default_run, tmp_path_factory.mktemp("finished") / "project"), default_run.result


def test_default_run_ends_with_headline_and_report(finished: Finished) -> None:
    project, result = finished
    headline = json.loads((newest(project, "08_reporting/embedded/headline.json") / "headline.json").read_text())
    report = newest(project, "08_reporting/embedded/report.html") / "report.html"
    assert headline["sentence"] in result.stdout
    assert str(report.relative_to(project)) in result.stdout
    for word in ("perplexity", "ROUGE-L"):
        assert word in headline["sentence"]


def test_default_run_makes_every_artifact_once(finished: Finished) -> None:
    project, _ = finished
    for layer, names in {
        "03_primary": ["passages", "qa_pairs", "rejected_pairs"],
        "05_model_input": ["train", "validation", "test", "unused_pairs", "rendered_pairs"],
        "06_models": ["adapter"],
        "07_model_output": [
            "base_losses",
            "tuned_losses",
            "base_answers",
            "tuned_answers",
            "arm_texts",
        ],
        "08_reporting": [
            "as_published.csv",
            "comparison.csv",
            "controls.csv",
            "corpus_scores.csv",
            "forgetting.csv",
            "metrics.csv",
            "pair_traits.parquet",
            "scores.parquet",
            "subgroups.csv",
            "loss_curve.json",
            "perplexity_bars.json",
            "report.html",
            "data_report.html",
            "datasheet.md",
            "leakage.csv",
            "row_outcomes.csv",
            "training_history.csv",
        ],
    }.items():
        for name in names:
            versions = list((project / "data" / layer / "embedded" / name).iterdir())
            assert len(versions) == 1, f"{layer}/{name}"


def test_default_run_logs_no_record_text(finished: Finished) -> None:
    project, result = finished
    pairs = pd.concat(
        pd.read_parquet(path) for path in (project / "data/03_primary").glob("*/qa_pairs/*/qa_pairs/*.parquet")
    )
    log = result.stdout + result.stderr
    assert len(pairs) > 300
    assert not [identifier for identifier, answer in zip(pairs.id, pairs.answer, strict=True) if answer[:60] in log]


def test_default_run_reaches_for_no_other_machine(finished: Finished) -> None:
    project, _ = finished
    assert network_attempts(project) == ""


def test_adapter_loads_with_peft_alone(finished: Finished) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    project, _ = finished
    base = AutoModelForCausalLM.from_pretrained(project / "data/06_models/embedded-base")
    adapted = PeftModel.from_pretrained(base, newest(project, "06_models/embedded/adapter") / "adapter")
    assert adapted.peft_config["default"].r == 4


def break_json(raw: Path) -> None:
    file = raw / "embedded/genmedgpt5k/chatdoctor5k.json"
    file.write_bytes(file.read_bytes()[:5000])


def wrong_columns(raw: Path) -> None:
    (raw / "embedded/genmedgpt5k/chatdoctor5k.json").write_text(
        '[{"instruction": "a", "question": "b", "answer": "c"}]'
    )


def empty_corpus(raw: Path) -> None:
    (raw / "embedded/genmedgpt5k/chatdoctor5k.json").write_text("[]")


def other_corpora(raw: Path) -> None:
    """The layout of the publishers' files, which the default experiment must not take for the embedded ones."""
    for folder in (raw / "embedded").iterdir():
        folder.rename(raw / folder.name)


@pytest.mark.parametrize("harm", [break_json, wrong_columns, empty_corpus, other_corpora])
def test_bad_input_names_the_file_and_keeps_the_previous_version(
    finished: Finished, tmp_path: Path, harm: Callable[[Path], None], forked_kedro: KedroServer
) -> None:
    project, _ = finished
    before = artifacts(project)
    raw = tmp_path / "raw"
    shutil.copytree(ROOT / "data/01_raw/embedded", raw / "embedded")
    harm(raw)
    result = forked_kedro(project, "run", MED_LORA_RAW=str(raw))
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith("Error: ")
    sentence = result.stderr.split("Error: ")[-1].replace("\n", "")
    # records that are read and do not fit are told by the corpus's own name of the file
    place = "embedded/genmedgpt5k/chatdoctor5k.json" if harm is wrong_columns else str(raw)
    assert place in sentence
    assert harm is not other_corpora or "/raw/embedded/" in sentence.partition("does not exist")[0]
    # corpora that were read before the fault may have been parsed anew; nothing that is derived from all of them is
    assert not [path for path in artifacts(project) ^ before if "02_intermediate" not in path.parts]


@pytest.fixture(scope="module")
def site(finished: Finished) -> Path:
    """The lineage of the finished project, as files."""
    project, _ = finished
    result = build(project)
    assert result.returncode == 0, result.stderr[-3000:]
    return project / "build/lineage/embedded/api"


@pytest.fixture(scope="module")
def graph(site: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((site / "main").read_text())
    return content


def find(graph: dict[str, Any], name: str) -> str:
    (found,) = [node["id"] for node in graph["nodes"] if node["name"] == name]
    return str(found)


def test_layers_run_from_raw_to_reporting(graph: dict[str, Any]) -> None:
    assert graph["layers"] == LAYERS


def test_a_path_leads_from_a_raw_corpus_to_every_plot(graph: dict[str, Any]) -> None:
    reached = {find(graph, "raw_genmedgpt")}
    while further := {edge["target"] for edge in graph["edges"] if edge["source"] in reached} - reached:
        reached |= further
    plots = [node["id"] for node in graph["nodes"] if node["name"].endswith("_figure")]
    assert len(plots) > 5
    assert {*plots, find(graph, "report")} <= reached


def test_reasons_for_rejected_rows_are_shown(site: Path, graph: dict[str, Any]) -> None:
    preview = json.loads((site / "nodes" / find(graph, "row_outcomes")).read_text())["preview"]
    assert preview["columns"] == ["corpus", "rows_read", "stage", "outcome", "rows"]
    assert any("exact_duplicate" in row for row in preview["data"])


def test_lineage_holds_no_sentence_of_a_record(finished: Finished, site: Path) -> None:
    """Of six words or more, in the whole site."""
    project, _ = finished
    texts: set[str] = set()
    for file in (project / "data").glob("0[2-7]_*/embedded/**/*.parquet"):
        table = pd.read_parquet(file)
        texts.update(value for column in table for value in table[column] if isinstance(value, str))
    sentences = {words_of(sentence) for text in texts for sentence in re.split(r"(?<=[.!?])\s+|\n+", text)}
    sentences = {sentence for sentence in sentences if sentence.count(" ") >= 5}
    assert len(sentences) > 1000
    shown = " ".join(words_of(html.unescape(file.read_text())) for file in site.rglob("*") if file.is_file())
    assert not [len(sentence) for sentence in sentences if f" {sentence} " in f" {shown} "]


def words_of(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.replace("\\n", " ").lower()))
