"""Judge: a plan and its forecast, the questions asked, scores and their comparison, and checks on the judge itself."""

from __future__ import annotations

from typing import Literal

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.judge.asking import ask_judge_locally, ask_judge_remotely
from med_lora.pipelines.judge.checks import check_judge
from med_lora.pipelines.judge.comparison import compare_judged
from med_lora.pipelines.judge.figures import draw_judge
from med_lora.pipelines.judge.plan import plan_judging
from med_lora.pipelines.judge.scores import score_judged
from med_lora.pipelines.judge.summary import summarise_judge

Kind = Literal["remote", "local", "base"]


def create_pipeline(kind: Kind = "base", *, people: bool = False) -> Pipeline:
    """``test`` and ``arm_texts`` to ``judge_scores``, ``judge_comparison``, ``judge_checks`` and ``judge_summary``.

    Args:
        kind: ask the server of ``judge.endpoint``, ``judge_model`` on this machine, or the experiment's ``base_model``.
        people: people have rated too, so that ``judge_agreement`` is one of the checks.
    """
    return _ask(kind) + _read(people)


def _ask(kind: Kind) -> Pipeline:
    """``test`` and ``arm_texts`` to ``judge_answers``."""
    inputs = {
        "judge_plan": "judge_plan",
        "test": "test",
        "arm_texts": "arm_texts",
        "judge": "params:judge",
        "judge_calls": "judge_calls",
        "judge_forecast": "judge_forecast",
    }
    outputs = ["judge_answers", "judge_usage"]
    if kind == "remote":
        ask = node(ask_judge_remotely, inputs=inputs, outputs=outputs, name="ask_judge")
    else:
        inputs |= {"judge_model": "judge_model" if kind == "local" else "base_model", "hardware": "params:hardware"}
        ask = node(ask_judge_locally, inputs=inputs, outputs=outputs, name="ask_judge", tags="device")
    plan = node(
        plan_judging,
        inputs=["test", "arm_texts", "params:judge", "params:evaluation"],
        outputs=["judge_plan", "judge_forecast"],
        name="plan_judging",
    )
    return Pipeline([plan, ask])


def _read(people: bool) -> Pipeline:
    """``judge_answers`` to what they say of the arms and of the judge."""
    checked = ["judge_answers", "judge_scores", "arm_texts", "params:evaluation"]
    return Pipeline(
        [
            node(
                score_judged,
                inputs=["judge_answers", "judge_usage"],
                outputs=["judge_scores", "judge_metrics"],
                name="score_judged",
            ),
            node(
                compare_judged,
                inputs=["judge_scores", "judge_metrics", "params:evaluation"],
                outputs="judge_comparison",
                name="compare_judged",
            ),
            node(
                check_judge,
                inputs=[*checked, "judge_agreement"] if people else checked,
                outputs="judge_checks",
                name="check_judge",
            ),
            node(
                summarise_judge,
                inputs=["judge_comparison", "judge_checks", "judge_usage", "judge_forecast", "params:evaluation"],
                outputs="judge_summary",
                name="summarise_judge",
            ),
            node(
                draw_judge,
                inputs=["judge_scores", "judge_summary", "params:evaluation"],
                outputs="judge_figure",
                name="draw_judge",
            ),
        ]
    )
