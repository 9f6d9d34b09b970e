"""Pre-training: general text to a small base language model."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.pretraining.general_text import clean_general_text
from med_lora.pipelines.pretraining.model import pretrain_model, train_tokenizer


def create_pipeline() -> Pipeline:
    """``raw_general`` to ``pretrained_model`` and ``pretraining_history``."""
    return Pipeline(
        [
            node(
                clean_general_text,
                inputs=["raw_general", "params:pretraining"],
                outputs="general_text",
                name="clean_general_text",
            ),
            node(
                train_tokenizer,
                inputs=["general_text", "params:pretraining"],
                outputs="general_tokenizer",
                name="train_tokenizer",
            ),
            node(
                pretrain_model,
                inputs=["general_text", "general_tokenizer", "params:pretraining", "params:hardware"],
                outputs=["pretrained_model", "pretraining_history"],
                name="pretrain_model",
                tags="device",
            ),
        ]
    )
