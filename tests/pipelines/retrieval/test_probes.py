"""Fixed questions come to their passages as test questions do."""

from __future__ import annotations

from typing import Any

from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from med_lora.passages import PASSAGE_COLUMNS
from med_lora.pipelines.retrieval import create_pipeline
from med_lora.pipelines.retrieval.pipeline import RetrievalPlan
from tests import recipes

from .test_nodes import PROMPT, base_model, index

__all__ = ["base_model", "index"]  # fixtures
ADDED = {"probe_questions", "probe_retrieved", "grounded_probes", "probe_contexts"}


def test_probes_add_a_search_and_change_none() -> None:
    without, pipeline = (create_pipeline(RetrievalPlan(probes=probes)) for probes in (False, True))
    assert set(without.nodes) <= set(pipeline.nodes)
    assert pipeline.all_outputs() - without.all_outputs() == ADDED
    assert pipeline.inputs() - without.inputs() == {"params:probes"}
    searches = [node for node in pipeline.nodes if node.name in ("retrieve", "retrieve_probes")]
    assert [node.tags for node in searches] == [{"device"}] * 2


def test_passages_stand_in_front_of_the_question_they_were_found_for(index: Any, base_model: Any) -> None:
    given = {
        "params:probes": [{"name": "toe", "question": "What is gout?"}, {"name": "none", "question": "Zzz"}],
        "params:retrieval": recipes.retrieval(context_tokens=200),
        "params:hardware": recipes.hardware(),
        "params:evaluation": recipes.evaluation(),
        "params:prompt": PROMPT,
    }
    catalog = DataCatalog({name: MemoryDataset(value) for name, value in given.items()})
    for name, handle in (("passage_index", index), ("base_model", base_model)):
        catalog[name] = MemoryDataset(handle, copy_mode="assign")
    pipeline = create_pipeline(RetrievalPlan(encoded=False, probes=True))
    made = SequentialRunner().run(pipeline.to_outputs("grounded_probes").from_inputs("params:probes"), catalog)
    questions, contexts = made["grounded_probes"].load().to_pandas(), made["probe_contexts"].load()
    assert questions["id"].tolist() == ["toe", "none"]
    assert "Gout is a painful arthritis." in questions["question"][0]
    assert questions["question"][1] == "Zzz"
    assert set(contexts["id"]) == {"toe"}
    assert set(PASSAGE_COLUMNS) >= {"text", "id"} <= set(contexts)
