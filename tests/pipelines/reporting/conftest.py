"""A made-up run: sixty pairs scored for both arms, three controls and the references, compared by the evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from med_lora.metrics.definition import Metric, tabulate_metrics
from med_lora.parameters import (
    ContinuedPretrainingParams,
    EvaluationParams,
    LatencyParams,
    PromptParams,
    ReportingParams,
    ScreeningParams,
)
from med_lora.pipelines.evaluation.comparison.arms import compare_arms
from tests import recipes

from .made_up_run import CHECKLIST, describe_made_up_run
from .texts import BASE, QUESTIONS, REFERENCE, TUNED

PAIRS = 60


@dataclass(frozen=True)
class Table:
    """A split as the catalog hands it over, without the datasets library."""

    frame: pd.DataFrame

    def to_pandas(self) -> pd.DataFrame:
        return self.frame.copy()

    def __len__(self) -> int:
        return len(self.frame)


def ids() -> list[str]:
    return [f"genmedgpt:{number:05d}" for number in range(PAIRS)]


def make_metrics() -> pd.DataFrame:
    """What the scores are, and one that could not be had."""
    overlap = [
        Metric(name, "overlap", "higher", True, f"{name}, version 1")
        for name in ("rouge1", "rouge2", "rougeL", "bleu", "exact_match", "token_f1")
    ]
    flags = [Metric(name, "flag", "lower", False, f"{name} of all") for name in ("answer_cut", "answer_empty")]
    return tabulate_metrics(
        [
            Metric("perplexity", "loss", "lower", True, "exp of nats"),
            Metric("bits_per_byte", "loss", "lower", False, "nats by bytes"),
            *overlap,
            Metric(
                "bert_score_f1", "meaning", "higher", True, "greedy matches", "the folder encoders/small is missing"
            ),
            Metric("length_ratio", "conduct", "neither", False, "words by words"),
            *flags,
        ]
    )


def make_scores(tuned_gain: float, cut: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Scores, base losses and tuned losses; ``cut`` answers of the base model did not end."""
    generator = np.random.default_rng(7)
    levels = {"rouge1": 0.22, "rouge2": 0.05, "rougeL": 0.14, "bleu": 3.0, "exact_match": 0.0, "token_f1": 0.2}
    offsets = {
        "base": 0.6,
        "tuned": 0.6 + tuned_gain,
        "shuffled_reference": 0.9,
        "echoed_question": 0.7,
        "nearest_training_answer": 1.1,
    }
    tables = []
    for arm, factor in offsets.items():
        for metric, level in levels.items():
            values = np.clip(level * factor + level * 0.3 * generator.standard_normal(PAIRS), 0, None)
            tables.append(pd.DataFrame({"id": ids(), "arm": arm, "metric": metric, "score": values}))
    for arm in (*offsets, "gold"):
        ratio = np.clip(1 + 0.4 * generator.standard_normal(PAIRS), 0.1, None)
        tables.append(pd.DataFrame({"id": ids(), "arm": arm, "metric": "length_ratio", "score": ratio}))
    for arm in ("base", "tuned"):
        was_cut = [float(arm == "base" and place < cut) for place in range(PAIRS)]
        tables.append(pd.DataFrame({"id": ids(), "arm": arm, "metric": "answer_cut", "score": was_cut}))
        for flag in ("answer_empty", "prompt_truncated"):
            tables.append(pd.DataFrame({"id": ids(), "arm": arm, "metric": flag, "score": 0.0}))
    tokens = generator.integers(20, 90, PAIRS)
    losses = {}
    for arm, nats in (("base", 4.7), ("tuned", 4.7 - tuned_gain)):
        nll = tokens * (nats + 0.25 * generator.standard_normal(PAIRS))
        losses[arm] = pd.DataFrame({"id": ids(), "tokens": tokens, "nll": nll, "answer_bytes": 4 * tokens})
        entropy = losses[arm]["nll"] / losses[arm]["tokens"]
        tables.append(pd.DataFrame({"id": ids(), "arm": arm, "metric": "cross_entropy", "score": entropy}))
    scores = pd.concat(tables, ignore_index=True)
    return scores.assign(group=scores["id"].map(ids().index)), losses["base"], losses["tuned"]


def compare(
    made: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame], evaluation: EvaluationParams
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """comparison and controls."""
    scores, base_losses, tuned_losses = made
    return compare_arms(scores, make_metrics(), base_losses, tuned_losses, evaluation)


