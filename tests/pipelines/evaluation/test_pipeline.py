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
from med_lora.datasets.work_folder import WorkFolder
from med_lora.parameters import EvaluationParams, HardwareParams, PromptParams, TrainingParams
from med_lora.pipelines.evaluation.pipeline import Measures, create_check, create_pipeline
from med_lora.pipelines.stages import Stages
from tests import recipes

from .conftest import Table

PARAMETERS = {"params:prompt", "params:training", "params:evaluation", "params:model", "params:hardware"}


JOURNALS = {"base_journal", "tuned_journal"}
GIVEN = {"base_model", "train", "test", "general_english"} | JOURNALS
HANDLES = {"checked_adapter", "base_session"}
ARM_STEPS = {"measure_losses", "measure_general_text", "generate_answers", "discard_journal"}
ARM_TABLES = {"losses", "batch_losses", "general_losses", "answers"}
TABLES = {
    *("arm_texts", "overlap_statistics", "scores", "metrics", "corpus_scores", "comparison", "controls"),
    *("forgetting", "as_published", "pair_traits", "subgroups"),
    *(
        f"{kind}_{table}"
        for kind in ("overlap", "conduct", "choice", "copying", "fact")
        for table in ("scores", "metrics")
    ),
}


def test_inputs_outputs_and_names() -> None:
    pipeline = create_pipeline()
    assert pipeline.inputs() == GIVEN | {"adapter"} | PARAMETERS
    arms = {f"{arm}_{table}" for arm in ("base", "tuned") for table in ARM_TABLES}
    assert pipeline.all_outputs() == arms | TABLES | {"checked_adapter", "base_session"}
    names = {node.name for node in pipeline.nodes}
    assert {f"{arm}.{step}" for arm in ("base", "tuned") for step in ARM_STEPS} <= names
    assert {"check_adapter", "open_base_session", "collect_texts", "collect_scores", "compare_arms"} <= names
    assert "adapter" not in pipeline.only_nodes_with_namespaces(["base"]).inputs()
    assert {node.name.split(".")[0] for node in pipeline.only_nodes_with_tags("device").nodes} == {"base", "tuned"}


def test_metrics_that_need_an_encoder_are_there_where_one_is_named() -> None:
    extra = create_pipeline(measures=Measures(bert_score=True, embedding=True))
    assert extra.inputs() - create_pipeline().inputs() == {"bert_encoder", "sentence_encoder"}
    (collected,) = [node for node in extra.nodes if node.name == "collect_scores"]
    assert {"bert_scores", "bert_metrics", "embedding_scores", "embedding_metrics"} <= set(collected.inputs)


def test_a_server_is_asked_instead_of_the_weights_but_measured_are_the_weights() -> None:
    pipeline = create_pipeline(measures=Measures(engine="openai"))
    nodes = {node.name: node for node in pipeline.nodes}
    assert not {"base.generate_answers", "tuned.generate_answers"} & set(nodes)
    assert "checked_adapter" in nodes["tuned.ask_server"].inputs
    assert "checked_adapter" not in nodes["base.ask_server"].inputs
    assert "base_session" in nodes["base.measure_losses"].inputs


