"""Reporting: scores and losses to figures, a headline, one HTML file, and what goes into a paper or onto the hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Pipeline, node

from med_lora.arms import BARE_ARMS, RAG_ARMS
from med_lora.pipelines.reporting.exports.pipeline import create_export_pipeline
from med_lora.pipelines.reporting.figures import (
    draw_distributions,
    draw_epoch_scores,
    draw_forgetting,
    draw_learning_rate,
    draw_length_against_score,
    draw_loss_curve,
    draw_perplexity,
    draw_scores,
)
from med_lora.pipelines.reporting.headline import write_headline
from med_lora.pipelines.reporting.report import write_report
from med_lora.pipelines.reporting.sections import choose_examples, describe_data, describe_settings
from med_lora.pipelines.reporting.studies import create_study_pipeline
from med_lora.pipelines.reporting.tracks import (
    describe_divergence,
    describe_judge,
    describe_people,
    describe_retrieval,
)
from med_lora.pipelines.reporting.worst_pairs import find_errors
from med_lora.pipelines.tracks import DEFAULT_TRACKS, Tracks
from med_lora.runs.description import describe_run

SCORED = ["scores", "comparison", "params:evaluation"]
FIGURES: dict[str, tuple[Callable[..., Any], list[str]]] = {
    "loss_curve_figure": (draw_loss_curve, ["training_history", "params:training"]),
    "learning_rate_figure": (draw_learning_rate, ["training_history"]),
    "epoch_scores_figure": (draw_epoch_scores, ["training_history"]),
    "perplexity_bars_figure": (draw_perplexity, ["comparison", "params:evaluation"]),
    "score_bars_figure": (draw_scores, ["comparison", "controls", "params:evaluation"]),
    "score_distributions_figure": (draw_distributions, SCORED),
    "length_against_score_figure": (draw_length_against_score, SCORED),
    "forgetting_figure": (draw_forgetting, ["forgetting", "params:evaluation"]),
}
# Parameters that the headline tells of.
HEADED_BY = ["experiment", "evaluation", "canaries", "rehearsal_of"]
# Parameters whose fields the report lists.
SHOWN_SETTINGS = [
    *("description", "model", "prompt", "data_engineering", "training", "continued_pretraining"),
    *("evaluation", "retrieval", "judge", "latency", "hardware"),
]
# The tables that the report shows, and that a run has written before it is described.
TABLES = ["comparison", "controls", "corpus_scores", "subgroups", "forgetting", "as_published"]


def create_pipeline(
    tracks: Tracks = DEFAULT_TRACKS, *, canaries: bool = False, history: str = "training_history"
) -> Pipeline:
    """The tables of the evaluation, the training history and the parameters to figures, ``headline`` and ``report``.

    Args:
        tracks: what the experiment is evaluated in besides scores of text.
        canaries: whether secrets were inserted, so that there is an audit.
        history: dataset with the losses of the training that left the tuned model.
    """
    figures = [node(draw, inputs=inputs, outputs=name, name=draw.__name__) for name, (draw, inputs) in FIGURES.items()]
    of_tracks, sections = _describe_tracks(tracks)
    if canaries:
        sections["canaries"] = "canary_audit"
    made_before = [*TABLES, *FIGURES, *sections.values()]
    study = Pipeline([])
    if tracks.study:
        study = create_study_pipeline(tracks)
        sections["study"] = "report_study"
    report = node(
        write_report,
        inputs={
            **{name: name for name in ("headline", *TABLES, *FIGURES, "datasheet")},
            "examples": "report_examples",
            "errors": "error_examples",
            "data": "report_data",
            "settings": "report_settings",
            "run": "report_run",
            "checklists": "report_checklists",
            **sections,
        },
        outputs="report",
        name="write_report",
    )
    described = _describe(tracks, made_before) + of_tracks + study
    whole = Pipeline([*figures, report]) + described + create_export_pipeline(tracks, canaries)
    return Pipeline(whole, inputs={"training_history": history})


def _describe(tracks: Tracks, made_before: list[str]) -> Pipeline:
    """Headline, examples, data, settings and run, in the form that report and exports take them in."""
    answers = {arm: f"{arm}_answers" for arm in (*BARE_ARMS, *(RAG_ARMS if tracks.retrieval else ()))}
    contexts = {"contexts": "contexts"} if tracks.retrieval else {}
    chosen = {"test": "test", "reporting": "params:reporting", "evaluation": "params:evaluation"}
    return Pipeline(
        [
            node(
                write_headline,
                inputs=["comparison", "controls", *(f"params:{name}" for name in HEADED_BY)],
                outputs="headline",
                name="write_headline",
            ),
            node(
                choose_examples,
                inputs=chosen | contexts | answers,
                outputs="report_examples",
                name="choose_examples",
            ),
            node(
                find_errors,
                inputs=chosen | {"scores": "scores", "comparison": "comparison"} | answers,
                outputs="error_examples",
                name="find_errors",
            ),
            node(
                describe_data,
                inputs={
                    **{name: name for name in ("row_outcomes", "train", "validation", "test", "data_summary")},
                    **{name: f"params:{name}" for name in ("corpora", "training", "continued_pretraining")},
                },
                outputs="report_data",
                name="describe_data",
            ),
            node(
                describe_settings,
                inputs={name: f"params:{name}" for name in SHOWN_SETTINGS},
                outputs="report_settings",
                name="describe_settings",
            ),
            node(describe_run, inputs=["run_record", *made_before], outputs="report_run", name="describe_run"),
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
        sections |= {"judge": "report_judge", "judge_figure": "judge_figure"}
    if tracks.ratings:
        inputs = ["ratings_report", "agreement", "ratings_comparison"]
        nodes.append(node(describe_people, inputs=inputs, outputs="report_people", name="describe_people"))
        sections["people"] = "report_people"
    if tracks.divergence:
        inputs = ["divergence_verdict", "divergence", "disagreements"]
        inputs += ["judge_agreement"] if tracks.judge and tracks.ratings else []
        nodes.append(node(describe_divergence, inputs=inputs, outputs="report_divergence", name="describe_divergence"))
        sections |= {"divergence": "report_divergence", "divergence_figure": "divergence_figure"}
    if tracks.benchmarks:
        sections |= {"benchmarks": "benchmark_comparison", "benchmark_bars_figure": "benchmark_bars_figure"}
    if tracks.latency:
        sections |= {"latency": "latency", "latency_figure": "latency_figure"}
    if tracks.probes:
        sections["probes"] = "probe_answers"
    return Pipeline(nodes), sections
