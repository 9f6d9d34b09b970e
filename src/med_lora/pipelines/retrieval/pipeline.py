"""Retrieval: sources to an index, test questions to passages, and questions that hold them."""

from __future__ import annotations

from typing import NamedTuple

from kedro.pipeline import Pipeline, node

from med_lora.errors import InputError
from med_lora.parameters import ProjectParams
from med_lora.pipelines.evaluation.probe_pipeline import create_probe_questions
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
        probes: whether there are fixed questions to find passages for, too.
    """

    passages: bool = True
    training_answers: bool = True
    encoded: bool = True
    probes: bool = False


def retrieval_plan_of(parameters: ProjectParams) -> RetrievalPlan | None:
    """The plan of an experiment; None where ``retrieval.enabled`` is false.

    Raises:
        InputError: if passages are to be indexed and no corpus gives any.
    """
    given = parameters.retrieval
    if not given.enabled:
        return None
    passages, answers = "passages" in given.sources, "training_answers" in given.sources
    plan = RetrievalPlan(passages, answers, given.method != "bm25", bool(parameters.probes))
    corpora = parameters.data_engineering.corpora
    gives_passages = any(parameters.corpora[name].layout in ("documents", "pages") for name in corpora)
    if plan.passages and not gives_passages:
        raise InputError(
            "retrieval.sources names passages and none of data_engineering.corpora has any; add a corpus of layout "
            "documents or pages, or set the sources to [training_answers]."
        )
    return plan


def create_pipeline(plan: RetrievalPlan) -> Pipeline:
    """``test`` and the sources to ``grounded_test``, ``contexts`` and ``retrieval_metrics``.

    Probes, where there are any, go to ``grounded_probes`` and ``probe_contexts`` the same way, unmeasured.
    """
    given = {"passages": plan.passages, "train": plan.training_answers}
    sources = {name: name for name, is_indexed in given.items() if is_indexed}
    encoder = {"retrieval_encoder": "retrieval_encoder"} if plan.encoded else {}
    searched = {"retrieval": "params:retrieval", "hardware": "params:hardware", **encoder}
    found = {"passage_index": "passage_index", "retrieval": "params:retrieval", "evaluation": "params:evaluation"}
    index = Pipeline(
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
                tags="device" if plan.encoded else None,
            ),
            node(
                measure_retrieval,
                inputs={**found, "test": "test", "retrieved": "retrieved"},
                outputs="retrieval_metrics",
                name="measure_retrieval",
            ),
        ]
    )
    of_test = _create_search("test", ["retrieved", "grounded_test", "contexts"], searched)
    if not plan.probes:
        return index + of_test
    outputs = ["probe_retrieved", "grounded_probes", "probe_contexts"]
    return index + of_test + create_probe_questions() + _create_search("probe_questions", outputs, searched, "_probes")


def _create_search(questions: str, outputs: list[str], searched: dict[str, str], ending: str = "") -> Pipeline:
    """Questions to the passages found for them, and to the questions that hold these.

    Args:
        questions: dataset with the questions.
        outputs: the passages found, the questions that hold them, and the passages as shown.
        searched: what a search takes besides.
        ending: of the names of the nodes.
    """
    given = {"test": questions, "passage_index": "passage_index"}
    asked = {"retrieval": "params:retrieval", "evaluation": "params:evaluation", "prompt": "params:prompt"}
    retrieved, *grounded = outputs
    return Pipeline(
        [
            node(
                retrieve,
                inputs=given | searched,
                outputs=retrieved,
                name=f"retrieve{ending}",
                tags="device" if "retrieval_encoder" in searched else None,
            ),
            node(
                ground_questions,
                inputs=given | asked | {"retrieved": retrieved, "base_model": "base_model"},
                outputs=grounded,
                name=f"ground_questions{ending}",
            ),
        ]
    )
