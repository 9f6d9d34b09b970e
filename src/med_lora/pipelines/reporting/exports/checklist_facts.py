"""What software knows of a run, as sentences that answer the items of reporting checklists."""

from __future__ import annotations

from typing import Any

import pandas as pd

from med_lora.parameters import (
    CanariesParams,
    EvaluationParams,
    ModelParams,
    PromptParams,
    TrainingParams,
)
from med_lora.pipelines.reporting.exports.card_facts import (
    CONDUCT,
    describe_environment,
    describe_leakage,
    describe_limitations,
    describe_privacy,
    describe_splits,
    list_verdicts,
)
from med_lora.report_page.records import Record, read_records
from med_lora.report_page.wording import in_groups, percent, share, title

Facts = dict[str, str | None]
ENGINES = {
    "transformers": "transformers, in the process of the run",
    "openai": "a server that speaks OpenAI's protocol",
}


def gather_facts(
    *,
    description: str,
    headline: dict[str, Any],
    comparison: pd.DataFrame,
    model: ModelParams,
    prompt: PromptParams,
    training: TrainingParams,
    evaluation: EvaluationParams,
    canaries: CanariesParams,
    data: dict[str, Any],
    run: dict[str, Any],
    canary_audit: pd.DataFrame | None,
    judge_summary: dict[str, Any] | None,
    ratings_comparison: pd.DataFrame | None,
    benchmark_comparison: pd.DataFrame | None,
) -> Facts:
    """Sentences by name; None for what this run has not, or what no run can know. Arguments as ``fill_checklists``."""
    rows = {row["metric"]: row for row in read_records(comparison)}
    screened, *memorisation = describe_privacy(data, canaries, canary_audit)
    tracks = _describe_tracks(judge_summary, ratings_comparison)
    return {
        "description": description,
        "base": _name_base(model, run),
        "run": run["id"],
        "tuned_in": _find_run(run, {"adapter", "tuned_model"}),
        "answered_in": _find_run(run, {"tuned_answers"}),
        "code": _name_code(run["code"]),
        "method": "low-rank adaptation (LoRA)" if training.method == "lora" else "training all weights",
        "recipe": _describe_recipe(training),
        "prompt": _describe_prompt(prompt),
        "engine": ENGINES[evaluation.engine],
        "decoding": _describe_decoding(evaluation),
        **_describe_data(data),
        "screening": screened,
        "memorisation": " ".join(memorisation),
        "metrics": _list_metrics(rows),
        "conduct": _describe_conduct(rows),
        "cut": _describe_cut(rows, evaluation),
        "statistics": _describe_statistics(rows, evaluation),
        "power": _describe_power(rows, evaluation),
        "controls": _describe_controls(list_verdicts(headline, comparison)),
        "result": headline["sentence"],
        "subgroups": "Results by source, question type and topic: report, Parts of the test set.",
        "limitations": " ".join(describe_limitations(comparison, headline, data, evaluation, judge_summary)),
        "tracks": tracks,
        "tracks_or_none": tracks or "No judge and no people rated the answers.",
        "people": None if ratings_comparison is None else _count_rated(ratings_comparison),
        "blinding": _describe_blinding(judge_summary, ratings_comparison),
        "benchmarks": None if benchmark_comparison is None else _list_exams(benchmark_comparison),
        "compute": " ".join(sentence for sentence in describe_environment(run) if not sentence.startswith("Packages")),
        # what no run of this software has
        **dict.fromkeys(("annotators", "summarisation", "clinical_outcomes", "updating", "deployment")),
    }


def _describe_data(data: dict[str, Any]) -> Facts:
    return {
        "language": data["settings"]["cleaning"]["language"] or "any (not filtered)",
        "sources": _list_sources(data),
        "public_data": _list_public(data),
        "licences": _list_licences(data),
        "splits": describe_splits(data),
        "cleaning": _describe_cleaning(data),
        "left_out": _describe_left_out(data),
        "leakage": describe_leakage(data),
        "generator": _name_generator(data),
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


def _name_code(code: dict[str, Any]) -> str:
    commit = f", commit {code['commit']}" if code["commit"] else ""
    return f"{code['version']}{commit}{' with local changes' if code['dirty'] else ''}"


def _describe_recipe(training: TrainingParams) -> str:
    recipe, lora = training.optimisation, training.lora
    targets = lora.target_modules if isinstance(lora.target_modules, str) else ", ".join(lora.target_modules)
    adapter = f"rank {lora.r}, alpha {lora.alpha}, dropout {lora.dropout:g}, on {targets}; " * (
        training.method == "lora"
    )
    return (
        f"{adapter}{recipe.epochs:g} epochs, AdamW, peak learning rate {recipe.learning_rate:g} ({recipe.schedule}), "
        f"{recipe.effective_batch_size} rows a step, at most {training.max_length} tokens a pair ({training.overlong} "
        f"what is longer), loss on the {training.loss_on}, weights of the {recipe.keep} step, seed {recipe.seed}; all "
        "settings: report, Settings."
    )


def _describe_prompt(prompt: PromptParams) -> str:
    system = " with a system text" if prompt.system else " without a system text"
    return f"Prompt template {' '.join(prompt.template.split())!r}{system}, the same in training and evaluation."


def _describe_decoding(evaluation: EvaluationParams) -> str:
    decoding = evaluation.decoding
    drawn = (
        "Greedy decoding"
        if decoding.temperature == 0
        else f"Sampling at temperature {decoding.temperature:g}, top-p {decoding.top_p:g}, seed {decoding.seed}"
    )
    return f"{drawn}, repetition penalty {decoding.repetition_penalty:g}, at most {decoding.max_new_tokens} tokens."


def _sources(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [source for source in data["sources"] if source["use"] == "data"]


def _list_sources(data: dict[str, Any]) -> str:
    named = [f"{source['title']} ({source['licence']})" for source in _sources(data)]
    return f"Corpora: {', '.join(named)}."


def _list_public(data: dict[str, Any]) -> str | None:
    """Where the corpora are, if all of them are on the hub."""
    sources = _sources(data)
    if not all(source["hub"] for source in sources):
        return None
    named = [f"{source['hub']['id']} at {source['hub']['revision']} ({source['licence']})" for source in sources]
    return f"On the Hugging Face hub: {', '.join(named)}."


def _list_licences(data: dict[str, Any]) -> str | None:
    """The licences, if every one is known."""
    licences = {source["title"]: source["licence"] for source in _sources(data)}
    if any(licence.lower() == "unknown" for licence in licences.values()):
        return None
    return f"Licences: {', '.join(f'{corpus}: {licence}' for corpus, licence in licences.items())}."


def _describe_cleaning(data: dict[str, Any]) -> str:
    cleaning, near = data["settings"]["cleaning"], data["settings"]["deduplication"]["near_jaccard"]
    return (
        f"Answers of {cleaning['min_answer_words']} to {cleaning['max_answer_words']} words were kept, exact and near "
        f"duplicates (Jaccard similarity of {near:g} or more) removed."
    )


def _describe_left_out(data: dict[str, Any]) -> str:
    reasons = [f"{reason['rows']:,} {reason['reason'].replace('_', ' ')}" for reason in data["reasons"]]
    return f"Left out: {', '.join(reasons)}." if reasons else "No row was left out."


def _name_generator(data: dict[str, Any]) -> str | None:
    if data["generator"] is None:
        return None
    return f"Pairs of the corpus 'generated' were written from passages by the language model {data['generator']}."


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
        sentences.append(f"A language model, {judge}, judged answers; by its own checks it {judge_summary['verdict']}.")
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
