"""Reporting: scores and losses to figures, a headline, and one HTML file."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.arms import BARE_ARMS, RAG_ARMS
from med_lora.pipelines.reporting.figures import draw_epoch_scores, draw_loss_curve, draw_perplexity, draw_scores
from med_lora.pipelines.reporting.headline import write_headline
from med_lora.pipelines.reporting.report import write_report
from med_lora.pipelines.reporting.sections import choose_examples, describe_data, describe_settings
from med_lora.pipelines.reporting.tracks import (
    describe_divergence,
    describe_judge,
    describe_people,
    describe_retrieval,
)
from med_lora.pipelines.tracks import DEFAULT_TRACKS, Tracks


def create_pipeline(tracks: Tracks = DEFAULT_TRACKS) -> Pipeline:
    """The tables of the evaluation, the training history and the parameters to figures, ``headline`` and ``report``."""
    answers = {arm: f"{arm}_answers" for arm in BARE_ARMS}
    if tracks.retrieval:
        answers |= {"contexts": "contexts"} | {arm: f"{arm}_answers" for arm in RAG_ARMS}
    of_tracks, sections = _describe_tracks(tracks)
    return of_tracks + Pipeline(
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
                inputs={"test": "test", "reporting": "params:reporting", "evaluation": "params:evaluation", **answers},
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
                    **sections,
                },
                outputs="report",
                name="write_report",
            ),
        ]
    )


def _describe_tracks(tracks: Tracks) -> tuple[Pipeline, dict[str, str]]:
    """Nodes that make the sections of the second track, and what the report takes of them."""
    nodes, sections = [], {}
    if tracks.retrieval:
        inputs = ["index_report", "retrieval_metrics", "retrieval_comparison"]
        nodes.append(node(describe_retrieval, inputs=inputs, outputs="report_retrieval", name="describe_retrieval"))
        sections["retrieval"] = "report_retrieval"
    if tracks.judge:
        inputs = ["judge_summary", "judge_comparison", "judge_checks"]
        nodes.append(node(describe_judge, inputs=inputs, outputs="report_judge", name="describe_judge"))
        sections |= {"judge": "report_judge", "judge_scores": "judge_figure"}
    if tracks.ratings:
        inputs = ["ratings_report", "agreement", "ratings_comparison"]
        nodes.append(node(describe_people, inputs=inputs, outputs="report_people", name="describe_people"))
        sections["people"] = "report_people"
    if tracks.divergence:
        inputs = ["divergence_verdict", "divergence", "disagreements"]
        inputs += ["judge_agreement"] if tracks.judge and tracks.ratings else []
        nodes.append(node(describe_divergence, inputs=inputs, outputs="report_divergence", name="describe_divergence"))
        sections |= {"divergence": "report_divergence", "divergence_scatter": "divergence_figure"}
    return Pipeline(nodes), sections
