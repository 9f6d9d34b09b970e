"""Canary audit: insertion before training, measurement after it."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.canaries.exposure import measure_exposure, summarise_exposure
from med_lora.pipelines.canaries.insertion import insert_canaries
from med_lora.pipelines.evaluation.pipeline import create_check, create_sessions, tuned_adapter, tuned_session
from med_lora.pipelines.stages import DEFAULT_STAGES, Stages


def create_insertion(stages: Stages = DEFAULT_STAGES) -> Pipeline:
    """``train`` to ``canaried_train``, which training takes instead; empty where the experiment has no canaries."""
    if not stages.canaries:
        return Pipeline([])
    return Pipeline(
        [
            node(
                insert_canaries,
                inputs=["train", "params:canaries", "base_model", "params:prompt", "params:training"],
                outputs=["canaried_train", "canary_secrets"],
                name="insert_canaries",
            )
        ]
    )


def create_pipeline(stages: Stages = DEFAULT_STAGES) -> Pipeline:
    """What training saved and ``canary_secrets`` to ``canary_audit``; empty where the experiment has no canaries."""
    if not stages.canaries:
        return Pipeline([])
    arms = _create_arm("base", "base_session", None) + _create_arm(
        "tuned", tuned_session(stages), tuned_adapter(stages)
    )
    summary = node(
        summarise_exposure,
        inputs=["base_exposure", "tuned_exposure"],
        outputs="canary_audit",
        name="summarise_exposure",
    )
    return create_check(stages) + create_sessions(stages) + arms + Pipeline([summary])


def _create_arm(arm: str, session: str, adapter: str | None) -> Pipeline:
    given = {"session": session} | ({"adapter": adapter} if adapter else {})
    return Pipeline(
        [
            node(
                measure_exposure,
                inputs={**given, "canary_secrets": "canary_secrets", "prompt": "params:prompt"},
                outputs=f"{arm}_exposure",
                name="measure_exposure",
                tags="device",
            )
        ],
        namespace=arm,
        inputs={"canary_secrets", *given.values()},
        outputs={f"{arm}_exposure"},
        parameters={"params:prompt"},
    )
