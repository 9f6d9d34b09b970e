"""The card of a domain adapter."""

from __future__ import annotations

from typing import Any

import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.parameters import ContinuedPretrainingParams
from med_lora.pipelines.training.card import TERMS, name_base, relate_to_base, write_head
from med_lora.pipelines.training.job import Outcome


def write_card(
    base_model: BaseModel, params: ContinuedPretrainingParams, outcome: Outcome, passages: pd.DataFrame
) -> str:
    """Markdown with the hub's metadata head: base model, text by corpus and licence, recipe, losses."""
    lora, recipe = params.lora, params.optimisation
    history = outcome.history
    losses = history[history["metric"] == "validation_loss"].set_index("step")["value"]
    before, after = losses.iloc[0], losses.get(outcome.step, losses.iloc[-1])
    corpora = "\n".join(
        f"| `{corpus}` | {licence} | {len(rows):,} |"
        for (corpus, licence), rows in passages.groupby(["corpus", "licence"], sort=False)
    )
    head: dict[str, Any] = {**relate_to_base(base_model.source, base_model.sha256 is None, is_full=False), **TERMS}
    head |= {"library_name": "peft", "pipeline_tag": "text-generation", "tags": ["lora", "medical"]}
    return f"""{write_head(head)}
# Domain adapter

LoRA adapter from continued pre-training on plain text by med_lora: every token counts, no question is asked. It is the
stage before instruction tuning, a research artefact, and gives no medical advice. The licences of the base model and of
the text below apply.

| corpus | licence | passages |
| --- | --- | --- |
{corpora}

| setting | value |
| --- | --- |
| base model | `{name_base(base_model)}` |
| rank, alpha, dropout | {lora.r}, {lora.alpha}, {lora.dropout:g} |
| target modules | {lora.target_modules} |
| epochs, learning rate, batch | {recipe.epochs:g}, {recipe.learning_rate:g}, {recipe.effective_batch_size} |
| rows | {params.block_length} tokens |
| kept | weights of step {outcome.step} |
| validation loss (nats a token) | {before:.3f} before, {after:.3f} after training |
| tokens trained on | {outcome.tokens:,} |
"""
