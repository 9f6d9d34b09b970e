"""A published study beside the run: two tables and the report's section."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.reporting.studies.description import describe_study
from med_lora.pipelines.reporting.studies.published import compare_with_published
from med_lora.pipelines.reporting.studies.shapes import tabulate_study
from med_lora.pipelines.tracks import Tracks

GIVEN = {
    "study": "params:study",
    "studies": "params:studies",
    "parameters": "parameters",
    "study_system": "params:study_system",
}
TABLES = {name: name for name in ("comparison", "corpus_scores", "as_published", "training_history", "scores")}


def create_study_pipeline(tracks: Tracks) -> Pipeline:
    """The tables of a run to ``published_comparison``, ``study_table`` and ``report_study``; the study must be set."""
    measured = {
        "latency": tracks.latency,
        "judge_comparison": tracks.judge is not None,
        "retrieval_comparison": tracks.retrieval is not None,
    }
    optional = {name: name for name, is_measured in measured.items() if is_measured}
    if tracks.probes:
        optional["probes"] = "probe_answers"
    further = {"forgetting": "forgetting", "examples": "report_examples"}
    if tracks.benchmarks:
        further["benchmark_comparison"] = "benchmark_comparison"
    shown = {name: name for name in ("published_comparison", "study_table")}
    if tracks.judge:
        shown["judge_summary"] = "judge_summary"
    return Pipeline(
        [
            node(
                compare_with_published,
                inputs=GIVEN | TABLES | optional,
                outputs="published_comparison",
                name="compare_with_published",
            ),
            node(
                tabulate_study,
                inputs=GIVEN | TABLES | optional | further,
                outputs="study_table",
                name="tabulate_study",
            ),
            node(
                describe_study,
                inputs=GIVEN | shown,
                outputs="report_study",
                name="describe_study",
            ),
        ]
    )
