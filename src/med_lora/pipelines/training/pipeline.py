"""Training: pairs and a base model to a LoRA adapter, or to a tuned model."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.stages import DEFAULT_STAGES, Stages
from med_lora.pipelines.training.nodes import discard_checkpoints, train_adapter


def create_pipeline(stages: Stages = DEFAULT_STAGES) -> Pipeline:
    """Base model, training pairs and ``validation`` to ``adapter`` (or ``tuned_model``) and ``training_history``.

    Empty where nothing is trained on pairs.
    """
    if not stages.on_pairs:
        return Pipeline([])
    inputs = {
        "base_model": stages.base,
        "train": stages.train,
        "validation": "validation",
        "prompt": "params:prompt",
        "model": "params:model",
        "training": "params:training",
        "hardware": "params:hardware",
        "checkpoints": "training_checkpoints",
    }
    if stages.start:
        inputs["start"] = stages.start
    return Pipeline(
        [
            node(
                train_adapter,
                inputs=inputs,
                outputs=[stages.tuned, "training_history"],
                name="train_model" if stages.method == "full" else "train_adapter",
                tags="device",
            ),
            node(
                discard_checkpoints,
                inputs=[stages.tuned, "training_history", "training_checkpoints"],
                outputs=None,
                name="discard_checkpoints",
            ),
        ]
    )
