"""Data report: tables of data engineering to figures, a data sheet, and one HTML file."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.data_report.datasheet import write_datasheet
from med_lora.pipelines.data_report.figures import plot_leakage, plot_lengths, plot_outcomes, plot_question_types
from med_lora.pipelines.data_report.lengths import read_lengths
from med_lora.pipelines.data_report.report import render_data_report
from med_lora.pipelines.data_report.summary import summarise_data

SPLITS = ["train", "validation", "test"]


def create_pipeline(has_passages: bool) -> Pipeline:
    """The pipeline for an experiment with question-answer pairs.

    Args:
        has_passages: whether its corpora give passages as well.
    """
    return Pipeline(
        [
            node(
                read_lengths,
                inputs=[*SPLITS, "base_model", "params:prompt"],
                outputs="token_lengths",
                name="read_lengths",
            ),
            node(
                plot_outcomes,
                inputs=["row_outcomes", "params:corpora"],
                outputs="outcomes_figure",
                name="plot_outcomes",
            ),
            node(
                plot_lengths,
                inputs=["token_lengths", "params:training"],
                outputs="lengths_figure",
                name="plot_lengths",
            ),
            node(plot_question_types, inputs=SPLITS, outputs="question_types_figure", name="plot_question_types"),
            node(plot_leakage, inputs="leakage", outputs="leakage_figure", name="plot_leakage"),
            node(
                summarise_data,
                inputs={
                    "outcomes": "row_outcomes",
                    "leakage": "leakage",
                    "benchmark_overlap": "benchmark_overlap",
                    "unused": "unused_pairs",
                    "token_lengths": "token_lengths",
                    **{name: name for name in SPLITS},
                    "corpora": "params:corpora",
                    "data_engineering": "params:data_engineering",
                    "training": "params:training",
                    **({"passages": "passages"} if has_passages else {}),
                },
                outputs="data_summary",
                name="summarise_data",
            ),
            node(
                write_datasheet,
                inputs=["data_summary", "params:experiment", "params:description"],
                outputs="datasheet",
                name="write_datasheet",
            ),
            node(
                render_data_report,
                inputs={
                    "summary": "data_summary",
                    "datasheet": "datasheet",
                    "outcomes_figure": "outcomes_figure",
                    "lengths_figure": "lengths_figure",
                    "question_types_figure": "question_types_figure",
                    "leakage_figure": "leakage_figure",
                    "train": "train",
                    "experiment": "params:experiment",
                    "description": "params:description",
                    "examples": "params:data_engineering.report_examples",
                },
                outputs="data_report",
                name="render_data_report",
            ),
        ]
    )
