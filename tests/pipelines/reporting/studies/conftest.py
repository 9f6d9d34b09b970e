"""The studies of the configuration, and a small run whose every number is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from med_lora.parameters import StudyParams

from ....conftest import ROOT

NAN = math.nan
ENDS = ("", "_low", "_high")
# base, tuned, Holm's p, Mann-Whitney p
METRICS = {
    "perplexity": (30.0, 12.0, 0.01, 0.04),
    "bleu": (1.0, 2.5, 0.02, 0.5),
    "rouge1": (0.20, 0.25, 0.03, 0.06),
    "rougeL": (0.15, 0.18, 0.04, 0.07),
    "token_f1": (0.10, 0.20, 0.05, 0.08),
    "exact_match": (0.0, 0.0, 1.0, 1.0),
}


def spread(name: str, value: float) -> dict[str, float]:
    return dict(zip([f"{name}{end}" for end in ENDS], (value, value - 0.01, value + 0.01), strict=True))


@pytest.fixture(scope="session")
def raw_studies() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(Path(ROOT / "conf/base/parameters_studies.yml").read_text())["studies"]
    return values


@pytest.fixture(scope="session")
def studies(raw_studies: dict[str, Any]) -> dict[str, StudyParams]:
    return {name: StudyParams.model_validate(values) for name, values in raw_studies.items()}


@pytest.fixture(scope="session")
def parameters() -> dict[str, Any]:
    """A run like study C but for the model, the rate and the metric's beta."""
    return {
        "model": {"id": "data/06_models/embedded-base", "quantisation": "none"},
        "corpora": {"genmedgpt": {"title": "GenMedGPT-5k"}, "medquad": {"title": "MedQuAD"}},
        "data_engineering": {
            "corpora": ["genmedgpt"],
            "question_generation": None,
            "split": {"mode": "random", "train": None, "validation": 120, "test": 60},
        },
        "prompt": {"template": "plain"},
        "training": {
            "method": "lora",
            "loss_on": "answer",
            "max_length": 256,
            "lora": {"r": 16, "alpha": 32, "dropout": 0.0, "target_modules": "all-linear"},
            "optimisation": {
                "epochs": 1,
                "learning_rate": 3e-3,
                "effective_batch_size": 1,
                "warmup_ratio": 0.05,
                "max_grad_norm": 1.0,
            },
        },
        "continued_pretraining": {"enabled": True},
        "evaluation": {"rouge_beta": 1.0},
        "retrieval": {"enabled": False, "method": "fused", "store": "exact", "encoder": {"id": "small"}},
    }


@pytest.fixture(scope="session")
def tables() -> dict[str, Any]:
    """The tables that every run has."""
    rows = []
    for metric, (base, tuned, p_holm, mann_whitney_p) in METRICS.items():
        row: dict[str, Any] = {"metric": metric, "n": 60, "signature": f"{metric}; version 1", "p_holm": p_holm}
        row |= {"mann_whitney_p": mann_whitney_p, **spread("base", base), **spread("tuned", tuned)}
        rows.append(row | spread("difference", tuned - base) | spread("ratio", tuned / base - 1 if base else NAN))
    corpus = [{"arm": "tuned", "metric": "sacrebleu", "n": 60, "value": 1.7, "low": 1.2, "high": 2.2}]
    padded = {"quantity": "perplexity", "variant": "padding and prompt counted", "n": 60, "base": 9.0, "tuned": 4.0}
    history = [(0, "validation_loss", 5.0), *((step, "validation_loss", 5 - step / 100) for step in (60, 120))]
    history += [(step, "train_loss", float(step)) for step in range(1, 121)]
    return {
        "comparison": pd.DataFrame(rows),
        "corpus_scores": pd.DataFrame(corpus).assign(signature="sacrebleu|13a"),
        "as_published": pd.DataFrame([padded]),
        "training_history": pd.DataFrame(history, columns=["step", "metric", "value"]).assign(epoch=0.0),
    }


@pytest.fixture(scope="session")
def scores() -> pd.DataFrame:
    """Scores of three questions, one of them unknown."""
    rows = [
        (pair, arm, metric, score)
        for arm in ("base", "tuned", "tuned_rag")
        for metric, values in {
            "bleu": (1.0, 7.5, NAN),
            "refusal": (0.0, 1.0, 0.0),
            "cites_passage": (1.0, 0.0, NAN),
        }.items()
        for pair, score in zip("abc", values, strict=True)
    ]
    return pd.DataFrame(rows, columns=["id", "arm", "metric", "score"]).assign(group=0)


@pytest.fixture(scope="session")
def judge_comparison() -> pd.DataFrame:
    row: dict[str, Any] = {"reference": "base", "arm": "tuned", "metric": "judge_accuracy", "n": 20}
    row |= {"reference_mean": 2.0, "reference_low": 1.8, "reference_high": 2.2, "arm_mean": 3.0, "arm_low": 2.7}
    row |= {"arm_high": 3.3, "p_holm": 0.2, "mann_whitney_p": 0.02, "signature": "judge small"}
    return pd.DataFrame([row | spread("difference", 1.0) | spread("ratio", 0.5)])


@pytest.fixture(scope="session")
def forgetting() -> pd.DataFrame:
    row = {"measure": "bits_per_byte", "n": 14, "base": 2.1, "tuned": 2.4, "difference": 0.3}
    return pd.DataFrame([row | {"low": 0.2, "high": 0.4, "note": ""}])
