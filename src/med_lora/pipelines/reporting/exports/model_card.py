"""README.md of an adapter or a tuned model for the hub: what it is worth beside base model and null controls."""

from __future__ import annotations

import math
import re
from pathlib import PurePath
from typing import Any

import pandas as pd

from med_lora.parameters import (
    CanariesParams,
    ContinuedPretrainingParams,
    EvaluationParams,
    ModelParams,
    PromptParams,
    TrainingParams,
)
from med_lora.pipelines.reporting.exports.card_facts import (
    describe_environment,
    describe_limitations,
    describe_privacy,
    describe_splits,
)
from med_lora.pipelines.reporting.exports.training_facts import describe_leaks, describe_text, list_texts
from med_lora.pipelines.reporting.headline import find_best_control, judge_control
from med_lora.pipelines.training.card import TERMS, relate_to_base, write_head
from med_lora.report_page.records import Record, read_records
from med_lora.report_page.wording import decimals, in_groups, measured, minus, number, percent, show_p, title

VALUE_FAMILIES = ("loss", "overlap", "meaning", "choice")
# metric here -> its id on https://huggingface.co/metrics; a metric without one keeps its own name in the model index
HUB_METRICS = {
    "perplexity": "perplexity",
    "rouge1": "rouge",
    "rouge2": "rouge",
    "rougeL": "rouge",
    "bleu": "bleu",
    "chrf": "chrf",
    "meteor": "meteor",
    "exact_match": "exact_match",
    "token_f1": "f1",
    "bert_score_f1": "bertscore",
    "choice_accuracy": "accuracy",
}
SHOWN_SETTINGS = (
    *("model.", "prompt.", "continued_pretraining.", "training.", "evaluation.decoding.", "data_engineering.split."),
)


def write_model_card(
    experiment: str,
    description: str,
    headline: dict[str, Any],
    comparison: pd.DataFrame,
    controls: pd.DataFrame,
    forgetting: pd.DataFrame,
    model: ModelParams,
    prompt: PromptParams,
    training: TrainingParams,
    continued_pretraining: ContinuedPretrainingParams,
    evaluation: EvaluationParams,
    canaries: CanariesParams,
    data: dict[str, Any],
    settings: dict[str, Any],
    run: dict[str, Any],
    canary_audit: pd.DataFrame | None = None,
    judge_summary: dict[str, Any] | None = None,
) -> str:
    """Markdown with the hub's metadata head; no text of any record.

    The head names a base model only if the hub knows it, licence ``other`` because the terms of base model and corpora
    add up, corpora only by hub ids, and in the model index the tuned model, the base model and the best null control of
    every metric. Emissions are left out: they follow from the energy and the grid, and no one here knows the grid.

    Args:
        experiment: its name, the model's in the index.
        description: what the experiment asks, one sentence.
        headline: as ``write_headline`` returns it.
        comparison: base against tuned.
        controls: null controls.
        forgetting: general English before and after.
        model: the base model; a revision says that the hub has it.
        prompt: the template it was tuned with.
        training: method and recipe.
        continued_pretraining: whether a first stage made another base model.
        evaluation: level of the intervals, length limit.
        canaries: whether made-up secrets are among the training pairs.
        data: as ``summarise_data`` of the data report returns it.
        settings: as ``describe_settings`` returns it.
        run: as ``describe_run`` returns it.
        canary_audit: exposure of the made-up secrets; None where none were inserted.
        judge_summary: what a judge found, and what its own checks say of it; None without a judge.
    """
    is_full = training.method == "full"
    merged_stage = continued_pretraining.enabled and continued_pretraining.handover == "merged"
    # an adapter for the merged model of a first stage fits no model of the hub; whole weights stand alone
    on_hub = model.revision is not None and (is_full or not merged_stage)
    values = {
        "head": write_head(_describe_head(experiment, model.id, on_hub, is_full, data, comparison, controls)),
        "title": f"{experiment}: {'tuned model' if is_full else 'LoRA adapter'} for medical questions",
        "description": description,
        "sentence": headline["sentence"],
        "is_full": is_full,
        "on_hub": on_hub,
        "merged_stage": merged_stage,
        "has_lora": not is_full or continued_pretraining.enabled,
        "settings": _list_settings(settings, is_full, model.revision is not None),
        "base_sha256": (run.get("base_model") or {}).get("sha256"),
        **_describe_model(model, prompt, is_full, on_hub),
        "merged_from": f"`{model.id}`, commit `{model.revision}`" if merged_stage and model.revision else None,
        **_describe_data(data, training, continued_pretraining),
        **_describe_scores(comparison, controls, forgetting, evaluation),
        "limitations": describe_limitations(comparison, headline, data, evaluation, judge_summary),
        "privacy": describe_privacy(data, canaries, canary_audit),
        "environment": describe_environment(run),
    }
    return _render(values)


