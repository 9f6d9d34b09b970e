"""Runs go into a database for MLflow once, without text of records and without a call to any network."""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from med_lora.datasets import MlflowRunsDataset, RunsDataset
from med_lora.errors import InputError
from med_lora.pipelines.comparison import create_pipeline
from med_lora.pipelines.comparison.exports import export_to_mlflow

from .made_runs import compare_runs, make_run

FIRST, SECOND = "2026-11-20T01.00.00.000Z", "2026-11-20T02.00.00.000Z"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_run(tmp_path, FIRST, 0.1, name="first")
    make_run(tmp_path, SECOND, 0.2, changes={"training.lora.r": 8, "training.lora.target_modules": ["x" * 600]})
    return tmp_path


def select(project: Path, statement: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(project / "mlflow.db") as connection:
        return connection.execute(statement).fetchall()


def test_the_node_is_there_only_where_it_is_asked_for() -> None:
    assert "mlflow_export" not in create_pipeline().all_outputs()
    assert "mlflow_export" in create_pipeline(mlflow=True).all_outputs()


def test_folder_of_a_model_and_system_text_stay_here(project: Path) -> None:
    manifest = project / "runs" / FIRST / "manifest.json"
    run = json.loads(manifest.read_text())
    run["parameters"]["prompt"] = {"template": "plain", "system": "You answer for ward 7."}
    run["parameters"]["model"]["id"] = "/home/jane/models/tiny"
    manifest.write_text(json.dumps(run))
    tables = compare_runs(project, "compared_runs", "run_means")
    exports = export_to_mlflow(RunsDataset(filepath=str(project / "runs")).load(), **tables)
    params = next(export["params"] for export in exports if export["run_id"] == FIRST)
    assert (params["model.id"], params["prompt.template"]) == ("tiny", "plain")
    assert not any(text in json.dumps(exports) for text in ("ward 7", "/home/jane"))


def test_a_missing_mlflow_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(InputError, match=r"run `pip install -e \.\[mlflow\]`, or set it to null") as raised:
        MlflowRunsDataset(filepath=str(tmp_path / "mlflow.db")).save([])
    assert str(raised.value).count(".") == 3  # of comparison.mlflow, of -e ., and the last


def test_runs_are_exported_once_without_network_and_text(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    called: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: called.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: called.append(address))
    monkeypatch.chdir(project)
    for _ in range(2):
        compare_runs(project, "mlflow_export", "leaderboard", mlflow=True)
    assert called == []
    tags = dict(select(project, "select value, run_uuid from tags where key = 'med_lora.run_id'"))
    assert sorted(tags) == [FIRST, SECOND]
    assert select(project, "select count(*) from runs") == [(2,)]
    params = dict(select(project, f"select key, value from params where run_uuid = '{tags[SECOND]}'"))
    assert params["training.lora.r"] == "8"
    assert len(params["training.lora.target_modules"]) == 500
    assert "training.lora.target_modules" in caplog.text
    metrics = dict(select(project, f"select key, value from metrics where run_uuid = '{tags[FIRST]}'"))
    assert metrics["tuned_rougeL_low"] < metrics["tuned_rougeL"] < metrics["tuned_rougeL_high"]
    assert b"a:0001" not in (project / "mlflow.db").read_bytes()  # an id of a test pair
    assert sorted(path.name for path in project.iterdir()) == ["data", "mlflow.db", "runs"]
