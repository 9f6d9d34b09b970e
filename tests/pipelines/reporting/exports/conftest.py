"""What the exports take besides the tables of a run: a summary of its data, its settings, the record of its machine."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from med_lora.parameters import CanariesParams, ContinuedPretrainingParams, ModelParams, PromptParams, TrainingParams
from med_lora.pipelines.reporting.headline import write_headline
from tests import recipes

EARLIER = "2026-11-21T22.05.00.000Z"
COMMIT = "8c0bd2e9a1f34d5e6f708192a3b4c5d6e7f80912"


@pytest.fixture
def data() -> dict[str, Any]:
    """As the data report summarises two corpora, of which the first lies on the hub."""
    hub = {"id": "wangrongsheng/GenMedGPT-5k-en", "revision": COMMIT}
    return {
        "rows": {"read": 469, "kept": 438, "left_out": 31},
        "corpora": [
            {"name": "genmedgpt", "title": "GenMedGPT-5k", "read": 412, "kept": 381, "left_out": {"clean": 31}},
            {"name": "medquad", "title": "MedQuAD", "read": 57, "kept": 57, "left_out": {}},
        ],
        "reasons": [{"stage": "clean", "reason": "answer_too_short", "rows": 31, "corpora": {"GenMedGPT-5k": 31}}],
        "sources": [
            {"name": "genmedgpt", "title": "GenMedGPT-5k", "use": "data", "licence": "Apache-2.0", "hub": hub},
            {"name": "medquad", "title": "MedQuAD", "use": "data", "licence": "CC-BY-4.0", "hub": None},
            {"name": "pubmedqa", "title": "PubMedQA", "use": "benchmark", "licence": "MIT", "hub": hub},
        ],
        "screening": [
            {"name": "names", "action": "report", "found": 3, "left_out": 0},
            {"name": "phones", "action": "mask", "found": 2, "left_out": 0},
        ],
        "splits": [
            {"name": name, "pairs": pairs, "groups": groups, "corpora": {}}
            for name, pairs, groups in (("train", 338, 120), ("validation", 40, 15), ("test", 60, 60))
        ],
        "leakage": [{"split": "test", "kind": "exact_question", "pairs": 0, "of": 60, "share": 0.0}],
        "generator": None,
        "settings": {
            "cleaning": {"min_answer_words": 5, "max_answer_words": 400, "language": "en"},
            "deduplication": {"near_jaccard": 0.5},
            "split": {"mode": "group"},
        },
    }


@pytest.fixture
def run() -> dict[str, Any]:
    """As a run on a CPU without a counter of energy describes itself."""
    return {
        "id": "2026-11-22T03.14.00.123Z",
        "started": "2026-11-22T03:14:00Z",
        "code": {"version": "0.1.0", "commit": COMMIT, "dirty": True},
        "python": "3.11.2",
        "packages": [("torch", "2.13.0"), ("peft", "0.21.0")],
        "machine": {"kind": "2 x Intel Xeon", "system": "Linux"},
        "base_model": {"id": "embedded-base", "revision": None, "sha256": "e7c9" * 16, "tokenizer_sha256": "f" * 64},
        "steps": [
            {"run": EARLIER, "outputs": ["adapter", "training_history"], "seconds": 33.2},
            {"run": "2026-11-22T03.14.00.123Z", "outputs": ["tuned_answers"], "seconds": 9.0},
        ],
        "seconds": 150.0,
        "energy": {"joules": None, "source": None, "note": "no counter"},
        "peak_memory": {"ram_gib": 1.9, "gpu_gib": None},
        "note": "",
    }


@pytest.fixture
def hub_model() -> ModelParams:
    return recipes.model_params(id="meta-llama/Llama-3.2-1B", revision=COMMIT)


@pytest.fixture
def card_inputs(
    comparison: pd.DataFrame,
    controls: pd.DataFrame,
    forgetting: pd.DataFrame,
    parameters: dict[str, Any],
    data: dict[str, Any],
    run: dict[str, Any],
) -> dict[str, Any]:
    """Arguments of ``write_model_card`` for a LoRA adapter of a local base model."""
    training: TrainingParams = parameters["params:training"]
    model: ModelParams = parameters["params:model"]
    prompt: PromptParams = parameters["params:prompt"]
    canaries: CanariesParams = parameters["params:canaries"]
    experiment, description = parameters["params:experiment"], parameters["params:description"]
    evaluation = parameters["params:evaluation"]
    rows = [
        ("model.id", model.id, "the base model"),
        ("prompt.template", "plain | piped", "a template with a pipe"),
        ("training.lora.r", "16", "rank"),
        ("training.optimisation.seed", "20240501", "seed"),
        ("evaluation.bootstrap_samples", "2000", "not a setting of the weights"),
    ]
    first_stage = ContinuedPretrainingParams(
        enabled=False,
        block_length=64,
        validation_fraction=0.1,
        handover="merged",
        lora=recipes.lora(),
        optimisation=recipes.optimisation(),
    )
    return {
        "experiment": experiment,
        "description": description,
        "headline": write_headline(comparison, controls, experiment, evaluation, canaries),
        "comparison": comparison,
        "controls": controls,
        "forgetting": forgetting,
        "model": model,
        "prompt": prompt,
        "training": training,
        "continued_pretraining": first_stage,
        "evaluation": evaluation,
        "canaries": canaries,
        "data": data,
        "settings": {"description": description, "rows": rows},
        "run": run,
    }
