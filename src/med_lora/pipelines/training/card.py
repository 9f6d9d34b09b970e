"""The card of an adapter or a tuned model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from med_lora.datasets.base_model import BaseModel
from med_lora.parameters import HardwareParams, LoraParams, OptimisationParams, TrainingParams
from med_lora.pipelines.stages import SavedModel

if TYPE_CHECKING:
    import pandas as pd

    from med_lora.pipelines.training.job import Outcome, TrainingJob

# The terms of base model and corpora differ and no one licence states both; the hub then asks for a name and a link.
TERMS = {"license": "other", "license_name": "base-model-and-training-text", "license_link": "LICENSE"}


def write_card(job: TrainingJob, outcome: Outcome, canaries: int) -> str:
    """Markdown with the hub's metadata head: base model, recipe, losses, how to load it.

    Args:
        job: what was trained.
        outcome: what came of it.
        canaries: training rows that held a made-up secret.
    """
    base, is_full = name_base(job.base_model), job.training.method == "full"
    title, library, tags = (
        ("Fine-tuned model", "transformers", ["medical"]) if is_full else ("LoRA adapter", "peft", ["lora", "medical"])
    )
    rows = {
        "base model": f"`{base}`",
        **identify_base(job),
        "first stage": _first_stage(job),
        **_recipe(job.training),
        **describe_machine(job.hardware),
        "trained weights": f"{outcome.trainable:,} of {outcome.parameters:,}",
        "tokens trained on": f"{outcome.tokens:,}",
        **({"canaries": f"{canaries} rows hold made-up secrets of an audit: not for use"} if canaries else {}),
        "kept": f"weights of step {outcome.step}",
        "validation loss (nats a token)": describe_losses(outcome.history, outcome.step),
    }
    table = "\n".join(f"| {setting} | {value} |" for setting, value in rows.items())
    head: dict[str, Any] = {**relate_to_base(job.base_model.source, job.base_model.sha256 is None, is_full), **TERMS}
    head |= {"library_name": library, "pipeline_tag": "text-generation", "tags": tags}
    return f"""{write_head(head)}
# {title}

Trained by med_lora on {outcome.rows:,} question-answer pairs. It is a research artefact and gives no medical advice.
The licences of the base model and of the text it was trained on apply; put their terms into a file LICENSE beside this
card before it is published.

{say_how_to_load(base, job.model.quantisation, is_full)}

| setting | value |
| --- | --- |
{table}

`med_lora.json` beside this card names the base model, the tokenizer, the prompt and the training pairs by their hashes.
"""


def write_head(metadata: Mapping[str, Any]) -> str:
    """The metadata head of a card for the hub (https://github.com/huggingface/hub-docs, modelcard.md), in YAML."""
    import yaml

    return f"---\n{yaml.safe_dump(dict(metadata), sort_keys=False, allow_unicode=True, width=120)}---\n"


def relate_to_base(base_id: str, on_hub: bool, is_full: bool) -> dict[str, str]:
    """The fields that link a card to its base model: none for a local folder, which the hub would refuse or mistake."""
    return {"base_model": base_id, "base_model_relation": "finetune" if is_full else "adapter"} if on_hub else {}


def name_base(base_model: BaseModel) -> str:
    """The hub's id, or a folder's name: where it lies is of no account elsewhere, and its hash tells which it is."""
    return base_model.source if base_model.sha256 is None else Path(base_model.source).absolute().name


def _first_stage(job: TrainingJob) -> str:
    if job.start is not None:
        return "continued pre-training on plain text, whose adapter was trained further"
    if not isinstance(job.base_model, SavedModel):
        return "none"
    first, commit = job.model.id, job.model.revision
    origin = f"`{first}` at commit `{commit}`" if commit else f"`{Path(first).absolute().name}`"
    return f"continued pre-training of {origin} on plain text, merged"


def identify_base(job: TrainingJob) -> dict[str, str]:
    """Rows of the table that tell which base model it was, and how it was loaded."""
    base = job.base_model
    identity = f"commit `{base.revision}`" if base.sha256 is None else f"SHA-256 `{base.sha256[:16]}`"
    return {"its identity": identity, "its quantisation": job.model.quantisation}


def _recipe(training: TrainingParams) -> dict[str, Any]:
    return {
        "method": training.method,
        **(describe_lora(training.lora) if training.method == "lora" else {}),
        "loss on": training.loss_on,
        "longest sequence": f"{training.max_length} tokens; longer pairs: {training.overlong}",
        **describe_optimisation(training.optimisation),
    }


def describe_lora(lora: LoraParams) -> dict[str, str]:
    """Rows of the table about the adapter's shape."""
    kinds = {"rsLoRA": lora.use_rslora, "DoRA": lora.use_dora}
    targets = lora.target_modules if isinstance(lora.target_modules, str) else ", ".join(lora.target_modules)
    return {
        "rank, alpha, dropout": f"{lora.r}, {lora.alpha}, {lora.dropout:g}",
        "target modules": targets,
        "variant": ", ".join(name for name, used in kinds.items() if used) or "LoRA",
        "initialisation": lora.initialisation,
    }


def describe_optimisation(recipe: OptimisationParams) -> dict[str, Any]:
    """Rows of the table about the steps of training."""
    return {
        "epochs, learning rate, batch": (
            f"{recipe.epochs:g}, {recipe.learning_rate:g}, {recipe.effective_batch_size} ({recipe.batches})"
        ),
        "schedule, warm-up, weight decay": f"{recipe.schedule}, {recipe.warmup_ratio:g}, {recipe.weight_decay:g}",
        "gradient norm at most": f"{recipe.max_grad_norm:g}",
        "LoRA+ ratio, NEFTune alpha": f"{_or_none(recipe.lora_plus_ratio)}, {_or_none(recipe.neftune_alpha)}",
        "weights kept, patience": f"{recipe.keep}, {_or_none(recipe.patience)}",
        "seed": recipe.seed,
    }


def describe_machine(hardware: HardwareParams) -> dict[str, str]:
    """Row of the table about the machine."""
    count = hardware.processes * hardware.machines
    ranks = (
        "1 process"
        if count == 1
        else f"{count} processes ({hardware.machines} x {hardware.processes}), {hardware.sharding}"
    )
    return {"hardware": f"{hardware.gpu or 'CPU'}, {hardware.precision}, {ranks}, attention {hardware.attention}"}


def describe_losses(history: pd.DataFrame, step: int) -> str:
    """Validation loss before training and at ``step``, whose weights were kept."""
    losses = history[history["metric"] == "validation_loss"].set_index("step")["value"]
    if losses.empty:
        return "not measured"
    last = losses.loc[step] if step in losses.index else losses.iloc[-1]
    return f"{losses.iloc[0]:.3f} before, {last:.3f} after training"


def say_how_to_load(base: str, quantisation: str, is_full: bool) -> str:
    """One sentence with the calls."""
    if is_full:
        return "Load it with `AutoModelForCausalLM.from_pretrained(folder)`."
    quantised = f", quantised to {quantisation}," if quantisation != "none" else ""
    return (
        f"Load the base model `{base}`{quantised} with `AutoModelForCausalLM.from_pretrained`, then put the adapter on "
        "it with `PeftModel.from_pretrained(base, folder)`."
    )


def _or_none(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
