"""Retrieval: sources to an index, test questions to passages, and questions that hold them."""

from __future__ import annotations

from typing import NamedTuple

from kedro.pipeline import Pipeline, node

from med_lora.errors import InputError
from med_lora.parameters import ProjectParams
from med_lora.pipelines.retrieval.measures import measure_retrieval
from med_lora.pipelines.retrieval.nodes import ground_questions, retrieve
from med_lora.pipelines.retrieval.sources import select_passages
from med_lora.retrieval.index import build_index


class RetrievalPlan(NamedTuple):
    """What an experiment decides about the shape of retrieval.

    Attributes:
        passages: whether passages of documents and pages are indexed.
        training_answers: whether answers of the training pairs are.
        encoded: whether a sentence encoder is asked.
    """

    passages: bool = True
    training_answers: bool = True
    encoded: bool = True


def retrieval_plan_of(parameters: ProjectParams) -> RetrievalPlan | None:
    """The plan of an experiment; None where ``retrieval.enabled`` is false.

    Raises:
        InputError: if passages are to be indexed and no corpus gives any.
    """
    given = parameters.retrieval
    if not given.enabled:
        return None
    plan = RetrievalPlan("passages" in given.sources, "training_answers" in given.sources, given.method != "bm25")
    corpora = parameters.data_engineering.corpora
    gives_passages = any(parameters.corpora[name].layout in ("documents", "pages") for name in corpora)
    if plan.passages and not gives_passages:
        raise InputError(
            "retrieval.sources names passages and none of data_engineering.corpora has any; add a corpus of layout "
            "documents or pages, or set the sources to [training_answers]."
        )
    return plan


def create_pipeline(plan: RetrievalPlan) -> Pipeline:
    """``test`` and the sources to ``grounded_test``, ``contexts`` and ``retrieval_metrics``."""
    given = {"passages": plan.passages, "train": plan.training_answers}
    sources = {name: name for name, is_indexed in given.items() if is_indexed}
    searched = {"retrieval": "params:retrieval", "hardware": "params:hardware"}
    searched |= {"retrieval_encoder": "retrieval_encoder"} if plan.encoded else {}
    found = {"test": "test", "passage_index": "passage_index", "retrieval": "params:retrieval"}
    asked = {"evaluation": "params:evaluation", "retrieved": "retrieved"}
    device = "device" if plan.encoded else None
    return Pipeline(
        [
            node(
                select_passages,
                inputs={"test": "test", "retrieval": "params:retrieval", **sources},
                outputs=["index_passages", "index_report"],
                name="select_passages",
            ),
            node(
                build_index,
                inputs={"index_passages": "index_passages", **searched},
                outputs="passage_index",
                name="build_index",
                tags=device,
            ),
            node(retrieve, inputs={**found, **searched}, outputs="retrieved", name="retrieve", tags=device),
            node(
                ground_questions,
                inputs={**found, **asked, "prompt": "params:prompt", "base_model": "base_model"},
                outputs=["grounded_test", "contexts"],
                name="ground_questions",
            ),
            node(
                measure_retrieval,
                inputs={**found, **asked},
                outputs="retrieval_metrics",
                name="measure_retrieval",
            ),
        ]
    )
