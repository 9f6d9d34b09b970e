"""Merging: base model and adapter to one folder of safetensors."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.evaluation.pipeline import create_check
from med_lora.pipelines.merging.nodes import merge_adapter
from med_lora.pipelines.stages import DEFAULT_STAGES, Stages


def create_pipeline(stages: Stages = DEFAULT_STAGES) -> Pipeline:
    """The tuned adapter and the base model it stands on to ``merged_model`` and ``merge_check``.

    Empty after full fine-tuning: ``tuned_model`` is whole already.
    """
    if stages.method == "full":
        return Pipeline([])
    merged = node(
        merge_adapter,
        inputs={
            "base_model": stages.base,
            "adapter": "checked_adapter",
            "validation": "validation",
            "prompt": "params:prompt",
            "model": "params:model",
            "hardware": "params:hardware",
            "merging": "params:merging",
        },
        outputs=["merged_model", "merge_check"],
        name="merge_adapter",
        tags="device",
    )
    return create_check(stages) + Pipeline([merged])
