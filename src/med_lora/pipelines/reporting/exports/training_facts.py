"""What the model was trained on and how, as sentences of a model card and of the reporting checklists."""

from __future__ import annotations

from collections import Counter
from typing import Any

from med_lora.parameters import ContinuedPretrainingParams, LoraParams, OptimisationParams, PromptParams, TrainingParams
from med_lora.pipelines.reporting.exports.card_facts import describe_leakage
from med_lora.report_page.wording import percent


def describe_text(data: dict[str, Any], training: TrainingParams, first: ContinuedPretrainingParams) -> str:
    """The training text of the last stage, counted."""
    if training.method == "none":
        passages = sum(group["passages"] for group in data["passages"])
        held = f"{percent(first.validation_fraction)} of them held out for its validation loss"
        return f"{passages:,} passages of plain text about medicine ({held}), and on no question-answer pair,"
    pairs = next(split["pairs"] for split in data["splits"] if split["name"] == "train")
    return f"{pairs:,} question-answer pairs about medicine"


def list_texts(data: dict[str, Any], training: TrainingParams) -> list[dict[str, str]]:
    """Title, licence and kept number of each corpus: pairs, or passages where nothing else was trained on.

    Corpora that pairs were made from, or that were trained on before, are listed with them, without pairs.
    """
    if training.method == "none":
        counted: Counter[tuple[str, str]] = Counter()
        for group in data["passages"]:
            counted[group["corpus"], group["licence"]] += group["passages"]
        return [
            {"title": title, "licence": licence, "kept": f"{count:,}"} for (title, licence), count in counted.items()
        ]
    kept = {corpus["name"]: f"{corpus['kept']:,}" for corpus in data["corpora"]}
    return [
        {"title": source["title"], "licence": source["licence"], "kept": kept.get(source["name"], "–")}
        for source in data["sources"]
        if source["use"] == "data"
    ]


def describe_leaks(data: dict[str, Any], training: TrainingParams, first: ContinuedPretrainingParams) -> str:
    """What is known of test pairs that stand in the training text."""
    recall = describe_recall(data, training, first)
    if training.method == "none":
        return recall
    return " ".join(filter(None, [describe_leakage(data), recall]))


def describe_recall(data: dict[str, Any], training: TrainingParams, first: ContinuedPretrainingParams) -> str:
    """That the tuned model read the text behind test pairs; "" without continued pre-training.

    Args:
        data: as ``summarise_data`` returns it; of it whether a language model wrote pairs from the passages.
        training: whether anything was trained on pairs.
        first: whether anything was trained on passages.
    """
    if not first.enabled:
        return ""
    none, written = training.method == "none", data["generator"] is not None
    if written:
        read = "the passages that test pairs were written from, so that scores tell of recall and not of transfer"
    else:
        read = "the passages; where test pairs stand in their sources, scores tell of recall and not of transfer"
    who = "The tuned model saw none of the pairs, but it read" if none else "Continued pre-training read"
    return f"{who} {read}, and no leak check looks into passages."


def describe_method(training: TrainingParams) -> str:
    """LoRA or all weights, and on plain text where nothing else was trained on."""
    return {
        "lora": "low-rank adaptation (LoRA)",
        "full": "training all weights",
        "none": "low-rank adaptation (LoRA) by continued pre-training on plain text alone",
    }[training.method]


def describe_recipe(training: TrainingParams, first: ContinuedPretrainingParams) -> str:
    """The settings of training in one sentence, those of continued pre-training first where it took place."""
    stages = []
    if first.enabled:
        stages.append(
            f"on plain text: {_describe_lora(first.lora)}{_describe_steps(first.optimisation)}, "
            f"{first.block_length} tokens a row, loss on all, {_describe_end(first.optimisation)}"
        )
    if training.method != "none":
        adapter = _describe_lora(training.lora) if training.method == "lora" else ""
        stages.append(
            f"{'on pairs: ' * first.enabled}{adapter}{_describe_steps(training.optimisation)}, at most "
            f"{training.max_length} tokens a pair ({training.overlong} what is longer), loss on the "
            f"{training.loss_on}, {_describe_end(training.optimisation)}"
        )
    return f"{'; then '.join(stages)}; all settings: report, Settings."


def _describe_lora(lora: LoraParams) -> str:
    targets = lora.target_modules if isinstance(lora.target_modules, str) else ", ".join(lora.target_modules)
    return f"rank {lora.r}, alpha {lora.alpha}, dropout {lora.dropout:g}, on {targets}; "


def _describe_steps(recipe: OptimisationParams) -> str:
    return (
        f"{recipe.epochs:g} epochs, AdamW, peak learning rate {recipe.learning_rate:g} ({recipe.schedule}), "
        f"{recipe.effective_batch_size} rows a step"
    )


def _describe_end(recipe: OptimisationParams) -> str:
    return f"weights of the {recipe.keep} step, seed {recipe.seed}"


def describe_prompt(prompt: PromptParams, training: TrainingParams) -> str:
    """The template, and where it was used."""
    system = " with a system text" if prompt.system else " without a system text"
    where = "in evaluation alone" if training.method == "none" else "the same in training and evaluation"
    return f"Prompt template {' '.join(prompt.template.split())!r}{system}, {where}."


def describe_tuning(training: TrainingParams) -> str:
    """Whether the model was tuned to follow instructions."""
    if training.method == "none":
        return "No instruction tuning by this project, only continued pre-training on plain text; in evaluation:"
    return "Instruction tuning on question-answer pairs:"
