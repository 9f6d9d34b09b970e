"""The pipeline as Kedro sees it, and one run through it."""

from __future__ import annotations

import math
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner
from kedro_datasets.pandas import ParquetDataset

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.parameters import EvaluationParams, HardwareParams, PromptParams, TrainingParams
from med_lora.pipelines.evaluation.pipeline import create_check, create_pipeline
from med_lora.pipelines.stages import Stages
from tests import recipes

from .conftest import Table

PARAMETERS = {"params:prompt", "params:training", "params:evaluation", "params:model", "params:hardware"}


def test_inputs_outputs_and_names() -> None:
    pipeline = create_pipeline()
    assert pipeline.inputs() == {"base_model", "adapter", "train", "test"} | PARAMETERS
    arms = {f"{arm}_{table}" for arm in ("base", "tuned") for table in ("losses", "answers")}
    assert pipeline.all_outputs() == arms | {"checked_adapter", "scores", "comparison", "controls"}
    assert {node.name for node in pipeline.nodes} == {
        *(f"{arm}.{step}" for arm in ("base", "tuned") for step in ("measure_losses", "generate_answers")),
        "check_adapter",
        "score_answers",
        "compare_arms",
    }
    assert "adapter" not in pipeline.only_nodes_with_namespaces(["base"]).inputs()
    assert {node.name.split(".")[0] for node in pipeline.only_nodes_with_tags("device").nodes} == {"base", "tuned"}


@pytest.mark.parametrize(
    ("stages", "tuned", "base"),
    [
        (Stages("lora", "merged"), "adapter", "domain_base"),
        (Stages("lora", "adapter"), "adapter", "base_model"),
        (Stages("full"), "tuned_model", "base_model"),
        (Stages("full", "merged"), "tuned_model", "domain_base"),
    ],
)
def test_tuned_arm_is_what_the_last_stage_left(stages: Stages, tuned: str, base: str) -> None:
    pipeline = create_pipeline(stages)
    start = {"domain_adapter"} if stages.handover == "adapter" else set()
    saved = {"domain_model" if base == "domain_base" else base}
    assert pipeline.inputs() - PARAMETERS == {"base_model", tuned, "train", "test"} | saved | start
    checked = "tuned_base" if tuned == "tuned_model" else "checked_adapter"
    arm = pipeline.only_nodes_with_namespaces(["tuned"])
    assert arm.inputs() - PARAMETERS == {"test", checked} | ({base} if tuned == "adapter" else set())
    assert {"base_model", "test"} == pipeline.only_nodes_with_namespaces(["base"]).inputs() - PARAMETERS


@pytest.mark.parametrize(
    "node", [*create_pipeline().nodes, *create_check(Stages("full")).nodes], ids=lambda node: node.name
)
def test_annotations_resolve(node: Any) -> None:
    hints = typing.get_type_hints(node.func)
    assert {name.split(":")[1] for name in node.inputs if name.startswith("params:")} <= set(hints)


def test_importing_the_pipeline_imports_nothing_heavy() -> None:
    code = "import sys, med_lora.pipelines.evaluation.pipeline; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "peft", "scipy", "sacrebleu", "rouge_score", "datasets"} & set(modules)


def test_a_run(
    base_model: BaseModel,
    adapter: PretrainedFolder,
    test_split: Table,
    train_split: Table,
    prompt: PromptParams,
    training: TrainingParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
    tmp_path: Path,
) -> None:
    inputs = {
        "base_model": base_model,
        "adapter": adapter,
        "test": test_split,
        "train": train_split,
        "params:prompt": prompt,
        "params:training": training,
        "params:evaluation": evaluation,
        "params:model": recipes.model_params(),
        "params:hardware": hardware,
    }
    pipeline = create_pipeline()
    # tables on disk: a run lets go of intermediate tables in memory, and a file shows that their types survive
    tables = {
        name: ParquetDataset(filepath=str(tmp_path / f"{name}.parquet"))
        for name in pipeline.all_outputs() - {"checked_adapter"}
    }
    catalog = DataCatalog(
        {
            **{name: MemoryDataset(value) for name, value in inputs.items()},
            **tables,
            "checked_adapter": MemoryDataset(copy_mode="assign"),
        }
    )
    SequentialRunner().run(pipeline, catalog)
    comparison: pd.DataFrame = catalog.load("comparison").set_index("metric")
    losses = {arm: catalog.load(f"{arm}_losses") for arm in ("base", "tuned")}
    for arm, table in losses.items():
        entropy = table["nll"].sum() / table["tokens"].sum()
        assert comparison.loc["perplexity", arm] == pytest.approx(math.exp(entropy))
    assert not losses["base"].equals(losses["tuned"])
    finished = [catalog.load(f"{arm}_answers")["finish_reason"] == "eos" for arm in ("base", "tuned")]
    filled = [~catalog.load(f"{arm}_answers")["empty"] for arm in ("base", "tuned")]
    assert comparison.loc["rouge1", "n"] == (finished[0] & finished[1] & filled[0] & filled[1]).sum()
    assert set(catalog.load("controls")["arm"]) == {
        "shuffled_reference",
        "echoed_question",
        "nearest_training_answer",
        "constant_training_answer",
    }


def test_arms_are_quantised_as_the_model_was_trained(
    base_model: BaseModel,
    test_split: Table,
    prompt: PromptParams,
    training: TrainingParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
) -> None:
    found = {}
    for quantisation in ("none", "nf4"):
        inputs = {
            "base_model": base_model,
            "test": test_split,
            "params:prompt": prompt,
            "params:training": training,
            "params:evaluation": evaluation,
            "params:model": recipes.model_params(quantisation=quantisation),
            "params:hardware": hardware,
        }
        catalog = DataCatalog({name: MemoryDataset(value) for name, value in inputs.items()})
        (node,) = [node for node in create_pipeline().nodes if node.name == "base.measure_losses"]
        found[quantisation] = SequentialRunner().run(Pipeline([node]), catalog)["base_losses"].load()["nll"]
    assert (found["none"] - found["nf4"]).abs().max() > 0.01
