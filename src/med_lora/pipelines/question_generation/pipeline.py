"""Question generation: passages to question-answer pairs that a language model writes."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.question_generation.nodes import generate_pairs_locally, generate_pairs_remotely

OUTPUTS = ["parsed_generated", "generation_report"]


def create_pipeline(*, local: bool) -> Pipeline:
    """``passages`` to ``parsed_generated`` and ``generation_report``.

    Args:
        local: ask ``question_model`` on this machine; else the server of ``question_generation.endpoint``.
    """
    inputs = {
        "parameters": "params:data_engineering.question_generation",
        "passages": "passages",
        "cache": "question_calls",
    }
    if not local:
        return Pipeline([node(generate_pairs_remotely, inputs=inputs, outputs=OUTPUTS, name="generate_pairs")])
    inputs |= {"question_model": "question_model", "hardware": "params:hardware"}
    return Pipeline(
        [node(generate_pairs_locally, inputs=inputs, outputs=OUTPUTS, name="generate_pairs", tags="device")]
    )
