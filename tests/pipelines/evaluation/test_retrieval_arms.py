"""The arms that are given passages, as Kedro sees them, and one run through all four."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner
from kedro.validation.type_extractor import TypeExtractor
from kedro_datasets.pandas import ParquetDataset

from med_lora.arms import ARMS, RAG_ARMS
from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.datasets.work_folder import WorkFolder
from med_lora.parameters import EvaluationParams, HardwareParams, PromptParams, TrainingParams
from med_lora.pipelines.evaluation.pipeline import Measures, create_pipeline
from med_lora.pipelines.stages import Stages
from tests import recipes

from .conftest import Table

TABLES = ("losses", "batch_losses", "answers")
HANDLES = {"checked_adapter", "base_session"}


def pick(pipeline: Pipeline, name: str) -> Any:
    (found,) = [node for node in pipeline.nodes if node.name == name]
    return found


def test_passages_add_two_arms_their_grounding_and_their_comparison() -> None:
    without, pipeline = create_pipeline(), create_pipeline(retrieval=True)
    journals = {f"{arm}_journal" for arm in RAG_ARMS}
    assert pipeline.inputs() - without.inputs() == {"grounded_test", "contexts"} | journals
    assert without.inputs() <= pipeline.inputs()
    added = {f"{arm}_{table}" for arm in RAG_ARMS for table in TABLES}
    added |= {"grounding_scores", "grounding_metrics", "retrieval_comparison"}
    assert pipeline.all_outputs() - without.all_outputs() == added
    steps = {node.name.split(".")[1] for node in pipeline.only_nodes_with_namespaces(["base_rag"]).nodes}
    assert steps == {"measure_losses", "generate_answers", "discard_journal"}  # general English has no question
    assert pick(pipeline, "compare_arms").inputs == pick(without, "compare_arms").inputs


@pytest.mark.parametrize("stages", [Stages(), Stages("full"), Stages(handover="merged")])
@pytest.mark.parametrize("engine", ["transformers", "openai"])
def test_an_arm_with_passages_is_the_same_model_asked_otherwise(stages: Stages, engine: Any) -> None:
    pipeline = create_pipeline(stages, Measures(engine), retrieval=True)
    answer = "ask_server" if engine == "openai" else "generate_answers"
    for arm in ("base", "tuned"):
        for step in ("measure_losses", answer):
            plain, grounded = (pick(pipeline, f"{name}.{step}") for name in (arm, f"{arm}_rag"))
            assert grounded.func is plain.func
            renamed = {"test": "grounded_test", f"{arm}_journal": f"{arm}_rag_journal"}
            assert grounded.inputs == [renamed.get(name, name) for name in plain.inputs]


def test_parameters_of_nodes_with_named_tables_are_typed() -> None:
    pipeline = create_pipeline(retrieval=True)
    nodes = {name: pick(pipeline, name) for name in ("collect_texts", "compare_retrieval")}
    for node in nodes.values():
        assert TypeExtractor({})._extract_types_from_node(node) == {"evaluation": EvaluationParams}
    found = TypeExtractor({"evaluation": pipeline}).extract_types_from_pipelines()
    assert found["evaluation"] is EvaluationParams


@pytest.fixture
def inputs(
    base_model: BaseModel,
    adapter: PretrainedFolder,
    test_split: Table,
    train_split: Table,
    prompt: PromptParams,
    training: TrainingParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
    tmp_path: Path,
) -> dict[str, Any]:
    """Passages that hold the answer to every question but the last, for which nothing was found."""
    pairs = test_split.frame
    shown = pairs["answer"].iloc[:-1]
    contexts = pd.DataFrame({"id": list(pairs["id"])[:-1], "place": 1, "passage": "p", "text": list(shown)})
    grounded = [f"{text}\n\n{question}" for text, question in zip([*shown, ""], pairs["question"], strict=True)]
    english = pd.DataFrame({"file": ["letter.md"], "text": ["The train was late, so we walked along the river."]})
    journals = {f"{arm}_journal": WorkFolder(tmp_path / f"{arm}_journal") for arm in ARMS}
    for journal in journals.values():
        Path(journal.path).mkdir()
    return {
        "base_model": base_model,
        "adapter": adapter,
        "test": test_split,
        "train": train_split,
        "grounded_test": Table(pairs.assign(question=grounded)),
        "contexts": contexts.assign(citation="Book, p. 1", tokens=9, cut=False),
        "general_english": english,
        "params:prompt": prompt,
        "params:training": training,
        "params:evaluation": evaluation.model_copy(update={"exclude": []}),
        "params:model": recipes.model_params(),
        "params:hardware": hardware,
        **journals,
    }


def run(inputs: dict[str, Any], folder: Path) -> DataCatalog:
    """The catalog after a run, whose tables lie in ``folder``."""
    pipeline = create_pipeline(retrieval=True)
    files = pipeline.all_outputs() - HANDLES
    catalog = DataCatalog(
        {name: MemoryDataset(value) for name, value in inputs.items()}
        | {name: ParquetDataset(filepath=str(folder / f"{name}.parquet")) for name in files}
        | {name: MemoryDataset(copy_mode="assign") for name in HANDLES}
    )
    SequentialRunner().run(pipeline, catalog)
    return catalog


def test_a_run_of_four_arms(inputs: dict[str, Any], tmp_path: Path) -> None:
    catalog = run(inputs, tmp_path)
    losses = {arm: catalog.load(f"{arm}_losses") for arm in ARMS}
    assert len({tuple(table["tokens"]) for table in losses.values()}) == 1
    assert len({tuple(table["nll"]) for table in losses.values()}) == 4
    found = catalog.load("retrieval_comparison").set_index(["reference", "arm", "metric"])
    row = found.loc[("tuned", "tuned_rag", "perplexity")]
    assert row["arm_mean"] == pytest.approx(
        math.exp(losses["tuned_rag"]["nll"].sum() / losses["tuned_rag"]["tokens"].sum())
    )
    assert (found.loc[("base", "base_rag", "rouge1"), ["n", "groups"]] == 7).all()
    scores = catalog.load("scores")
    scored = scores[scores["score"].notna()].groupby("metric")["arm"].agg(set)
    everywhere = {metric for metric, arms in scored.items() if set(ARMS) <= arms}
    assert {"cross_entropy", "rougeL", "length_ratio", "disclaimer", "copied_words", "answer_cut"} <= everywhere
    assert set(catalog.load("grounding_metrics")["name"]) <= set(scores["metric"])
    assert {"retrieved_passage", "retrieved_passage_matched", *RAG_ARMS} <= set(catalog.load("corpus_scores")["arm"])
    assert set(catalog.load("grounding_metrics")["name"]).isdisjoint(catalog.load("comparison")["metric"])
    assert not list(tmp_path.glob("*_journal/*"))
