from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DataCatalog, Version
from kedro.pipeline import Pipeline, node
from kedro_datasets.json import JSONDataset
from kedro_datasets.text import TextDataset

from med_lora.runs.description import describe_run
from med_lora.runs.manifest import MANIFEST, RUNS
from tests.runs.sessions import chain, read, run_pipeline

FIRST, SECOND, THIRD = (f"2026-11-{day}T00.00.00.000Z" for day in (20, 21, 22))


def catalog(project: Path, run: str) -> DataCatalog:
    """Every dataset of a project, as a run sees it that saves versions of its own."""
    (project / "data").mkdir(exist_ok=True)
    (project / "data" / "raw.txt").write_text("raw")

    def versioned(name: str) -> TextDataset:
        return TextDataset(filepath=str(project / "data" / f"{name}.txt"), version=Version(None, run))

    datasets: dict[str, Any] = {name: versioned(name) for name in ("pairs", "adapter", "scores", "unrelated", "last")}
    datasets["raw"] = TextDataset(filepath=str(project / "data" / "raw.txt"))
    datasets["report_run"] = JSONDataset(filepath=str(project / "data" / "report_run.json"))
    return DataCatalog(datasets)


def described(project: Path, run: str, *nodes: Any, after: str) -> dict[str, Any]:
    """What a run that ends with a report says about itself."""
    last = node(describe_run, ["run_record", after], "report_run", name="describe_run")
    found = catalog(project, run)
    run_pipeline(project, Pipeline([*nodes, last]), found, run=run)
    content: dict[str, Any] = json.loads((project / "data" / "report_run.json").read_text())
    return content


def steps(description: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["run"], one["step"]) for one in description["steps"]]


def test_whole_run_lists_its_own_steps(tmp_path: Path) -> None:
    found = described(tmp_path, FIRST, *chain("raw", "pairs", "adapter", "scores").nodes, after="scores")
    assert steps(found) == [(FIRST, "make_pairs"), (FIRST, "make_adapter"), (FIRST, "make_scores")]
    assert [(one["dataset"], "files" in one) for one in found["inputs"]] == [("raw", False)]
    assert found["seconds"] == pytest.approx(sum(one["seconds"] for one in found["steps"]), abs=0.002)
    assert dict(found["packages"])["kedro"].startswith("1.")
    assert (found["id"], found["experiment"], found["note"]) == (FIRST, "tiny", "")
    assert found["machine"]["kind"] == found["steps"][0]["machine"]


def test_report_alone_lists_the_steps_of_the_runs_that_made_its_numbers(tmp_path: Path) -> None:
    trained = Pipeline([*chain("raw", "pairs", "in_memory", "adapter").nodes, *chain("raw", "unrelated").nodes])
    run_pipeline(tmp_path, trained, catalog(tmp_path, FIRST), run=FIRST)
    run_pipeline(tmp_path, chain("adapter", "scores"), catalog(tmp_path, SECOND), run=SECOND)
    found = described(tmp_path, THIRD, *chain("scores", "last").nodes, after="last")
    first = [(FIRST, "make_pairs"), (FIRST, "make_in_memory"), (FIRST, "make_adapter")]
    assert steps(found) == [*first, (SECOND, "make_scores"), (THIRD, "make_last")]
    assert [one["dataset"] for one in found["inputs"]] == ["raw"]


def test_report_on_a_pinned_version_follows_that_version(tmp_path: Path) -> None:
    for run in (FIRST, SECOND):
        run_pipeline(tmp_path, chain("raw", "pairs"), catalog(tmp_path, run), run=run)
    file = str(tmp_path / "data" / "pairs.txt")
    pinned = catalog(tmp_path, THIRD)
    pinned["pairs"] = TextDataset(filepath=file, version=Version(FIRST, THIRD))
    last = node(describe_run, ["run_record", "pairs"], "report_run", name="describe_run")
    run_pipeline(tmp_path, Pipeline([last]), pinned, run=THIRD)
    assert steps(json.loads((tmp_path / "data" / "report_run.json").read_text())) == [(FIRST, "make_pairs")]


def test_run_that_left_no_manifest_is_said(tmp_path: Path) -> None:
    run_pipeline(tmp_path, chain("raw", "pairs"), catalog(tmp_path, FIRST), run=FIRST)
    run_pipeline(tmp_path, chain("pairs", "scores"), catalog(tmp_path, SECOND), run=SECOND)
    shutil.rmtree(tmp_path / RUNS / FIRST)
    found = described(tmp_path, THIRD, *chain("scores", "last").nodes, after="last")
    assert steps(found) == [(SECOND, "make_scores"), (THIRD, "make_last")]
    assert found["note"] == f"Not counted are the steps of earlier runs that left no manifest: {FIRST}."
    assert [one["dataset"] for one in found["inputs"]] == ["pairs"]


def test_energy_is_the_sum_or_unknown(tmp_path: Path) -> None:
    run_pipeline(tmp_path, chain("raw", "pairs"), catalog(tmp_path, FIRST), run=FIRST)
    manifest = read(tmp_path, FIRST)
    manifest["nodes"][0]["joules"] = 7.0
    manifest["peak_memory"] = {"ram_gib": 1000.0, "gpu_gib": 9.0}
    (tmp_path / RUNS / FIRST / MANIFEST).write_text(json.dumps(manifest))
    alone = described(tmp_path, SECOND, after="pairs")
    assert alone["energy"]["joules"] == 7.0
    assert alone["peak_memory"] == {"ram_gib": 1000.0, "gpu_gib": 9.0}
    found = described(tmp_path, THIRD, *chain("pairs", "last").nodes, after="last")
    assert found["energy"]["joules"] is None
    assert found["energy"]["note"].startswith("1 of 2 steps have no measurement.")


def test_place_of_a_file_outside_the_project_is_not_told(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    found = catalog(project, FIRST)
    found["raw"] = TextDataset(filepath=str(tmp_path / "ward.txt"))
    (tmp_path / "ward.txt").write_text("raw")
    last = node(describe_run, ["run_record", "pairs"], "report_run", name="describe_run")
    run_pipeline(project, Pipeline([*chain("raw", "pairs").nodes, last]), found, run=FIRST)
    text = (project / "data" / "report_run.json").read_text()
    assert [entry["path"] for entry in json.loads(text)["inputs"]] == ["ward.txt"]
    assert str(tmp_path) not in text
