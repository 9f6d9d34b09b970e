"""What goes from a run into a paper or onto the hub."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.reporting.exports.checklist_facts import gather_facts
from med_lora.pipelines.reporting.exports.filling import count_checklists, fill_checklists, write_checklists
from med_lora.pipelines.reporting.exports.latex import write_latex
from med_lora.pipelines.reporting.exports.model_card import write_model_card
from med_lora.pipelines.reporting.exports.results import describe_results, tabulate_results
from med_lora.pipelines.tracks import Tracks

TABLES = {name: name for name in ("comparison", "controls", "corpus_scores", "forgetting")}
KNOWN = {
    "description": "params:description",
    "headline": "headline",
    "comparison": "comparison",
    "model": "params:model",
    "prompt": "params:prompt",
    "training": "params:training",
    "continued_pretraining": "params:continued_pretraining",
    "evaluation": "params:evaluation",
    "canaries": "params:canaries",
    "data": "data_summary",
    "run": "report_run",
}


def create_export_pipeline(tracks: Tracks, canaries: bool) -> Pipeline:
    """The tables of a run to ``results``, ``latex_tables``, ``model_card`` and ``reporting_checklists``.

    Args:
        tracks: what the experiment is evaluated in besides scores of text.
        canaries: whether secrets were inserted, so that there is an audit.
    """
    contrasts = {
        "judge_comparison": tracks.judge is not None,
        "retrieval_comparison": tracks.retrieval is not None,
        "ratings_comparison": tracks.ratings,
        "benchmark_comparison": tracks.benchmarks,
    }
    given = {name: name for name, there in contrasts.items() if there}
    rated = {name: name for name in ("ratings_comparison", "benchmark_comparison") if name in given}
    published = {"published_comparison": "published_comparison"} if tracks.study else {}
    study_table = {"study_table": "study_table"} if tracks.study else {}
    audit = {"canary_audit": "canary_audit"} if canaries else {}
    judged = {"judge_summary": "judge_summary"} if tracks.judge else {}
    experiment = {"experiment": "params:experiment"}
    results = experiment | TABLES | given | audit | published
    results |= {"subgroups": "subgroups", "as_published": "as_published"}
    latex = experiment | {"evaluation": "params:evaluation"} | TABLES | given | judged | published | study_table
    card = experiment | KNOWN | audit | judged | {"controls": "controls", "forgetting": "forgetting"}
    card |= {"settings": "report_settings"}
    known = KNOWN | audit | judged | rated
    counted = "report_checklists"
    return Pipeline(
        [
            node(tabulate_results, inputs=results, outputs="results", name="tabulate_results"),
            node(
                describe_results,
                inputs=["results", "params:evaluation"],
                outputs="results_json",
                name="describe_results",
            ),
            node(write_latex, inputs=latex, outputs="latex_tables", name="write_latex"),
            node(write_model_card, inputs=card, outputs="model_card", name="write_model_card"),
            node(gather_facts, inputs=known, outputs="checklist_facts", name="gather_facts"),
            node(fill_checklists, inputs="checklist_facts", outputs="checklists", name="fill_checklists"),
            node(write_checklists, inputs="checklists", outputs="reporting_checklists", name="write_checklists"),
            node(count_checklists, inputs="checklists", outputs=counted, name="count_checklists"),
        ]
    )
