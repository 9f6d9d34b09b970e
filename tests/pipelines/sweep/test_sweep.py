"""The sweep as Kedro sees it, and runs through it: to the artifacts, to a failed point, and into a kill."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog
from kedro.runner import SequentialRunner

from med_lora.datasets.base_model import BaseModel
from med_lora.errors import InputError
from med_lora.parameters import SweepParams
from med_lora.pipelines.stages import Stages
from med_lora.pipelines.sweep import create_pipeline
from med_lora.pipelines.sweep.nodes import plan_sweep
from med_lora.trials import trial as trials
from tests.conftest import ROOT
from tests.trials.conftest import outcome_of, parameters

from .swept import ARTIFACTS, RANKS, catalog, run

POINTS = ["r_4", "r_8"]
SECTIONS = ("sweep", "model", "prompt", "training", "evaluation", "hardware")


def sweep(key: str, values: list[Any]) -> SweepParams:
    return SweepParams(grid={key: values}, design="full", objective="validation_loss")


def test_every_point_is_a_namespace() -> None:
    pipeline = create_pipeline(POINTS)
    for point in POINTS:
        inside = pipeline.only_nodes_with_namespaces([point])
        assert {node.name for node in inside.nodes} == {f"{point}.choose_settings", f"{point}.run_point"}
        assert inside.inputs() == {"sweep_plan", "base_model", "train", "validation", "sweep_work"}
        assert inside.outputs() == {f"{point}_trial", f"{point}_trial_history"}
    assert set(ARTIFACTS) <= pipeline.all_outputs()
    assert pipeline.inputs() == {
        *("base_model", "train", "validation", "sweep_work", "experiment_settings", "params:experiment"),
        *(f"params:{section}" for section in SECTIONS),
    }
    assert {node.namespace for node in pipeline.only_nodes_with_tags("device").nodes} == set(POINTS)


@pytest.mark.parametrize(
    ("handover", "inputs"), [("adapter", {"base_model", "domain_adapter"}), ("merged", {"domain_base"})]
)
def test_points_start_where_instruction_tuning_does(handover: Any, inputs: set[str]) -> None:
    found = create_pipeline(POINTS, Stages(handover=handover)).inputs()
    assert found & {"base_model", "domain_adapter", "domain_base"} == inputs


@pytest.mark.parametrize("node", create_pipeline(POINTS).nodes, ids=lambda node: node.name)
def test_annotations_resolve(node: Any) -> None:
    assert "return" in typing.get_type_hints(node.func)


def test_precisions_of_the_base_model_are_compared(
    base_model: BaseModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Full precision, 8 bits and 4 bits train from one base model, and the artifacts say which is best."""
    caplog.set_level(logging.INFO, "med_lora")
    grid = sweep("model.quantisation", ["none", "int8", "nf4"])
    found = run(grid, parameters(training__optimisation__epochs=1), base_model.source, tmp_path)
    table = found["sweep_trials"]
    assert set(table["model.quantisation"]) == {"none", "int8", "nf4"}
    assert set(table["state"]) == {"finished"}
    assert set(table["validation_pairs"]) == {5}
    assert table["value"].is_monotonic_increasing
    assert (table["value"] < table["validation_loss_before"]).all()
    assert table["validation_loss_before"].nunique() == 3
    best = yaml.safe_load(found["sweep_best"])
    assert best == {"description": "a test", "model": {"quantisation": table["model.quantisation"].iloc[0]}}
    assert set(found["sweep_histories"]["name"]) == set(table["name"])
    assert len(found["sweep_losses_figure"].data) == 3
    places = [message for message in caplog.messages if message.startswith("Point ") and message.endswith(".")]
    assert [message.split(":")[0] for message in places if "quantisation" in message] == [
        f"Point {place} of 3" for place in (1, 2, 3)
    ]


def test_a_failed_point_stands_in_the_table_and_the_others_go_on(
    base_model: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(job: Any) -> Any:
        if job.training.lora.r == 4:
            raise InputError("The training loss became nan.")
        return outcome_of(job)

    monkeypatch.setattr(trials, "train_on_rank", train)
    found = run(sweep("training.lora.r", [2, 4, 8]), parameters(), base_model.source, tmp_path)
    table = found["sweep_trials"]
    assert list(table["name"]) == ["r_8", "r_2", "r_4"]
    failed = table.iloc[-1]
    assert (failed["state"], failed["reason"]) == ("failed", "The training loss became nan.")
    assert pd.isna(failed["value"])
    assert set(found["sweep_histories"]["name"]) == {"r_2", "r_8"}


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        ({}, r"sweep\.grid is empty"),
        ({"training.max_length": [64, 80, 200]}, "max_length 200 and the base model has 128 positions"),
        ({"training.lora.r": [2, 0]}, "greater than 0"),
    ],
)
def test_a_wrong_grid_ends_the_run_before_the_first_training(
    base_model: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grid: dict[str, Any], sentence: str
) -> None:
    trained: list[Any] = []
    monkeypatch.setattr(trials, "train_on_rank", trained.append)
    given = SweepParams(grid=grid, design="full", objective="validation_loss")
    datasets: DataCatalog = catalog(given, parameters(), base_model.source, tmp_path)
    with pytest.raises(InputError, match=sentence):
        SequentialRunner().run(create_pipeline(["a_point"] if grid else []), datasets)
    assert trained == []


def test_several_machines_are_refused(base_model: BaseModel) -> None:
    given = parameters()
    sections = {name: getattr(given, name) for name in SECTIONS[1:]}
    sections["hardware"] = given.hardware.model_copy(update={"machines": 2})
    with pytest.raises(InputError, match=r"hardware\.machines is 2 and a point of a sweep trains on one machine"):
        plan_sweep(sweep("training.lora.r", [2, 4]), base_model=base_model, **sections)


def test_a_killed_sweep_goes_on_without_repeating_what_finished(
    base_model: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-m", "tests.pipelines.sweep.swept", base_model.source, str(tmp_path), "3"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    first = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert first.returncode == -9, first.stderr[-2000:]
    begun = [int(rank) for rank in (tmp_path / "trainings").read_text().split()]

    def train(job: Any) -> Any:
        begun.append(job.training.lora.r)
        return outcome_of(job)

    monkeypatch.setattr(trials, "train_on_rank", train)
    found = run(sweep("training.lora.r", RANKS), parameters(), base_model.source, tmp_path / "work")
    assert len(begun) == len(RANKS) + 1
    assert set(begun) == set(RANKS)
    assert begun[2] == begun[3]  # the one that was killed is the one done twice
    table = found["sweep_trials"]
    assert list(table["training.lora.r"]) == sorted(RANKS, reverse=True)
    assert set(table["state"]) == {"finished"}
