"""The nodes around what the arms answer to the fixed questions."""

from __future__ import annotations

from collections.abc import Sequence

from kedro.pipeline import Pipeline, node

from med_lora.arms import RAG_ARMS
from med_lora.pipelines.evaluation.probes import collect_probes, list_probes


def create_probe_questions() -> Pipeline:
    """``probes`` to ``probe_questions``, which are not saved: every pipeline that asks them holds this node."""
    return Pipeline([node(list_probes, inputs="params:probes", outputs="probe_questions", name="list_probes")])


def create_probes(arms: Sequence[str]) -> Pipeline:
    """The questions, and the ``*_probe_answers`` of all arms to ``probe_answers``; nothing is scored."""
    answers = {"probes": "probe_questions"} | {arm: f"{arm}_probe_answers" for arm in arms}
    answers |= {"probe_contexts": "probe_contexts"} if set(arms) & set(RAG_ARMS) else {}
    collect = node(collect_probes, inputs=answers, outputs="probe_answers", name="collect_probes")
    return create_probe_questions() + Pipeline([collect])
