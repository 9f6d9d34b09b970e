"""The card of an adapter."""

from __future__ import annotations

from med_lora.engine import Fit
from med_lora.parameters import TrainingParams


def write_card(base: str, training: TrainingParams, result: Fit, rows: int) -> str:
    """Markdown with the hub's metadata head: base model, recipe, losses."""
    lora, recipe = training.lora, training.optimisation
    losses = result.history[result.history["metric"] == "validation_loss"]["value"]
    validation = f"{losses.iloc[0]:.3f} before, {losses.iloc[-1]:.3f} after training" if len(losses) else "not measured"
    return f"""---
base_model: {base}
library_name: peft
pipeline_tag: text-generation
tags: [lora, medical]
---

# LoRA adapter

Trained by med_lora on {rows:,} question-answer pairs; load it with `PeftModel.from_pretrained(base, folder)`.
It is a research artefact and gives no medical advice.

| setting | value |
| --- | --- |
| base model | `{base}` |
| rank, alpha, dropout | {lora.r}, {lora.alpha}, {lora.dropout:g} |
| target modules | {lora.target_modules} |
| epochs, learning rate, batch | {recipe.epochs:g}, {recipe.learning_rate:g}, {recipe.effective_batch_size} |
| longest sequence | {training.max_length} tokens |
| validation loss (nats an answer token) | {validation} |
| tokens trained on | {result.tokens:,} |
"""
