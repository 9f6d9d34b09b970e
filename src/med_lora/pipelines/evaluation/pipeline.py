"""Evaluation: both arms on the test pairs, their scores beside null controls, and the comparison."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.evaluation.comparison import compare_arms
from med_lora.pipelines.evaluation.generation import generate_answers
from med_lora.pipelines.evaluation.losses import measure_losses
from med_lora.pipelines.evaluation.origin import check_tuned, check_tuned_model
from med_lora.pipelines.evaluation.scoring import score_answers
from med_lora.pipelines.stages import DEFAULT_STAGES, Stages, create_base


def create_pipeline(stages: Stages = DEFAULT_STAGES) -> Pipeline:
    """What training saved, ``base_model``, ``train`` and ``test`` to the tables of each arm, scores and comparison.

    The arm ``base`` is the experiment's base model whatever the stages; ``tuned`` is what the last of them left.
    """
    return (
        create_check(stages)
        + create_arm("base")
        + _create_tuned_arm(stages)
        + Pipeline(
            [
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
    )


def create_check(stages: Stages) -> Pipeline:
    """What training saved, compared with the run: ``checked_adapter``, or ``tuned_base`` after full fine-tuning."""
    inputs = {
        "tuned": stages.tuned,
        "base_model": stages.base,
        "train": "train",
        "prompt": "params:prompt",
        "model": "params:model",
    }
    if stages.method == "full":
        check = node(check_tuned_model, inputs=inputs, outputs="tuned_base", name="check_tuned_model")
    else:
        if stages.start:
            inputs["start"] = stages.start
        check = node(check_tuned, inputs=inputs, outputs="checked_adapter", name="check_adapter")
    return Pipeline([check]) + create_base(stages)


def _create_tuned_arm(stages: Stages) -> Pipeline:
    if stages.method == "full":
        return create_arm("tuned", base_model="tuned_base")
    return create_arm("tuned", adapter="checked_adapter", base_model=stages.base)


def create_arm(arm: str, adapter: str | None = None, base_model: str = "base_model") -> Pipeline:
    """One model on the test pairs: ``<arm>_losses`` and ``<arm>_answers``.

    Args:
        arm: namespace of the nodes and beginning of their outputs' names.
        adapter: dataset with the adapter to attach to ``base_model``; None evaluates the model itself.
        base_model: dataset with the model.
    """
    model = {
        "base_model": base_model,
        "test": "test",
        "prompt": "params:prompt",
        "model": "params:model",
        "hardware": "params:hardware",
    }
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
        parameters={"params:prompt", "params:training", "params:evaluation", "params:model", "params:hardware"},
    )
