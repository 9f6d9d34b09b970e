"""Continued pre-training: passages and a base model to a domain adapter, or to a domain model."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline, node

from med_lora.pipelines.continued_pretraining.nodes import merge_domain_adapter, train_domain_adapter
from med_lora.pipelines.stages import DEFAULT_STAGES, Stages, create_base
from med_lora.pipelines.training.nodes import discard_checkpoints


def create_pipeline(stages: Stages = DEFAULT_STAGES) -> Pipeline:
    """``base_model`` and ``passages`` to ``domain_adapter``, and with handover merged to ``domain_base``.

    Empty where the experiment has no such stage.
    """
    if stages.handover is None:
        return Pipeline([])
    nodes = [
        node(
            train_domain_adapter,
            inputs={
                "base_model": "base_model",
                "passages": "passages",
                "model": "params:model",
                "params": "params:continued_pretraining",
                "hardware": "params:hardware",
                "checkpoints": "domain_checkpoints",
            },
            outputs=["domain_adapter", "domain_history"],
            name="train_domain_adapter",
            tags="device",
        ),
        node(
            discard_checkpoints,
            inputs=["domain_adapter", "domain_history", "domain_checkpoints"],
            outputs=None,
            name="discard_domain_checkpoints",
        ),
    ]
    if stages.handover == "merged":
        nodes.append(_merging_node())
    return Pipeline(nodes) + create_base(stages)


def _merging_node() -> Node:
    return node(
        merge_domain_adapter,
        inputs={
            "base_model": "base_model",
            "adapter": "domain_adapter",
            "passages": "passages",
            "model": "params:model",
            "hardware": "params:hardware",
            "merging": "params:merging",
        },
        outputs=["domain_model", "domain_merge_check"],
        name="merge_domain_adapter",
        tags="device",
    )
