from __future__ import annotations

import subprocess
import sys
from typing import get_type_hints

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro.validation.type_extractor import TypeExtractor

from med_lora.parameters import CleaningParams, CorpusParams, SplitParams
from med_lora.pipelines.data_engineering import create_pipeline


@pytest.mark.parametrize(
    ("corpora", "nodes"),
    [
        (["medquad"], {"parse_medquad", "merge_and_clean", "split_pairs"}),
        (["medquad", "textbooks"], {"parse_medquad", "merge_and_clean", "split_pairs", "read_passages"}),
        (["textbooks"], {"read_passages"}),
    ],
)
def test_corpora_choose_the_branches(corpora: list[str], nodes: set[str]) -> None:
    assert {node.name for node in create_pipeline(corpora).nodes} == nodes


def test_parameters_are_typed_and_hints_resolve() -> None:
    pipeline = create_pipeline(["a", "b", "textbooks"])
    for node in pipeline.nodes:
        get_type_hints(node.func)
    assert TypeExtractor({"it": pipeline}).extract_types_from_pipelines() == {
        "corpora.a": CorpusParams,
        "corpora.b": CorpusParams,
        "data_engineering.cleaning": CleaningParams,
        "data_engineering.split": SplitParams,
    }


def test_importing_the_pipeline_is_light() -> None:
    heavy = "{'torch', 'transformers', 'datasets', 'datasketch', 'scipy', 'pypdfium2', 'defusedxml'}"
    code = f"import sys; import med_lora.pipelines.data_engineering; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert result.stdout.strip() == "[]"


def test_a_run_gives_every_output() -> None:
    records = pd.DataFrame(
        {
            "instruction": "Answer truthfully",
            "input": [f"What causes disease {number}?" for number in range(20)],
            "output": [f"Cause number {number} of several" for number in range(20)],
        }
    )
    books = pd.DataFrame({"book": ["b"], "chapter": ["c"], "page": [0], "text": ["A paragraph."]})
    catalog = DataCatalog(
        {
            "raw_a": MemoryDataset(records),
            "raw_textbooks": MemoryDataset(books),
            "params:corpora.a": MemoryDataset(CorpusParams(layout="alpaca", title="A", licence="CC0-1.0")),
            "params:data_engineering.cleaning": MemoryDataset(
                CleaningParams(min_answer_words=2, max_answer_words=50, near_duplicate_jaccard=0.9)
            ),
            "params:data_engineering.split": MemoryDataset(SplitParams(train=None, validation=2, test=0.2, seed=1)),
        }
    )
    outputs = SequentialRunner().run(create_pipeline(["a", "textbooks"]), catalog)
    assert set(outputs) == {"train", "validation", "test", "rejected_pairs", "cleaning_report", "passages"}
    sizes = [len(outputs[name].load()) for name in ("train", "validation", "test")]
    assert sizes == [14, 2, 4]