@pytest.fixture(scope="session")
def evaluation() -> EvaluationParams:
    return recipes.evaluation(
        exclude=["answer_cut", "answer_empty"],
        decoding=recipes.decoding(max_new_tokens=128),
        bootstrap_samples=2000,
        seed=20240501,
    )


@pytest.fixture(scope="session")
def tables(evaluation: EvaluationParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """comparison and controls of a run that helped, with 17 answers of the base model cut."""
    return compare(make_scores(1.0, cut=17), evaluation)


@pytest.fixture(scope="session")
def scores() -> pd.DataFrame:
    """The scores that ``tables`` compares."""
    return make_scores(1.0, cut=17)[0]


@pytest.fixture(scope="session")
def endless(evaluation: EvaluationParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """comparison and controls of a run whose base model never ended an answer."""
    return compare(make_scores(1.0, cut=PAIRS), evaluation)


@pytest.fixture
def comparison(tables: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
    return tables[0].copy()


@pytest.fixture
def controls(tables: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
    return tables[1].copy()


@pytest.fixture(scope="session")
def training_history() -> pd.DataFrame:
    """72 steps, a validation before the first and after every ninth."""
    generator = np.random.default_rng(3)
    rows: list[tuple[int, float, str, float]] = [(0, 0.0, "validation_loss", 4.9)]
    rows += [(18 * epoch, float(epoch), "validation_rougeL", 0.1 + 0.02 * epoch) for epoch in range(5)]
    rows += [(18 * epoch, float(epoch), "validation_answers", 6.0) for epoch in range(5)]
    for step in range(1, 73):
        loss = 3.4 + 1.5 * np.exp(-step / 15)
        rows.append((step, step / 18, "train_loss", float(loss + 0.12 * generator.standard_normal())))
        rows.append((step, step / 18, "learning_rate", 3e-3 * (1 - step / 72)))
        if step % 9 == 0:
            rows.append((step, step / 18, "validation_loss", float(loss + 0.1)))
    return pd.DataFrame(rows, columns=["step", "epoch", "metric", "value"])


@pytest.fixture(scope="session")
def test_split() -> Table:
    questions = [QUESTIONS[place % len(QUESTIONS)] for place in range(PAIRS)]
    answers = [REFERENCE] * PAIRS
    return Table(pd.DataFrame({"id": ids(), "question": questions, "answer": answers}))


def make_answers(answer: str, finish_reason: str) -> pd.DataFrame:
    rows = {"id": ids()[::-1], "answer": answer, "prompt_tokens": 20, "new_tokens": 30, "finish_reason": finish_reason}
    return pd.DataFrame(rows).assign(prompt_truncated=False, empty=not answer)


@pytest.fixture(scope="session")
def corpus_scores() -> pd.DataFrame:
    rows = [(arm, "sacrebleu", 43, value, value - 1, value + 1) for arm, value in (("base", 2.0), ("tuned", 5.5))]
    columns = ["arm", "metric", "n", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns).assign(signature="nrefs:1|tok:13a")


@pytest.fixture(scope="session")
def subgroups() -> pd.DataFrame:
    """Two levels of overlap, one of a single group."""
    shared = {"dimension": "overlap", "metric": "rougeL", "base": 0.1, "tuned": 0.2, "difference": 0.1}
    shared |= {"excluded": 17, "best_control": "echoed_question", "best_control_mean": 0.12}
    clean = {"level": "clean", "n": 42, "groups": 42, "difference_low": 0.05, "difference_high": 0.15}
    exact = {"level": "exact", "n": 1, "groups": 1, "note": "one group has no interval"}
    return pd.DataFrame(
        [shared | clean | {"p_value": 0.01, "p_holm": 0.02}, shared | exact, shared | clean | {"metric": "bleu"}]
    ).assign(note=lambda table: table["note"].fillna(""))


@pytest.fixture(scope="session")
def forgetting() -> pd.DataFrame:
    row = {"measure": "bits_per_byte", "n": 14, "base": 2.1, "tuned": 2.4, "difference": 0.3}
    return pd.DataFrame([row | {"low": 0.2, "high": 0.4, "note": ""}])


@pytest.fixture(scope="session")
def as_published() -> pd.DataFrame:
    rows = [
        ("perplexity", "padding counted", 12.0, 3.0, math.nan, "109 to 40", "padding counts"),
        ("rougeL", "Mann-Whitney U", 0.1, 0.2, 0.004, "p = 0.001", "the arms are paired"),
        ("bleu", "Mann-Whitney U", 2.0, 5.0, 0.03, "p = 0.002", "the arms are paired"),
    ]
    table = pd.DataFrame(rows, columns=["quantity", "variant", "base", "tuned", "value", "sound", "note"])
    return table.assign(n=43, excluded=17)


@pytest.fixture(scope="session")
def row_outcomes() -> pd.DataFrame:
    rows = [
        ("genmedgpt", 412, "keep", "kept", 381),
        ("genmedgpt", 412, "clean", "answer_too_short", 6),
        ("genmedgpt", 412, "deduplicate", "near_duplicate", 25),
        ("genmedgpt", 412, "screen", "screened_phones", 2),
        ("medquad", 57, "keep", "kept", 57),
        ("all", 469, "keep", "kept", 438),
    ]
    return pd.DataFrame(rows, columns=["corpus", "rows_read", "stage", "outcome", "rows"])


@pytest.fixture(scope="session")
def parameters(evaluation: EvaluationParams) -> dict[str, Any]:
    """Every ``params:`` input of the pipeline."""
    training = recipes.training(
        max_length=384,
        lora=recipes.lora(r=16, alpha=32, dropout=0.05),
        optimisation=recipes.optimisation(
            epochs=4, learning_rate=3e-3, effective_batch_size=16, evaluations=8, seed=20240501
        ),
    )
    return {
        "params:experiment": "embedded",
        "params:rehearsal_of": None,
        "params:description": "Does LoRA on a few hundred medical pairs help a small general-English model?",
        "params:model": recipes.model_params(),
        "params:prompt": PromptParams(template="plain", system=None),
        "params:corpora": {
            "genmedgpt": {"layout": "alpaca", "title": "GenMedGPT-5k", "licence": "Apache-2.0", "files": "a.json"},
            "medquad": {"layout": "medquad", "title": "MedQuAD", "licence": "CC-BY-4.0", "files": "b.zip"},
        },
        "params:data_engineering": {
            "corpora": ["genmedgpt", "medquad"],
            "cleaning": {"min_answer_words": 5, "max_answer_words": 400, "language": "en"},
            "screening": dict.fromkeys(ScreeningParams.model_fields, "mask") | {"presidio": False},
            "deduplication": {"near_jaccard": 0.5, "permutations": 128},
            "passages": {"tokens": 128, "overlap": 16},
            "question_generation": None,
            "split": {"mode": "group", "train": None, "validation": 40, "test": 60, "seed": 20240501},
            **{"allow_licences": [], "benchmarks": [], "benchmark_overlap": "remove", "report_examples": 3},
        },
        "params:retrieval": recipes.retrieval(enabled=False),
        "params:judge": recipes.judge(enabled=False),
        "params:latency": LatencyParams(enabled=False, questions=20, warmup=2, new_tokens=64),
        "params:training": training,
        "params:continued_pretraining": ContinuedPretrainingParams(
            enabled=False,
            block_length=64,
            validation_fraction=0.1,
            handover="adapter",
            lora=training.lora,
            optimisation=training.optimisation,
        ),
        "params:evaluation": evaluation,
        "params:canaries": recipes.canaries(),
        "params:reporting": ReportingParams(examples=4),
        "params:hardware": recipes.hardware(micro_batch_size=16, inference_batch_size=16),
    }


@pytest.fixture(scope="session")
def report_run() -> dict[str, Any]:
    """A run of reporting alone: its own step, and one of the run that trained."""
    return describe_made_up_run()


@pytest.fixture(scope="session")
def inputs(
    tables: tuple[pd.DataFrame, pd.DataFrame],
    corpus_scores: pd.DataFrame,
    subgroups: pd.DataFrame,
    forgetting: pd.DataFrame,
    as_published: pd.DataFrame,
    training_history: pd.DataFrame,
    test_split: Table,
    row_outcomes: pd.DataFrame,
    scores: pd.DataFrame,
    report_run: dict[str, Any],
    parameters: dict[str, Any],
) -> dict[str, Any]:
    """What a report is written from, by its catalog name."""
    return {
        "scores": scores,
        "report_run": report_run,
        "report_checklists": [CHECKLIST],
        "datasheet": "# Data sheet of embedded\n\n## Motivation\n\n### Who made it?\n\n**To fill:** names.\n",
        "comparison": tables[0],
        "controls": tables[1],
        "corpus_scores": corpus_scores,
        "subgroups": subgroups,
        "forgetting": forgetting,
        "as_published": as_published,
        "training_history": training_history,
        "row_outcomes": row_outcomes,
        "data_summary": {"generator": None, "passages": []},
        "train": range(338),
        "validation": range(40),
        "test": test_split,
        "base_answers": make_answers(BASE, "length"),
        "tuned_answers": make_answers(TUNED, "eos"),
        **parameters,
    }
