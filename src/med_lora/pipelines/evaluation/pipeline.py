"""Evaluation: both arms on the test pairs, their scores beside null controls, and the comparison."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.evaluation.arms import check_adapter
from med_lora.pipelines.evaluation.comparison import compare_arms
from med_lora.pipelines.evaluation.generation import generate_answers
from med_lora.pipelines.evaluation.losses import measure_losses
from med_lora.pipelines.evaluation.scoring import score_answers


def create_pipeline() -> Pipeline:
    """``base_model``, ``adapter``, ``train`` and ``test`` to the tables of each arm, ``scores`` and ``comparison``."""
    return Pipeline(
        [
            node(
                check_adapter,
                inputs=["adapter", "base_model", "train", "params:prompt"],
                outputs="checked_adapter",
                name="check_adapter",
            ),
            create_arm("base"),
            create_arm("tuned", adapter="checked_adapter"),
            node(
                score_answers,
                inputs=[
                    "test",
                    "train",
                    "base_answers",
                    "tuned_answers",
                    "base_losses",
                    "tuned_losses",
                    "params:evaluation",
                ],
                outputs="scores",
                name="score_answers",
            ),
            node(
                compare_arms,
                inputs=["scores", "base_losses", "tuned_losses", "params:evaluation"],
                outputs=["comparison", "controls"],
                name="compare_arms",
            ),
        ]
    )


def create_arm(arm: str, adapter: str | None = None) -> Pipeline:
    """One model on the test pairs: ``<arm>_losses`` and ``<arm>_answers``.

    Args:
        arm: namespace of the nodes and beginning of their outputs' names.
        adapter: dataset with the adapter to attach to ``base_model``; None evaluates the base model itself.
    """
    model = {"base_model": "base_model", "test": "test", "prompt": "params:prompt", "hardware": "params:hardware"}
    if adapter is not None:
        model["adapter"] = adapter
    return Pipeline(
        [
            node(
                measure_losses,
                inputs={**model, "training": "params:training"},
                outputs="losses",
                name="measure_losses",
                tags="device",
            ),
            node(
                generate_answers,
                inputs={**model, "evaluation": "params:evaluation"},
                outputs="answers",
                name="generate_answers",
                tags="device",
            ),
        ],
        namespace=arm,
        inputs={name for name in model.values() if not name.startswith("params:")},
        # without the dot of a namespaced name, which Kedro warns about wherever another pipeline reads it
        outputs={"losses": f"{arm}_losses", "answers": f"{arm}_answers"},
        parameters={"params:prompt", "params:training", "params:evaluation", "params:hardware"},
    )
