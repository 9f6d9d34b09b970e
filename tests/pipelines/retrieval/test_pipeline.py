"""The shape of retrieval, by what an experiment sets."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest

from med_lora.errors import InputError
from med_lora.parameters import ProjectParams, parse_parameters
from med_lora.pipelines.retrieval import create_pipeline
from med_lora.pipelines.retrieval.pipeline import RetrievalPlan, retrieval_plan_of
from tests.experiments import base_parameters

PARAMETERS = {"params:retrieval", "params:hardware", "params:evaluation", "params:prompt"}
OUTPUTS = {
    "index_passages",
    "index_report",
    "passage_index",
    "retrieved",
    "grounded_test",
    "contexts",
    "retrieval_metrics",
}


def parameters(corpora: list[str], **changes: Any) -> ProjectParams:
    tree = {"experiment": "test", "description": "a test", **base_parameters()}
    tree["data_engineering"] = {**tree["data_engineering"], "corpora": corpora}
    tree["retrieval"] = {**tree["retrieval"], "enabled": True, **changes}
    return parse_parameters(tree)


@pytest.mark.parametrize(
    ("plan", "free"),
    [
        (RetrievalPlan(), {"test", "train", "passages", "retrieval_encoder", "base_model"}),
        (RetrievalPlan(passages=False), {"test", "train", "retrieval_encoder", "base_model"}),
        (RetrievalPlan(training_answers=False, encoded=False), {"test", "passages", "base_model"}),
    ],
)
def test_inputs_are_those_of_the_sources_and_the_method(plan: RetrievalPlan, free: set[str]) -> None:
    pipeline = create_pipeline(plan)
    assert pipeline.inputs() == free | PARAMETERS
    assert pipeline.all_outputs() == OUTPUTS
    assert all(
        ("device" in node.tags) == plan.encoded for node in pipeline.nodes if node.name in ("build_index", "retrieve")
    )


def test_annotations_of_all_nodes_resolve() -> None:
    # one that does not would silently switch off the check of typed parameters
    for node in create_pipeline(RetrievalPlan()).nodes:
        assert "retrieval" in get_type_hints(node.func)


def test_the_plan_follows_the_settings() -> None:
    assert retrieval_plan_of(parameters(["genmedgpt", "textbooks"])) == RetrievalPlan()
    plan = retrieval_plan_of(parameters(["genmedgpt"], sources=["training_answers"], method="bm25"))
    assert plan == RetrievalPlan(passages=False, encoded=False)
    assert retrieval_plan_of(parameters(["medical_terms"], sources=["passages"], method="dense")) == RetrievalPlan(
        training_answers=False
    )


def test_passages_that_no_corpus_gives_are_refused_only_where_they_are_needed() -> None:
    with pytest.raises(InputError, match=r"retrieval\.sources names passages.*training_answers"):
        retrieval_plan_of(parameters(["genmedgpt", "medquad"]))
    assert retrieval_plan_of(parameters(["genmedgpt", "medquad"], enabled=False)) is None