@pytest.mark.parametrize(
    ("stages", "tuned", "base", "session"),
    [
        (Stages(), "adapter", "base_model", "base_session"),
        (Stages("lora", "merged"), "adapter", "domain_base", "tuned_session"),
        (Stages("lora", "adapter"), "adapter", "base_model", "base_session"),
        (Stages("full"), "tuned_model", "base_model", "tuned_session"),
        (Stages("full", "merged"), "tuned_model", "domain_base", "tuned_session"),
    ],
)
def test_tuned_arm_is_what_the_last_stage_left(stages: Stages, tuned: str, base: str, session: str) -> None:
    pipeline = create_pipeline(stages)
    start = {"domain_adapter"} if stages.handover == "adapter" else set()
    saved = {"domain_model" if base == "domain_base" else base}
    assert pipeline.inputs() - PARAMETERS == GIVEN | {tuned} | saved | start
    checked = {"checked_adapter"} if tuned == "adapter" else set()
    arm = pipeline.only_nodes_with_namespaces(["tuned"])
    asked = {"test", "general_english"}
    assert arm.inputs() - PARAMETERS == asked | {"tuned_journal", session} | checked
    of_base = pipeline.only_nodes_with_namespaces(["base"]).inputs() - PARAMETERS
    assert of_base == asked | {"base_journal", "base_session"}
    if session == "tuned_session":
        (opened,) = [node for node in pipeline.nodes if node.name == "open_tuned_session"]
        assert opened.inputs[0] == ("tuned_base" if stages.method == "full" else base)


@pytest.mark.parametrize("stages", [Stages(), Stages("full"), Stages(handover="merged")])
def test_no_weights_are_asked_before_training_is_done(stages: Stages) -> None:
    """A base model that answered first would lie in memory while another copy of it is trained."""
    before = create_pipeline(stages).to_outputs("checked_adapter" if stages.method == "lora" else "tuned_base")
    assert not [node.name for node in before.nodes if node.name.startswith(("base.", "tuned.", "open_"))]


def test_training_with_canaries_is_what_the_adapter_is_checked_against() -> None:
    (check,) = [node for node in create_check(Stages(canaries=True)).nodes if node.name == "check_adapter"]
    assert "canaried_train" in check.inputs
    assert "train" not in check.inputs


@pytest.mark.parametrize(
    "node",
    [*create_pipeline(retrieval=True).nodes, *create_check(Stages("full")).nodes],
    ids=lambda node: node.name,
)
def test_annotations_resolve(node: Any) -> None:
    hints = typing.get_type_hints(node.func)
    assert {name.split(":")[1] for name in node.inputs if name.startswith("params:")} <= set(hints)


def test_importing_the_pipeline_imports_nothing_heavy() -> None:
    code = "import sys, med_lora.pipelines.evaluation.pipeline; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "peft", "scipy", "sacrebleu", "rouge_score", "datasets", "nltk"} & set(modules)


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
        "general_english": pd.DataFrame(
            [("letter.md", "The train was late, so we walked along the river and talked about the garden.")],
            columns=["file", "text"],
        ),
        **{name: WorkFolder(tmp_path / name) for name in JOURNALS},
        "params:prompt": prompt,
        "params:training": training,
        "params:evaluation": evaluation,
        "params:model": recipes.model_params(),
        "params:hardware": hardware,
    }
    pipeline = create_pipeline()
    # tables on disk: a run lets go of intermediate tables in memory, and a file shows that their types survive
    tables = {
        name: ParquetDataset(filepath=str(tmp_path / f"{name}.parquet")) for name in pipeline.all_outputs() - HANDLES
    }
    for journal in JOURNALS:
        (tmp_path / journal).mkdir()
    catalog = DataCatalog(
        {
            **{name: MemoryDataset(value) for name, value in inputs.items()},
            **tables,
            **{name: MemoryDataset(copy_mode="assign") for name in HANDLES},
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
    names = {"shuffled_reference", "echoed_question", "nearest_training_answer", "constant_best_answer"}
    controls = names | {f"{name}_matched" for name in names} | {"empty_answer"}
    assert set(catalog.load("controls")["arm"]) == controls
    assert not list(tmp_path.glob("*_journal/*"))


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
        catalog["base_session"] = MemoryDataset(copy_mode="assign")
        catalog["checked_adapter"] = MemoryDataset("of no account to the base arm")
        nodes = [node for node in create_pipeline().nodes if node.name in ("open_base_session", "base.measure_losses")]
        found[quantisation] = SequentialRunner().run(Pipeline(nodes), catalog)["base_losses"].load()["nll"]
    assert (found["none"] - found["nf4"]).abs().max() > 0.01
