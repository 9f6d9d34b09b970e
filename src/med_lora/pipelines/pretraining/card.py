"""The model card of a pre-trained base model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.engine import Fit
from med_lora.parameters import HardwareParams, PretrainingParams

# file of the general corpus -> what it is and under which licence it stands
SOURCES = {
    "openstax_introduction-anthropology.md": "*Introduction to Anthropology*, OpenStax, Rice University, CC BY 4.0",
    "openstax_life-liberty-and-pursuit-happiness.md": "*Life, Liberty, and the Pursuit of Happiness*, Bill of Rights "
    "Institute and OpenStax, CC BY 4.0",
    "openstax_principles-economics-3e.md": "*Principles of Economics 3e*, OpenStax, Rice University, CC BY 4.0",
    "wikitext2_valid.txt": "WikiText-2 (raw articles of English Wikipedia), validation part, CC BY-SA 3.0",
    "wikitext2_test.txt": "WikiText-2 (raw articles of English Wikipedia), test part, CC BY-SA 3.0",
}


def write_card(
    model: Any,
    tokenizer: Any,
    general_text: pd.DataFrame,
    pretraining: PretrainingParams,
    hardware: HardwareParams,
    result: Fit,
    loss: float,
    samples: list[str],
) -> str:
    """Markdown with the hub's metadata head: data, licences, recipe, loss, time, samples, limits."""
    shape, recipe = pretraining.architecture, pretraining.optimisation
    words = general_text["text"].map(lambda text: len(text.split()))
    files = general_text["document"].str.rsplit(":", n=1).str[0]
    data = "\n".join(
        f"- `{name}`: {SOURCES.get(name, 'source and licence not recorded')} ({words[files == name].sum():,} words)"
        for name in pretraining.corpus
    )
    licence, terms = _terms(pretraining.corpus)
    quoted = "\n\n".join("> " + sample.replace("\n", "\n> ") for sample in samples)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return f"""---
language: en
license: {licence}
library_name: transformers
pipeline_tag: text-generation
---

# embedded-base

A Llama model of {parameters:,} parameters, trained from scratch on general English by the `pretraining` pipeline of
med_lora. It exists so that the project's default experiment runs anywhere, without a download. It knows no medicine
on purpose: fine-tuning it on medical text is a true change of domain. It is far too small to be useful for anything
else, and nothing it says is to be relied upon.

## Data and licences

{data}

{terms}

## Recipe

| setting | value |
| --- | --- |
| layers, heads | {shape.layers}, {shape.heads} |
| width, feed-forward width | {shape.hidden_size}, {shape.intermediate_size}; embeddings tied |
| tokenizer | byte-level BPE, {len(tokenizer):,} entries, trained on the same text |
| rows | {pretraining.block_length} tokens |
| tokens passed through the model | {result.tokens:,} ({recipe.epochs:g} epochs) |
| optimiser | AdamW, weight decay {recipe.weight_decay:g} |
| learning rate | peak {recipe.learning_rate:g}, {recipe.schedule}, warm-up {recipe.warmup_ratio:g} |
| batch | {recipe.effective_batch_size} rows |
| arithmetic | {hardware.precision} on {hardware.device}; weights stored in bf16 |
| seed | {recipe.seed} |

## Result

Loss {loss:.3f} nats a token (perplexity {math.exp(loss):.1f}) on held-out documents of the same sources
({pretraining.validation_fraction:.0%} of them).

## Samples

Sampled with temperature 0.7 and top-p 0.9; the beginnings were given.

{quoted}
"""


def _terms(corpus: Sequence[str]) -> tuple[str, str]:
    """The hub's licence tag and what the card says of rights: a claim only where every source is on record."""
    unknown = [name for name in corpus if name not in SOURCES]
    if unknown:
        return (
            "unknown",
            f"The licence of {', '.join(unknown)} is not on record, so these weights must not be passed on.",
        )
    return "cc-by-sa-4.0", (
        "The weights are given under CC BY-SA 4.0, as the share-alike part of the data asks. No medical corpus and no\n"
        "text under a non-commercial licence was used. Sentences with WikiText's unknown-word mark were dropped, and\n"
        "its tokenisation was undone."
    )
