"""A made-up data run: two corpora and an exam, some rows left out, three small splits, a few leaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest

from med_lora.parameters import PromptParams, ScreeningParams, TrainingParams
from tests import recipes

from .reports import make_outputs

TYPES = ("treatment", "symptoms", "causes", "")
WORDS = "a doctor can ease the pain with rest cold packs and medicine taken after a meal"
CLASSES = [name for name in ScreeningParams.model_fields if name != "presidio"]


@dataclass(frozen=True)
class Table:
    """A split as the catalog hands it over, without the datasets library."""

    frame: pd.DataFrame

    def to_pandas(self) -> pd.DataFrame:
        return self.frame.copy()


@dataclass(frozen=True)
class Model:
    """A base model of which only the tokenizer is asked for."""

    made: Any

    def tokenizer(self) -> Any:
        return self.made


def make_split(first: int, pairs: int) -> pd.DataFrame:
    """Pairs of the two corpora in turn; answers grow from 3 words to 62, every fourth pair has no question type."""
    numbers = range(first, first + pairs)
    rows = {
        "id": [f"{('medquad', 'exchanges')[number % 2]}:{number:08d}" for number in numbers],
        "corpus": [("medquad", "exchanges")[number % 2] for number in numbers],
        "source": "",
        "document": "",
        "focus": ["gout" if number % 2 == 0 else "" for number in numbers],
        "concepts": "",
        "question_type": [TYPES[number % 4] for number in numbers],
        "question": [f"What helps against pain number {number}?" for number in numbers],
        "answer": [(f"{WORDS} " * 4)[: 20 + 5 * (number % 60)] for number in numbers],
        "choice": "",
        "licence": "CC-BY-4.0",
        "screened": ["dates" if number % 10 == 0 else "" for number in numbers],
        "group": [number // 2 for number in numbers],
    }
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def outcomes() -> pd.DataFrame:
    """200 rows of medquad, 120 of exchanges; 230 kept, 90 left out."""
    rows = [
        ("medquad", 200, "keep", "kept", 120),
        ("medquad", 200, "parse", "empty_answer", 60),
        ("medquad", 200, "clean", "answer_too_short", 7),
        ("medquad", 200, "clean", "screened_names", 3),
        ("medquad", 200, "deduplicate", "exact_duplicate", 6),
        ("medquad", 200, "decontaminate", "in_benchmark_exam", 4),
        ("medquad", 200, "screen", "screened_phones", 5),
        ("exchanges", 120, "keep", "kept", 110),
        ("exchanges", 120, "read", "malformed_json", 1),
        ("exchanges", 120, "clean", "answer_too_short", 0),
        ("exchanges", 120, "deduplicate", "near_duplicate", 9),
        ("exchanges", 120, "screen", "screened_phones", 2),
        ("exchanges", 120, "screen", "screened_dates", 23),
        ("all", 320, "keep", "kept", 230),
        ("all", 320, "parse", "empty_answer", 60),
        ("all", 320, "screen", "screened_phones", 7),
    ]
    return pd.DataFrame(rows, columns=["corpus", "rows_read", "stage", "outcome", "rows"])


@pytest.fixture(scope="session")
def leakage() -> pd.DataFrame:
    rows = [
        ("validation", "exact_question", 0, 20, 0.0),
        ("validation", "same_focus", 5, 20, 0.25),
        ("test", "exact_question", 0, 30, 0.0),
        ("test", "same_focus", 3, 30, 0.1),
    ]
    return pd.DataFrame(rows, columns=["split", "kind", "pairs", "of", "share"])


@pytest.fixture(scope="session")
def training() -> TrainingParams:
    return recipes.training(max_length=100, lora=recipes.lora(r=8, alpha=16))


@pytest.fixture(scope="session")
def parameters(training: TrainingParams) -> dict[str, Any]:
    """Every ``params:`` input of the pipeline."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    screening = dict.fromkeys(CLASSES, "mask") | {"names": "reject", "dates": "report", "photographs": "ignore"}
    return {
        "params:experiment": "knees",
        "params:description": "Do exchanges help beside documents?",
        "params:prompt": PromptParams(template="Question: {question}\nAnswer:", system=None),
        "params:training": training,
        "params:corpora": {
            "medquad": {"layout": "medquad", "title": "MedQuAD", "licence": "CC-BY-4.0", "files": "medquad/m.zip"},
            "exchanges": {
                "layout": "alpaca",
                "title": "Exchanges",
                "licence": "Apache-2.0",
                "files": ["a.json", "b.json"],
            }
            | {"hub": {"id": "owner/exchanges", "revision": commit}},
            "exam": {"layout": "choices", "title": "The exam", "licence": "MIT", "files": "exam.jsonl"},
        },
        "params:data_engineering.report_examples": 2,
        "params:data_engineering": {
            "corpora": ["medquad", "exchanges"],
            "allow_licences": [],
            "benchmarks": ["exam"],
            "benchmark_overlap": "remove",
            "cleaning": {"min_answer_words": 5, "max_answer_words": 400, "language": "en"},
            "screening": {**screening, "presidio": False},
            "deduplication": {"near_jaccard": 0.5, "permutations": 128},
            "passages": {"tokens": 256, "overlap": 32},
            "question_generation": None,
            "report_examples": 2,
            "split": {"mode": "group", "train": None, "validation": 20, "test": 30, "seed": 7},
        },
    }


@pytest.fixture(scope="session")
def inputs(outcomes: pd.DataFrame, leakage: pd.DataFrame, parameters: dict[str, Any], tokenizer: Any) -> dict[str, Any]:
    """Every input of the pipeline by its catalog name."""
    overlap = pd.DataFrame(
        [
            ("medquad:1", "medquad", "exam", "exam:1", "exact_question"),
            ("medquad:1", "medquad", "exam", "exam:1", "near_question"),
            ("medquad:2", "medquad", "exam", "exam:9", "exact_question"),
            ("medquad:3", "medquad", "exam", "exam:9", "near_question"),
            ("medquad:4", "medquad", "exam", "exam:3", "near_question"),
        ],
        columns=["id", "corpus", "benchmark", "benchmark_id", "kind"],
    )
    unused = pd.DataFrame(
        {"id": ["medquad:7", "medquad:8"], "corpus": "medquad", "reason": ["split_surplus", "near_test"]}
    )
    passages = pd.DataFrame({"corpus": "medquad", "book": ["Knees", "Knees", "Feet"], "licence": "CC-BY-4.0"})
    return {
        "row_outcomes": outcomes,
        "leakage": leakage,
        "benchmark_overlap": overlap,
        "unused_pairs": unused,
        "passages": passages,
        "train": Table(make_split(0, 178)),
        "validation": Table(make_split(178, 20)),
        "test": Table(make_split(198, 30)),
        "base_model": Model(tokenizer),
        **parameters,
    }


@pytest.fixture(scope="session")
def outputs(inputs: dict[str, Any]) -> dict[str, Any]:
    """Inputs and outputs of the pipeline by catalog name."""
    return make_outputs(inputs)
