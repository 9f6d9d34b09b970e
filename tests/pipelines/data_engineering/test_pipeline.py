from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro.validation.type_extractor import TypeExtractor

from med_lora.chunks import Chunks
from med_lora.datasets import TableDataset
from med_lora.parameters import (
    CleaningParams,
    CorpusParams,
    DeduplicationParams,
    PassageParams,
    PromptParams,
    ScreeningParams,
    SplitParams,
)
from med_lora.pipelines.data_engineering import create_pipeline
from med_lora.pipelines.data_engineering.sources import Sources

JOINT = {"deduplicate", "remove_benchmark_overlap", "count_outcomes", "split_pairs", "measure_leakage", "render_pairs"}
BOOK = {"split_passages_textbooks", "collect_passages"}


@pytest.mark.parametrize(
    ("sources", "nodes"),
    [
        (Sources(("medquad",)), {"parse_medquad", "clean_medquad"} | JOINT),
        (Sources(("medquad",), ("textbooks",)), {"parse_medquad", "clean_medquad"} | JOINT | BOOK),
        (
            Sources(("wiki",), ("wiki",)),
            {"parse_wiki", "clean_wiki", "split_passages_wiki", "collect_passages"} | JOINT,
        ),
        (Sources((), ("textbooks",)), BOOK),
        (Sources((), ("textbooks",), generator="local"), {"clean_generated"} | JOINT | BOOK),
        (Sources(("a",), benchmarks=("medqa",)), {"parse_a", "clean_a", "parse_medqa"} | JOINT),
    ],
    ids=["pairs", "pairs and documents", "pages", "documents", "generated", "benchmark"],
)
def test_sources_choose_the_branches(sources: Sources, nodes: set[str]) -> None:
    assert {node.name for node in create_pipeline(sources).nodes} == nodes


def test_only_the_corpus_that_has_topics_reads_them() -> None:
    pipeline = create_pipeline(Sources(("a", "b"), terms=(("a", "diseases"),)))
    assert [node.name for node in pipeline.nodes if "raw_diseases" in node.inputs] == ["clean_a"]


def test_parameters_are_typed_and_hints_resolve() -> None:
    sources = Sources(("a", "b"), ("textbooks",), benchmarks=("c",), terms=(("a", "d"),), generator="local")
    pipeline = create_pipeline(sources)
    for node in pipeline.nodes:
        get_type_hints(node.func)
    assert TypeExtractor({"it": pipeline}).extract_types_from_pipelines() == {
        **dict.fromkeys(["corpora.a", "corpora.b", "corpora.c", "corpora.textbooks"], CorpusParams),
        "data_engineering.cleaning": CleaningParams,
        "data_engineering.deduplication": DeduplicationParams,
        "data_engineering.passages": PassageParams,
        "data_engineering.screening": ScreeningParams,
        "data_engineering.split": SplitParams,
        "prompt": PromptParams,
    }


def test_importing_the_pipeline_is_light() -> None:
    heavy = "{'torch', 'transformers', 'datasets', 'datasketch', 'scipy', 'pypdfium2', 'defusedxml', 'py3langid'}"
    code = f"import sys; import med_lora.pipelines.data_engineering; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert result.stdout.strip() == "[]"


def records(**columns: Any) -> Chunks:
    """Raw records in two chunks, none faulty but the last."""
    table = pd.DataFrame(columns)
    faults = [""] * (len(table) - 1) + ["malformed_json"]
    table = table.assign(row=[f"{row:08d}" for row in range(len(table))], fault=faults).astype("str")
    return Chunks(lambda: (table.iloc[:5], table.iloc[5:]))


def corpus(layout: Any, **settings: Any) -> CorpusParams:
    return CorpusParams(layout=layout, title="T", licence="CC0-1.0", files="f", **settings)


def test_a_run_gives_every_output(tokenizer: Any, tmp_path: Path) -> None:
    questions = [f"What causes disease {number}?" for number in range(23)]
    answers = [f"Cause number {number} of gout{number}" for number in range(23)]
    answers[1] = "Short"
    answers[2] = "Ring the ward on 555-0142"
    screening: Any = dict.fromkeys(ScreeningParams.model_fields, "mask") | {"presidio": False}
    values = {
        "params:corpora.a": corpus("alpaca", focus_terms="diseases"),
        "params:corpora.exam": corpus("pairs"),
        "params:corpora.book": corpus("documents"),
        "params:data_engineering.benchmark_overlap": "remove",
        "params:data_engineering.cleaning": CleaningParams(min_answer_words=2, max_answer_words=50, language=None),
        "params:data_engineering.screening": ScreeningParams(**screening),
        "params:data_engineering.deduplication": DeduplicationParams(near_jaccard=0.9, permutations=64),
        "params:data_engineering.passages": PassageParams(tokens=50, overlap=0),
        "params:data_engineering.split": SplitParams(mode="group", train=None, validation=2, test=0.2, seed=1),
        "params:prompt": PromptParams(template="plain", system=None),
        "raw_a": records(instruction="Answer truthfully", input=questions, output=answers),
        "raw_exam": records(question=["what causes disease 3", "", ""], answer=["a", "b", ""]),
        "raw_book": records(book=["b", "b"], chapter=["c", "d"], page=[0, 0], text=["Call 555-0142 today.", ""]),
        "raw_diseases": records(term=["gout4", "gout5", ""]),
        "base_model": SimpleNamespace(tokenizer=lambda: tokenizer),
    }
    rows = {"parsed_a": 5000, "parsed_exam": 5000, "cleaned_a": None, "rejected_pairs": None}
    tables = {name: TableDataset(filepath=str(tmp_path / name), chunk_rows=size) for name, size in rows.items()}
    catalog = DataCatalog({name: MemoryDataset(value, copy_mode="assign") for name, value in values.items()} | tables)
    sources = Sources(("a",), ("book",), benchmarks=("exam",), terms=(("a", "diseases"),))
    outputs = {name: data.load() for name, data in SequentialRunner().run(create_pipeline(sources), catalog).items()}
    # The splits and the pairs kept are inputs of other nodes, which the runner lets go.
    reports = {"benchmark_overlap", "row_outcomes", "leakage"}
    assert set(outputs) == {"passages", "unused_pairs", "rendered_pairs"} | reports
    rejected = tables["rejected_pairs"].load()
    assert dict(zip(rejected["id"], rejected["stage"] + " " + rejected["reason"], strict=True)) == {
        "a:00000001": "clean answer_too_short",
        "a:00000003": "decontaminate in_benchmark_exam",
        "a:00000022": "read malformed_json",
    }
    counts = outputs["row_outcomes"].query("corpus == 'a'")
    assert dict(zip(counts["outcome"], counts["rows"], strict=True))["kept"] == 20
    assert set(counts["rows_read"]) == {23}
    assert pd.Series(outputs["rendered_pairs"]["split"]).value_counts().to_dict() == {
        "train": 14,
        "test": 4,
        "validation": 2,
    }
    assert sum("[PHONE]" in text for text in outputs["rendered_pairs"]["completion"]) == 1
    assert outputs["passages"]["text"].tolist() == ["Call [PHONE] today."]
    assert (outputs["leakage"]["pairs"] == 0).all()
    cleaned = tables["cleaned_a"].load().set_index("id")["focus"]
    assert cleaned[cleaned != ""].to_dict() == {"a:00000004": "gout4", "a:00000005": "gout5"}
