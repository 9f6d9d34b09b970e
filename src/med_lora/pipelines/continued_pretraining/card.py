"""The card of a domain adapter."""

from __future__ import annotations

from typing import Any

import pandas as pd

from med_lora.pipelines.training.card import (
    TERMS,
    describe_lora,
    describe_losses,
    describe_machine,
    describe_optimisation,
    identify_base,
    name_base,
    relate_to_base,
    say_how_to_load,
    write_head,
)
from med_lora.pipelines.training.job import Outcome, TrainingJob
from med_lora.report_page.wording import percent


def write_card(job: TrainingJob, validation_fraction: float, outcome: Outcome, passages: pd.DataFrame) -> str:
    """Markdown with the hub's metadata head: base model, text by corpus and licence, recipe, losses, how to load it.

    Args:
        job: what was trained.
        validation_fraction: part of the passages that was held out.
        outcome: what came of it.
        passages: columns corpus, licence; the held-out ones included.
    """
    base = name_base(job.base_model)
    corpora = "\n".join(
        f"| `{corpus}` | {licence} | {len(rows):,} |"
        for (corpus, licence), rows in passages.groupby(["corpus", "licence"], sort=False)
    )
    rows = {
        "base model": f"`{base}`",
        **identify_base(job),
        "method": "continued pre-training, no question is asked",
        **describe_lora(job.training.lora),
        "loss on": job.training.loss_on,
        "rows": f"{outcome.rows:,} of {job.training.max_length} tokens at most, passages joined by EOS",
        "held out": f"{percent(validation_fraction)} of the passages, in whole chapters where there are several",
        **describe_optimisation(job.training.optimisation),
        **describe_machine(job.hardware),
        "trained weights": f"{outcome.trainable:,} of {outcome.parameters:,}",
        "tokens trained on": f"{outcome.tokens:,}",
        "kept": f"weights of step {outcome.step}",
        "validation loss (nats a token)": describe_losses(outcome.history, outcome.step),
    }
    table = "\n".join(f"| {setting} | {value} |" for setting, value in rows.items())
    on_hub = job.base_model.sha256 is None
    head: dict[str, Any] = {**relate_to_base(job.base_model.source, on_hub, is_full=False), **TERMS}
    head |= {"library_name": "peft", "pipeline_tag": "text-generation", "tags": ["lora", "medical"]}
    return f"""{write_head(head)}
# Domain adapter

LoRA adapter from continued pre-training on plain text by med_lora, on no question-answer pair; instruction tuning may
go on from it. It is a research artefact and gives no medical advice.
The licences of the base model and of the text below apply; put their terms into a file LICENSE beside this card before
it is published.

{say_how_to_load(base, job.model.quantisation, is_full=False)} It knows no prompt: text was trained on as it stands.

| corpus | licence | passages |
| --- | --- | --- |
{corpora}

| setting | value |
| --- | --- |
{table}

`med_lora.json` beside this card names the base model, the tokenizer and the passages by their hashes.
"""
