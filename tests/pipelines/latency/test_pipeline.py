from __future__ import annotations

import typing
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.pandas import CSVDataset

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.parameters import HardwareParams, LatencyParams, PromptParams
from med_lora.pipelines.latency import create_pipeline
from med_lora.pipelines.latency.nodes import COLUMNS
from med_lora.pipelines.stages import Stages
from tests import recipes
from tests.pipelines.evaluation.conftest import Table


@pytest.mark.parametrize(
    ("stages", "sessions"),
    [
        (Stages(), {"base_session", "checked_adapter"}),
        (Stages(handover="adapter"), {"base_session", "checked_adapter"}),
        (Stages(handover="merged"), {"base_session", "tuned_session", "checked_adapter"}),
        (Stages(method="full"), {"base_session", "tuned_session"}),
    ],
)
def test_both_arms_are_asked_in_every_plan(stages: Stages, sessions: set[str]) -> None:
    pipeline = create_pipeline(stages)
    probe = next(node for node in pipeline.nodes if node.name == "measure_latency")
    assert set(probe.inputs) == sessions | {"test", "params:prompt", "params:latency"}
    assert pipeline.outputs() == {"latency_figure"}
    assert {node.name for node in pipeline.only_nodes_with_tags("device").nodes} == {"measure_latency"}
    assert {"prompt", "latency"} <= set(typing.get_type_hints(probe.func))


def test_a_run(
    base_model: BaseModel,
    adapter: PretrainedFolder,
    test_split: Table,
    train_split: Table,
    prompt: PromptParams,
    hardware: HardwareParams,
    tmp_path: Path,
) -> None:
    inputs = {
        "base_model": base_model,
        "adapter": adapter,
        "test": test_split,
        "train": train_split,
        "params:prompt": prompt,
        "params:latency": LatencyParams(enabled=False, questions=2, warmup=1, new_tokens=3),
        "params:model": recipes.model_params(),
        "params:hardware": hardware,
    }
    handles = {name: MemoryDataset(copy_mode="assign") for name in ("base_session", "checked_adapter")}
    latency = CSVDataset(filepath=str(tmp_path / "latency.csv"), save_args={"index": False})
    figure = MemoryDataset()
    catalog = DataCatalog(
        {**{name: MemoryDataset(value) for name, value in inputs.items()}, **handles}
        | {"latency": latency, "latency_figure": figure}
    )
    SequentialRunner().run(create_pipeline(), catalog)
    table = latency.load()
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == COLUMNS
    assert list(table["arm"]) == ["base", "tuned"]
    assert figure.load().data
