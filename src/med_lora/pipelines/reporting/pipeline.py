"""Reporting: scores and losses to figures, a headline, and one HTML file."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.reporting.figures import draw_epoch_scores, draw_loss_curve, draw_perplexity, draw_scores
from med_lora.pipelines.reporting.headline import write_headline
from med_lora.pipelines.reporting.report import write_report
from med_lora.pipelines.reporting.sections import choose_examples, describe_data, describe_settings


def create_pipeline() -> Pipeline:
    """The tables of the evaluation, the training history and the parameters to figures, ``headline`` and ``report``."""
    return Pipeline(
        [
            node(draw_loss_curve, inputs="training_history", outputs="loss_curve_figure", name="draw_loss_curve"),
            node(draw_epoch_scores, inputs="training_history", outputs="epoch_scores_figure", name="draw_epoch_scores"),
            node(
                draw_perplexity,
                inputs=["comparison", "params:evaluation"],
                outputs="perplexity_bars_figure",
                name="draw_perplexity",
            ),
            node(
                draw_scores,
                inputs=["comparison", "controls", "params:evaluation"],
                outputs="score_bars_figure",
                name="draw_scores",
            ),
            node(
                write_headline,
                inputs=["comparison", "controls", "params:experiment", "params:evaluation", "params:canaries"],
                outputs="headline",
                name="write_headline",
            ),
            node(
                choose_examples,
                inputs=["test", "base_answers", "tuned_answers", "params:reporting", "params:evaluation"],
                outputs="report_examples",
                name="choose_examples",
            ),
            node(
                describe_data,
                inputs=["row_outcomes", "train", "validation", "test", "params:corpora"],
                outputs="report_data",
                name="describe_data",
            ),
            node(
                describe_settings,
                inputs={
                    "description": "params:description",
                    "model": "params:model",
                    "prompt": "params:prompt",
                    # not the whole of data_engineering: Kedro cannot type a parameter and a part of it at once, and
                    # data engineering takes the parts
                    "cleaning": "params:data_engineering.cleaning",
                    "screening": "params:data_engineering.screening",
                    "deduplication": "params:data_engineering.deduplication",
                    "split": "params:data_engineering.split",
                    "training": "params:training",
                    "evaluation": "params:evaluation",
                    "hardware": "params:hardware",
                },
                outputs="report_settings",
                name="describe_settings",
            ),
            node(
                write_report,
                inputs={
                    "headline": "headline",
                    "comparison": "comparison",
                    "controls": "controls",
                    "corpus_scores": "corpus_scores",
                    "subgroups": "subgroups",
                    "forgetting": "forgetting",
                    "as_published": "as_published",
                    "loss_curve": "loss_curve_figure",
                    "epoch_scores": "epoch_scores_figure",
                    "perplexity_bars": "perplexity_bars_figure",
                    "score_bars": "score_bars_figure",
                    "examples": "report_examples",
                    "data": "report_data",
                    "settings": "report_settings",
                },
                outputs="report",
                name="write_report",
            ),
        ]
    )
