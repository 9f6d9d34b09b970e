"""Comparison across runs: manifests and what they name to tables, figures, one HTML file, and MLflow where asked."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline, node

from med_lora.pipelines.comparison.contrasts import contrast_runs
from med_lora.pipelines.comparison.exports import export_to_mlflow
from med_lora.pipelines.comparison.figures import (
    draw_answer_times,
    draw_epoch_courses,
    draw_leaderboard,
    draw_loss_courses,
    draw_setting_curves,
    draw_training_times,
)
from med_lora.pipelines.comparison.gathering import gather_histories, gather_scores
from med_lora.pipelines.comparison.leaderboard import rank_runs, tabulate_as_study
from med_lora.pipelines.comparison.machines import tick_machines, time_answers
from med_lora.pipelines.comparison.means import measure_runs
from med_lora.pipelines.comparison.report import write_comparison_report
from med_lora.pipelines.comparison.runs import describe_runs
from med_lora.pipelines.comparison.sweeps import score_settings, spread_seeds

FIGURES = ("leaderboard", "setting_curves", "loss_curves", "epoch_curves", "answer_times", "training_times")
GATHERED = ["run_scores", "run_metrics", "losses_by_run"]
SHARED = ["params:comparison", "params:evaluation"]


def create_pipeline(mlflow: bool = False) -> Pipeline:
    """``runs`` to the tables and figures of many runs, and ``comparison_report``.

    Args:
        mlflow: whether the runs are also written to a database for MLflow, ``mlflow_export``.
    """
    return Pipeline([*_read(), *_compare(), *_draw(), *_report(), *(_export() if mlflow else [])])


def _read() -> list[Node]:
    return [
        node(describe_runs, inputs="runs", outputs="compared_runs", name="describe_runs"),
        node(
            gather_scores,
            inputs=["runs", "compared_runs", *SHARED],
            outputs=[*GATHERED, "run_controls"],
            name="gather_scores",
        ),
        node(gather_histories, inputs=["runs", "compared_runs"], outputs="run_histories", name="gather_histories"),
        node(tick_machines, inputs="compared_runs", outputs="machine_ticks", name="tick_machines"),
        node(time_answers, inputs=["runs", "compared_runs"], outputs="answer_times", name="time_answers"),
    ]


def _compare() -> list[Node]:
    measured = ["runs", "compared_runs", "run_means"]
    return [
        node(
            measure_runs,
            inputs=["compared_runs", *GATHERED, "run_controls", *SHARED],
            outputs="run_means",
            name="measure_runs",
        ),
        node(
            rank_runs,
            inputs=["run_means", "compared_runs", "run_scores", "answer_times", "params:comparison"],
            outputs="leaderboard",
            name="rank_runs",
        ),
        node(
            tabulate_as_study,
            inputs=["run_scores", "run_metrics", "leaderboard"],
            outputs="study_leaderboard",
            name="tabulate_as_study",
        ),
        node(
            contrast_runs,
            inputs=["leaderboard", "compared_runs", *GATHERED, *SHARED],
            outputs="run_contrasts",
            name="contrast_runs",
        ),
        node(score_settings, inputs=measured, outputs="setting_scores", name="score_settings"),
        node(spread_seeds, inputs=measured, outputs="seed_spread", name="spread_seeds"),
    ]


def _draw() -> list[Node]:
    return [
        node(
            draw_leaderboard,
            inputs=["leaderboard", "run_means", *SHARED],
            outputs="leaderboard_figure",
            name="draw_leaderboard",
        ),
        node(
            draw_setting_curves,
            inputs=["setting_scores", *SHARED],
            outputs="setting_curves_figure",
            name="draw_setting_curves",
        ),
        node(draw_loss_courses, inputs="run_histories", outputs="loss_curves_figure", name="draw_loss_courses"),
        node(draw_epoch_courses, inputs="run_histories", outputs="epoch_curves_figure", name="draw_epoch_courses"),
        node(draw_answer_times, inputs="answer_times", outputs="answer_times_figure", name="draw_answer_times"),
        node(draw_training_times, inputs="compared_runs", outputs="training_times_figure", name="draw_training_times"),
    ]


def _report() -> list[Node]:
    tables = [
        "runs",
        "compared_runs",
        "run_means",
        "leaderboard",
        "study_leaderboard",
        "run_contrasts",
        "machine_ticks",
    ]
    tables += ["answer_times", "setting_scores", "seed_spread"]
    inputs = {name: name for name in tables} | {name.removeprefix("params:"): name for name in SHARED}
    inputs |= {f"{name}_figure": f"{name}_figure" for name in FIGURES}
    return [node(write_comparison_report, inputs=inputs, outputs="comparison_report", name="write_comparison_report")]


def _export() -> list[Node]:
    return [
        node(
            export_to_mlflow,
            inputs=["runs", "compared_runs", "run_means"],
            outputs="mlflow_export",
            name="export_to_mlflow",
        )
    ]