def _render(values: dict[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__, package_path=""),
        autoescape=False,  # Markdown, from numbers and settings alone
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return re.sub(r"\n{3,}", "\n\n", environment.get_template("model_card.md.j2").render(values))


def _describe_model(model: ModelParams, prompt: PromptParams, is_full: bool, on_hub: bool) -> dict[str, Any]:
    return {
        "kind": "model" if is_full else "adapter",
        "method": "all weights tuned" if is_full else "tuned by low-rank adaptation (LoRA)",
        "base": f"`{model.id}`" if model.revision is not None else "a base model kept in a local folder",
        "base_argument": f'"{model.id}", revision="{model.revision}"' if on_hub else '"path/of/the/base/model"',
        "quantisation": model.quantisation,
        "template": prompt.template if "\n" not in prompt.template else "of its own, see the settings",
        "system": prompt.system,
    }


def _describe_data(data: dict[str, Any], training: TrainingParams, first: ContinuedPretrainingParams) -> dict[str, Any]:
    return {
        "on_pairs": training.method != "none",
        "trained_on": describe_text(data, training, first),
        "language": data["settings"]["cleaning"]["language"],
        "corpora": [{key: _cell(value) for key, value in row.items()} for row in list_texts(data, training)],
        "split_sentence": describe_splits(data),
        "generator": data["generator"],
        "leak_sentence": describe_leaks(data, training, first),
    }


def _describe_scores(
    comparison: pd.DataFrame, controls: pd.DataFrame, forgetting: pd.DataFrame, evaluation: EvaluationParams
) -> dict[str, Any]:
    return {
        "evaluated_sentence": _describe_evaluation(comparison, evaluation),
        "scores": [_show_scores(row, controls) for row in list_scores(comparison)],
        "confidence": percent(evaluation.confidence),
        "tests": int(comparison["p_value"].notna().sum()),
        "forgetting": [_show_forgetting(row) for row in read_records(forgetting)],
    }


def list_scores(comparison: pd.DataFrame) -> list[Record]:
    """The metrics that say what answers are worth, where they could be computed."""
    kept = comparison["family"].isin(VALUE_FAMILIES) & comparison["tuned"].notna()
    return read_records(comparison[kept])


def _describe_head(
    experiment: str,
    base_id: str,
    on_hub: bool,
    is_full: bool,
    data: dict[str, Any],
    comparison: pd.DataFrame,
    controls: pd.DataFrame,
) -> dict[str, Any]:
    scores = list_scores(comparison)
    language = data["settings"]["cleaning"]["language"]
    hub_ids = [source["hub"]["id"] for source in data["sources"] if source["use"] == "data" and source["hub"]]
    metrics = list(dict.fromkeys(HUB_METRICS[row["metric"]] for row in scores if row["metric"] in HUB_METRICS))
    result = {
        "task": {"type": "text-generation", "name": "Text Generation"},
        "dataset": _describe_dataset(experiment, data),
        "metrics": [entry for row in scores for entry in _index(row, controls)],
    }
    return {
        **relate_to_base(base_id, on_hub, is_full),
        **({"language": [language]} if language else {}),
        **TERMS,
        "library_name": "transformers" if is_full else "peft",
        "pipeline_tag": "text-generation",
        "tags": ["medical", "question-answering", *([] if is_full else ["lora"])],
        **({"datasets": hub_ids} if hub_ids else {}),
        "metrics": metrics,
        "model-index": [{"name": experiment, "results": [result]}],
    }


def _describe_dataset(experiment: str, data: dict[str, Any]) -> dict[str, Any]:
    """The test pairs: the hub's data set where they all come from one, else a name of their own."""
    paired = {corpus["name"] for corpus in data["corpora"]}
    sources = [source for source in data["sources"] if source["use"] == "data" and source["name"] in paired]
    named = {"name": f"Held-out test pairs: {', '.join(source['title'] for source in sources)}"}
    if len(sources) == 1 and sources[0]["hub"]:
        hub = sources[0]["hub"]
        return named | {"type": hub["id"], "revision": hub["revision"]}
    return named | {"type": experiment, "split": "test"}


def _index(row: Record, controls: pd.DataFrame) -> list[dict[str, Any]]:
    """Tuned model, base model and best null control in the model index; a gain alone would mislead."""
    metric, places = row["metric"], decimals(row)
    kind = HUB_METRICS.get(metric, metric)
    values = [("tuned model", row["tuned"], row), ("base model", row["base"], row)]
    entries: list[dict[str, Any]] = []
    for arm, value, bounds in values:
        name = f"{title(metric)}, {arm} {measured(bounds, arm.split()[0], places).partition(' ')[2]}".rstrip()
        entries.append({"type": kind, "value": _round(value), "name": name})
    control = find_best_control(controls, metric) if row["better"] == "higher" else None
    if control is not None:
        name = f"{title(metric)}, null control: {title(control['arm']).lower()}"
        entries.append({"type": kind, "value": _round(control["mean"]), "name": name})
    return [entry for entry in entries if math.isfinite(entry["value"])]


def _round(value: float) -> float:
    return float(f"{value:.5g}")


def _list_settings(settings: dict[str, Any], is_full: bool, on_hub: bool) -> list[tuple[str, str]]:
    """Settings that shape the weights and the answers; where a folder lies on this machine is nobody's business."""
    shown = []
    for key, value, _ in settings["rows"]:
        if not key.startswith(SHOWN_SETTINGS) or (is_full and key.startswith("training.lora.")):
            continue
        known = value if key != "model.id" or on_hub else f"{PurePath(value).name} (local folder)"
        shown.append((key, _cell(known)))
    return shown


def _describe_evaluation(comparison: pd.DataFrame, evaluation: EvaluationParams) -> str:
    pairs, groups = int((comparison["n"] + comparison["excluded"]).max()), int(comparison["groups"].max())
    excluded = int(comparison["excluded"].max())
    left_out = f" {excluded} of them are left out of the text metrics ({', '.join(evaluation.exclude)})." * bool(
        excluded
    )
    return f"Both models answered the same {pairs:,} held-out questions {in_groups({'groups': groups})}.{left_out}"


def _show_scores(row: Record, controls: pd.DataFrame) -> dict[str, str]:
    places = decimals(row)
    shown = {name: minus(measured(row, name, places)) for name in ("base", "tuned", "difference")}
    arrow = {"higher": " ↑", "lower": " ↓"}.get(row["better"], "")
    shown |= {"metric": title(row["metric"]) + arrow, "n": str(row["n"]), "p": show_p(row["p_holm"])}
    shown |= {"control": "–", "beaten": "–"}
    control = find_best_control(controls, row["metric"]) if row["better"] == "higher" else None
    if control is not None and not (row["base"] or row["tuned"] or control["mean"]):
        shown["beaten"] = "nothing to beat: 0 throughout"
    elif control is not None:
        shown["control"] = f"{title(control['arm']).lower()} {measured(control, 'mean', places)}"
        shown["beaten"] = {"beaten": "yes", "not beaten": "no", "unclear": "not clearly"}[judge_control(control)]
    return shown


def _show_forgetting(row: Record) -> dict[str, str]:
    named = row | {"metric": row["measure"], "difference_low": row["low"], "difference_high": row["high"]}
    places = decimals(named)
    shown = {name: number(row[name], places) for name in ("base", "tuned")}
    difference = minus(measured(named, "difference", places))
    return shown | {"measure": title(row["measure"]), "n": f"{row['n']} documents", "difference": difference}


def _cell(value: Any) -> str:
    """Text as a cell of a Markdown table."""
    return str(value).replace("|", "\\|").replace("\n", " ")
