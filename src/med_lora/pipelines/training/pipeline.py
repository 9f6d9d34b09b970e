"""Training: pairs and a base model to a LoRA adapter."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.training.nodes import train_adapter


def create_pipeline() -> Pipeline:
    """``base_model``, ``train`` and ``validation`` to ``adapter`` and ``training_history``."""
    return Pipeline(
        [
            node(
                train_adapter,
                inputs=["base_model", "train", "validation", "params:prompt", "params:training", "params:hardware"],
                outputs=["adapter", "training_history"],
                name="train_adapter",
                tags="device",
            )
        ]
    )
