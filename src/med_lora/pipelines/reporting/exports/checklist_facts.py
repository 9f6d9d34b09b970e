"""What software knows of a run, as sentences that answer the items of reporting checklists."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from med_lora.datasets.runs import TUNED
from med_lora.parameters import (
    CanariesParams,
    ContinuedPretrainingParams,
    EvaluationParams,
    ModelParams,
    PromptParams,
    TrainingParams,
)
from med_lora.pipelines.reporting.exports.card_facts import (
    CONDUCT,
    describe_environment,
    describe_limitations,
    describe_privacy,
    knows_training,
    list_verdicts,
    name_code,
)
from med_lora.pipelines.reporting.exports.data_facts import describe_data
from med_lora.pipelines.reporting.exports.training_facts import (
    describe_leaks,
    describe_method,
    describe_prompt,
    describe_recipe,
    describe_tuning,
)
from med_lora.pipelines.reporting.judge_verdict import describe_verdict
from med_lora.report_page.records import Record, read_records
from med_lora.report_page.wording import in_groups, percent, share, title

Facts = dict[str, str | None]
ENGINES = {
    "transformers": "transformers, in the process of the run",
    "openai": "a server that speaks OpenAI's protocol",
}


def gather_facts(
    description: str,
    headline: dict[str, Any],
    comparison: pd.DataFrame,
    model: ModelParams,
    prompt: PromptParams,
    training: TrainingParams,
    continued_pretraining: ContinuedPretrainingParams,
    evaluation: EvaluationParams,
    canaries: CanariesParams,
    data: dict[str, Any],
    run: dict[str, Any],
    canary_audit: pd.DataFrame | None = None,
    judge_summary: dict[str, Any] | None = None,
    ratings_comparison: pd.DataFrame | None = None,
    benchmark_comparison: pd.DataFrame | None = None,
) -> Facts:
    """What is known of a run, as :func:`fill_checklists` takes it.

    Args:
        description: what the experiment asks.
        headline: as ``write_headline`` returns it.
        comparison: base against tuned.
        model: the base model.
        prompt: the template of training and evaluation.
        training: method and recipe.
        continued_pretraining: the stage before, or instead.
        evaluation: decoding, intervals, engine.
        canaries: whether memorisation was audited.
        data: as ``summarise_data`` of the data report returns it.
        run: as ``describe_run`` returns it.
        canary_audit: exposure of made-up secrets; None where none were inserted.
        judge_summary: None without a judge.
        ratings_comparison: None where nobody rated.
        benchmark_comparison: None without exams.

    Returns:
        Sentences by name; None for what this run has not, or what no run can know.
    """
    screened, *memorisation = describe_privacy(data, canaries, canary_audit)
    return {
        "description": description,
        "run": run["id"],
        **_describe_model(model, prompt, training, evaluation, run),
        "recipe": describe_recipe(training, continued_pretraining),
        **describe_data(data),
        "leakage": describe_leaks(data, training, continued_pretraining),
        "screening": screened,
        "memorisation": " ".join(memorisation),
        **_describe_scores(comparison, headline, evaluation),
        "limitations": " ".join(describe_limitations(comparison, headline, data, evaluation, judge_summary)),
        **_describe_ratings(judge_summary, ratings_comparison),
        "benchmarks": None if benchmark_comparison is None else _list_exams(benchmark_comparison),
        "compute": _describe_compute(run),
        # what no run of this software has
        **dict.fromkeys(("annotators", "summarisation", "clinical_outcomes", "updating", "deployment")),
    }


def _describe_model(
    model: ModelParams,
    prompt: PromptParams,
    training: TrainingParams,
    evaluation: EvaluationParams,
    run: dict[str, Any],
) -> Facts:
    return {
        "base": _name_base(model, run),
        "tuned_in": _find_run(run, {TUNED[training.method]}),
        "answered_in": _find_run(run, {"tuned_answers"}),
        "code": name_code(run["code"]),
        "method": describe_method(training),
        "tuning": describe_tuning(training),
        "prompt": describe_prompt(prompt, training),
        "engine": ENGINES[evaluation.engine],
        "decoding": _describe_decoding(evaluation),
    }


def _describe_scores(comparison: pd.DataFrame, headline: dict[str, Any], evaluation: EvaluationParams) -> Facts:
    rows = {row["metric"]: row for row in read_records(comparison)}
    return {
        "metrics": _list_metrics(rows),
        "conduct": _describe_conduct(rows),
        "cut": _describe_cut(rows, evaluation),
        "statistics": _describe_statistics(rows, evaluation),
        "power": _describe_power(rows, evaluation),
        "controls": _describe_controls(list_verdicts(headline, comparison)),
        "result": headline["sentence"],
        "subgroups": "Results by source, question type and topic: report, Parts of the test set.",
    }


def _describe_ratings(judge_summary: dict[str, Any] | None, ratings: pd.DataFrame | None) -> Facts:
    tracks = _describe_tracks(judge_summary, ratings)
    return {
        "tracks": tracks,
        "tracks_or_none": tracks or "No judge and no people rated the answers.",
        "people": None if ratings is None else _count_rated(ratings),
        "blinding": _describe_blinding(judge_summary, ratings),
    }


def _name_base(model: ModelParams, run: dict[str, Any]) -> str:
    identity = run.get("base_model") or {}
    if model.revision is not None:
        return f"base model {model.id}, commit {model.revision}"
    digest = f", SHA-256 {identity['sha256'][:16]}" if identity.get("sha256") else ""
    return f"base model {model.id.rstrip('/').rpartition('/')[2]} (local folder{digest})"


def _find_run(run: dict[str, Any], outputs: set[str]) -> str:
    """The run whose step made an artifact: an earlier one where this run loaded it; ids are UTC times."""
    made = [step["run"] for step in run["steps"] if outputs & set(step["outputs"])]
    return made[-1] if made else f"{run['id']} or before"


def _describe_compute(run: dict[str, Any]) -> str | None:
    """Machine, time, energy and memory; None where nothing tells what training took."""
    if not knows_training(run):
        return None
    return " ".join(sentence for sentence in describe_environment(run) if not sentence.startswith("Packages"))


def _describe_decoding(evaluation: EvaluationParams) -> str:
    decoding = evaluation.decoding
    drawn = (
        "Greedy decoding"
        if decoding.temperature == 0
        else f"Sampling at temperature {decoding.temperature:g}, top-p {decoding.top_p:g}, seed {decoding.seed}"
    )
    return f"{drawn}, repetition penalty {decoding.repetition_penalty:g}, at most {decoding.max_new_tokens} tokens."


def _list_metrics(rows: dict[str, Record]) -> str:
    tested = [title(metric) for metric, row in rows.items() if not pd.isna(row["p_value"])]
    return f"Tested metrics: {', '.join(tested)}."


def _describe_conduct(rows: dict[str, Record]) -> str:
    counted = [f"{share(rows[metric]['tuned'])} {what}" for metric, what in CONDUCT.items() if metric in rows]
    return f"Of the tuned model's answers {'; '.join(counted)}."


def _describe_cut(rows: dict[str, Record], evaluation: EvaluationParams) -> str:
    cut = f"{share(rows['answer_cut']['tuned'])} of the tuned model's answers were cut." if "answer_cut" in rows else ""
    excluded = ", ".join(evaluation.exclude)
    return f"{cut} Left out of the text metrics: pairs with {excluded}." if excluded else cut


def _describe_statistics(rows: dict[str, Record], evaluation: EvaluationParams) -> str:
    tests = sum(not pd.isna(row["p_value"]) for row in rows.values())
    return (
        f"{percent(evaluation.confidence)} intervals by a cluster bootstrap over groups of related pairs "
        f"({evaluation.bootstrap_samples:,} resamples); paired signed-rank test on groups, Holm's correction over "
        f"{tests} tests."
    )


def _describe_power(rows: dict[str, Record], evaluation: EvaluationParams) -> str | None:
    """What difference the test pairs could show, on ROUGE-L; None where that is not known."""
    row = rows.get("rougeL")
    if row is None or pd.isna(row["detectable"]):
        return None
    if math.isinf(row["detectable"]):
        return f"{row['n']:,} test pairs {in_groups(row)} are too few groups to show any difference in ROUGE-L F."
    return (
        f"{row['n']:,} test pairs {in_groups(row)} show a difference in ROUGE-L F of {row['detectable']:.3f} with a "
        f"chance of {percent(evaluation.power)} (before the correction for several tests)."
    )


def _describe_controls(verdicts: dict[str, str]) -> str:
    if not verdicts:
        return "No null control could be scored."
    beaten = list(verdicts.values()).count("beaten")
    return (
        f"In {beaten} of {len(verdicts)} text metrics the tuned model beats that metric's best null "
        "control (report, Null controls)."
    )


def _describe_tracks(judge_summary: dict[str, Any] | None, ratings: pd.DataFrame | None) -> str | None:
    sentences = []
    if judge_summary is not None:
        judge = f"{judge_summary['judge']} (version {judge_summary['version']})"
        sentences.append(
            f"A language model, {judge}, judged answers; by its own checks it {describe_verdict(judge_summary)}."
        )
    if ratings is not None:
        sentences.append(_count_rated(ratings))
    return " ".join(sentences) or None


def _count_rated(ratings: pd.DataFrame) -> str:
    return f"People rated the answers to up to {int(ratings['n'].max()) if len(ratings) else 0:,} test questions."


def _describe_blinding(judge_summary: dict[str, Any] | None, ratings: pd.DataFrame | None) -> str | None:
    sentences = []
    if ratings is not None:
        sentences.append("Rating sheets hide which model wrote an answer, and mix the order.")
    if judge_summary is not None:
        sentences.append("The judge is not told which model wrote an answer; preferences are asked in both orders.")
    return " ".join(sentences) or None


def _list_exams(benchmarks: pd.DataFrame) -> str:
    named = [f"{row['benchmark']} ({row['n']:,} questions)" for row in read_records(benchmarks)]
    return f"Exams: {', '.join(named)}."
