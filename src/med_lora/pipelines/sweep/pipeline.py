"""Sweep: a grid of settings to points in namespaces, and to their table, figures and best experiment."""

from __future__ import annotations

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline, node

from med_lora.pipelines.stages import DEFAULT_STAGES, Stages
from med_lora.pipelines.sweep.nodes import (
    Plan,
    collect_histories,
    draw_sweep,
    draw_sweep_losses,
    plan_sweep,
    rank_points,
    run_point,
    tabulate_points,
    write_best,
)
from med_lora.trials.trial import Trial


def create_pipeline(points: Sequence[str] = (), stages: Stages = DEFAULT_STAGES) -> Pipeline:
    """``train``, ``validation`` and what instruction tuning starts from to the artifacts of a sweep.

    Args:
        points: their names; without any, the pipeline consists of the node that says so.
        stages: of the experiment; continued pre-training comes before every point alike.
    """
    plan = node(
        plan_sweep,
        inputs={
            **{name: f"params:{name}" for name in ("sweep", "model", "prompt", "training", "evaluation", "hardware")},
            "base_model": stages.base,
        },
        outputs="sweep_plan",
        name="plan_sweep",
    )
    if not points:
        return Pipeline([plan])
    return Pipeline([plan, *(_create_point(name, stages) for name in points), *_collecting_nodes(points)])


def _create_point(name: str, stages: Stages) -> Pipeline:
    """One point as a namespace: ``<name>_trial`` and ``<name>_trial_history``."""
    settings = f"{name}_settings"

    # a closure, since a partial would hide the types from Kedro
    def choose_settings(sweep_plan: Plan) -> Trial:
        return sweep_plan[name]

    shared = {"base_model": stages.base, "train": "train", "validation": "validation", "work": "sweep_work"}
    if stages.start:
        shared["start"] = stages.start
    return Pipeline(
        [
            node(choose_settings, inputs="sweep_plan", outputs=settings, name="choose_settings"),
            node(
                run_point,
                inputs={"trial": settings, "sweep_plan": "sweep_plan", **shared},
                outputs=["result", "history"],
                name="run_point",
                tags="device",
            ),
        ],
        namespace=name,
        inputs={"sweep_plan", *shared.values()},
        # without the dot of a namespaced name, which Kedro warns about under another namespace
        outputs={settings: settings, "result": f"{name}_trial", "history": f"{name}_trial_history"},
    )


def _collecting_nodes(points: Sequence[str]) -> list[Node]:
    return [
        node(rank_points, inputs=[f"{name}_trial" for name in points], outputs="sweep_ranking", name="rank_points"),
        node(tabulate_points, inputs="sweep_ranking", outputs="sweep_trials", name="tabulate_points"),
        node(
            write_best,
            inputs=["sweep_ranking", "experiment_settings", "params:experiment"],
            outputs="sweep_best",
            name="write_best",
        ),
        node(draw_sweep, inputs="sweep_ranking", outputs="sweep_figure", name="draw_sweep"),
        node(
            collect_histories,
            inputs=[f"{name}_trial_history" for name in points],
            outputs="sweep_histories",
            name="collect_histories",
        ),
        node(draw_sweep_losses, inputs="sweep_histories", outputs="sweep_losses_figure", name="draw_sweep_losses"),
    ]
