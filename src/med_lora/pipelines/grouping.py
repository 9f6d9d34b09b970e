"""Nodes by the step of an experiment they belong to, as namespaces that kedro-viz folds into one box each."""

from __future__ import annotations

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

_PIPELINES = "med_lora.pipelines."
# The step of a node is the pipeline whose package holds its function, but where one package serves several steps.
_STEPS = {
    "med_lora.models.session": "model_loading",
    "med_lora.retrieval": "retrieval",
    "med_lora.pipelines.stages": "continued_pretraining",
    "med_lora.pipelines.question_generation": "data_engineering",
    "med_lora.pipelines.canaries.insertion": "canary_insertion",  # the audit comes after training
    "med_lora.pipelines.evaluation.origin": "model_loading",
    "med_lora.pipelines.evaluation.controls": "scoring",
    "med_lora.pipelines.evaluation.scores": "scoring",
    "med_lora.pipelines.evaluation.probes": "scoring",
    "med_lora.pipelines.evaluation.losses": "arm_comparison",
    "med_lora.pipelines.evaluation.comparison": "arm_comparison",
    "med_lora.pipelines.reporting.figures": "figures",
    "med_lora.runs": "reporting",
}
# Nodes that read what their package makes only after another step, or share a function with one.
_STEPS_OF_NODES = {
    "discard_domain_checkpoints": "continued_pretraining",
    "judge_people_agreement": "judge",
    "list_probes": "probe_questions",  # before passages are sought and any arm is asked
}


def group(pipeline: Pipeline, name: str) -> Pipeline:
    """The nodes of a pipeline under a namespace, which is put before one that they have already.

    Names of datasets and parameters stay what they are: a catalog entry, ``--params`` and another pipeline's inputs
    mean the same with and without the namespace. kedro-viz folds away what only nodes of the namespace read.
    """
    return Pipeline(pipeline, namespace=name, prefix_datasets_with_namespace=False)


def group_by_step(pipeline: Pipeline) -> Pipeline:
    """Every node under the namespace of its step; the arms of the evaluation are steps of their own.

    The step depends on the node alone, so that pipelines that share nodes can still be added.
    """
    by_step: dict[str, list[Node]] = {}
    for node in pipeline.nodes:
        by_step.setdefault(_step_of(node), []).append(node)
    kept = Pipeline(by_step.pop("", []))
    return sum((group(Pipeline(nodes), step) for step, nodes in by_step.items()), kept)


def _step_of(node: Node) -> str:
    """The namespace to put a node under; "" for one that an arm's holds, or whose package is none of a step."""
    module = f"{node.func.__module__}."
    if node.namespace and module.startswith(f"{_PIPELINES}evaluation."):
        return ""
    if node.name in _STEPS_OF_NODES:
        return _STEPS_OF_NODES[node.name]
    for package, step in _STEPS.items():
        if module.startswith(f"{package}."):
            return step
    return module.removeprefix(_PIPELINES).split(".", 1)[0] if module.startswith(_PIPELINES) else ""
