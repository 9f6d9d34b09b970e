"""Fixed questions are asked of every arm as test questions are, and their answers stand side by side unscored."""

from __future__ import annotations

import math
import typing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.datasets.table import TableDataset
from med_lora.datasets.work_folder import WorkFolder
from med_lora.models.session import open_session
from med_lora.parameters import EvaluationParams, HardwareParams, PromptParams
from med_lora.pipelines.evaluation.answers.generation import generate_answers
from med_lora.pipelines.evaluation.pipeline import Measures, create_pipeline
from med_lora.pipelines.evaluation.probe_pipeline import create_probes
from med_lora.pipelines.evaluation.probes import COLUMNS, collect_probes, list_probes
from tests import recipes

from .conftest import Table

PROBES = [
    {"name": "rest", "question": "When should a sprained ankle be rested?\n"},
    {"name": "cough", "question": "What treats a dry cough?"},
]
CONTEXTS = pd.DataFrame(
    {
        "id": ["cough", "cough"],
        "place": [2, 1],
        "citation": ["Lungs, p. 9", "Throats, p. 3"],
        "text": ["Steam may help.", "Honey soothes a dry cough."],
    }
)


def make_answers(rest: str, cough: str) -> pd.DataFrame:
    """In another order than the probes."""
    table = pd.DataFrame({"id": ["cough", "rest"], "answer": [cough, rest], "new_tokens": [7, 5]})
    return table.assign(finish_reason=["length", "eos"], prompt_truncated=[False, True])


@pytest.fixture
def collected() -> pd.DataFrame:
    return collect_probes(
        list_probes(PROBES),
        CONTEXTS,
        tuned_rag=make_answers("Rest it.", "Take honey [1]."),
        base=make_answers("I do not know.", "Honey [1]."),
        tuned=make_answers("", "Honey and tea."),
        base_rag=make_answers("A week.", "Honey [3]."),
    )


def test_probes_are_a_split_without_references() -> None:
    questions = list_probes(PROBES).to_pandas()
    assert questions["id"].tolist() == ["rest", "cough"]
    assert questions["question"].tolist() == [probe["question"].strip() for probe in PROBES]
    assert set(questions["answer"]) == {""}


def test_rows_are_in_the_order_of_probes_and_arms(collected: pd.DataFrame, tmp_path: Path) -> None:
    arms = ["base", "tuned", "base_rag", "tuned_rag"]
    assert list(zip(collected["number"], collected["probe"], collected["arm"], strict=True)) == [
        (number, probe, arm) for number, probe in ((1, "rest"), (2, "cough")) for arm in arms
    ]
    assert {name: str(kind) for name, kind in collected.dtypes.items()} == COLUMNS
    dataset = TableDataset(filepath=str(tmp_path / "probe_answers"))
    dataset.save(collected)
    pd.testing.assert_frame_equal(dataset.load(), collected)


def test_facts_of_an_answer_need_no_reference(collected: pd.DataFrame) -> None:
    of = collected.set_index(["probe", "arm"])
    assert of.loc[("rest", "base"), ["words", "refusal"]].tolist() == [4, 1.0]
    assert of.loc[("rest", "tuned"), ["words", "refusal", "answer"]].tolist() == [0, 0.0, ""]
    assert of.loc[("cough", "tuned"), ["words", "new_tokens", "finish_reason"]].tolist() == [3, 7, "length"]
    assert of["prompt_truncated"].groupby("probe").all().to_dict() == {"cough": False, "rest": True}


def test_only_arms_with_passages_can_cite_some(collected: pd.DataFrame) -> None:
    of = collected.set_index(["probe", "arm"])
    assert of.loc[("cough", "tuned_rag"), "cites_passage"] == 1.0
    assert of.loc[("cough", "base_rag"), "cites_passage"] == 0.0  # there is no third
    assert of.loc[("cough", "tuned_rag"), "sources"] == "[1] Throats, p. 3; [2] Lungs, p. 9"
    assert of.loc[("cough", "tuned_rag"), "passages"] == 2
    for without in (("cough", "base"), ("rest", "tuned_rag")):  # an arm that is given none, and nothing found
        assert of.loc[without, ["passages", "sources"]].tolist() == [0, ""]
        assert math.isnan(of.loc[without, "cites_passage"])


def test_no_node_of_the_scores_changes() -> None:
    without, pipeline = create_pipeline(retrieval=True), create_pipeline(measures=Measures(probes=True), retrieval=True)
    added = set(pipeline.nodes) - set(without.nodes)
    assert set(without.nodes) <= set(pipeline.nodes)
    assert {node.name.split(".")[-1] for node in added} == {
        *("list_probes", "collect_probes", "generate_probe_answers", "discard_probe_journal")
    }
    for node in added:
        names = {name.split(":")[1] for name in node.inputs if name.startswith("params:")}
        assert names <= set(typing.get_type_hints(node.func))


@pytest.mark.parametrize(("engine", "step"), [("transformers", "generate"), ("openai", "ask")])
def test_every_arm_is_asked_by_what_answers_the_test(engine: Any, step: str) -> None:
    pipeline = create_pipeline(measures=Measures(engine, probes=True), retrieval=True)
    nodes = {node.name: node for node in pipeline.nodes}
    names = {"generate": ("generate_answers", "generate_probe_answers"), "ask": ("ask_server", "ask_probe_server")}
    for arm in ("base", "tuned", "base_rag", "tuned_rag"):
        on_test, on_probes = (nodes[f"{arm}.{name}"] for name in names[step])
        asked = {
            "test": "probe_questions",
            "grounded_test": "grounded_probes",
            f"{arm}_journal": f"{arm}_probe_journal",
        }
        assert on_probes.func is on_test.func
        assert on_probes.tags == on_test.tags
        assert on_probes.inputs == [asked.get(name, name) for name in on_test.inputs]


def test_a_run_over_both_arms(
    base_model: BaseModel,
    adapter: PretrainedFolder,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
    tmp_path: Path,
) -> None:
    session = open_session(base_model, recipes.model_params(), hardware)
    given = {"params:probes": PROBES, "params:prompt": prompt, "params:evaluation": evaluation}
    for arm in ("base", "tuned"):
        (tmp_path / arm).mkdir()
        given[f"{arm}_probe_journal"] = WorkFolder(tmp_path / arm)
    catalog = DataCatalog({name: MemoryDataset(value) for name, value in given.items()})
    for name, handle in (("base_session", session), ("checked_adapter", adapter)):
        catalog[name] = MemoryDataset(handle, copy_mode="assign")
    asking = [node for node in create_pipeline(measures=Measures(probes=True)).nodes if "_probe_" in node.name]
    pipeline = Pipeline(asking) + create_probes(("base", "tuned"))
    answers = SequentialRunner().run(pipeline, catalog)["probe_answers"].load()
    assert [*(tmp_path / "base").iterdir(), *(tmp_path / "tuned").iterdir()] == []
    texts = [probe["question"].strip() for probe in PROBES]
    asked = Table(pd.DataFrame({"id": ["a", "b"], "question": texts, "answer": ["x", "y"]}))
    for arm, own in (("base", None), ("tuned", adapter)):
        expected = generate_answers(session, asked, prompt, evaluation, WorkFolder(tmp_path), own)
        found = answers[answers["arm"] == arm]
        for column in ("answer", "new_tokens", "finish_reason"):
            assert found[column].tolist() == expected[column].tolist()
