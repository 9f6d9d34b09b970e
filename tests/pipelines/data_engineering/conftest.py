from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets.raw import JSONRecordsDataset, MedQuADDataset, ParquetRecordsDataset
from med_lora.parameters import CleaningParams, CorpusParams
from med_lora.pipelines.data_engineering.parsing import PAIR_COLUMNS, parse_corpus

ALPACA = ["instruction", "input", "output"]


def _raw(root: Path, name: str) -> tuple[Any, Any]:
    """Dataset and layout of a corpus in the publishers' layout of files."""
    return {
        "genmedgpt": (JSONRecordsDataset(filepath=f"{root}/genmedgpt5k/chatdoctor5k.json", columns=ALPACA), "alpaca"),
        "wikidoc": (
            JSONRecordsDataset(
                filepath=f"{root}/wikidoc/medical_meadow_wikidoc_patient_information.json", columns=ALPACA
            ),
            "alpaca",
        ),
        "medquad": (MedQuADDataset(filepath=f"{root}/medquad/MedQuAD-master.zip"), "medquad"),
        "medical_terms": (
            ParquetRecordsDataset(
                filepath=f"{root}/medical_terms/medical_terms.parquet", columns=["page_title", "page_text"]
            ),
            "pages",
        ),
        "medical_terms_llama2": (
            ParquetRecordsDataset(
                filepath=f"{root}/medical_terms/medical_terms_llama2_format.parquet", columns=["text"]
            ),
            "pages",
        ),
    }[name]


@pytest.fixture(scope="session")
def parsed() -> Callable[[Path, str], pd.DataFrame]:
    """Parses a corpus below a root of raw data."""

    def parse(root: Path, name: str) -> pd.DataFrame:
        dataset, layout = _raw(root, name)
        return parse_corpus(dataset.load(), CorpusParams(layout=layout, title=name, licence="CC-BY-4.0"), name)

    return parse


@pytest.fixture(scope="session")
def embedded(root: Path) -> Path:
    return root / "data" / "01_raw" / "embedded"


@pytest.fixture(scope="session")
def cleaning() -> CleaningParams:
    return CleaningParams(min_answer_words=3, max_answer_words=1000, near_duplicate_jaccard=0.5)


def make_pairs(rows: Sequence[tuple[str, str]], corpus: str = "c", focus: Sequence[str] | None = None) -> pd.DataFrame:
    """Parsed pairs of the given questions and answers."""
    table = pd.DataFrame(
        {
            "id": [f"{corpus}:{row:05d}" for row in range(len(rows))],
            "corpus": corpus,
            "document": "",
            "focus": list(focus) if focus else "",
            "question_type": "",
            "question": [question for question, _ in rows],
            "answer": [answer for _, answer in rows],
            "licence": "CC0-1.0",
        },
        columns=PAIR_COLUMNS,
    )
    return table.astype("str")
