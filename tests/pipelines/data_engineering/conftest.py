from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from med_lora.chunks import Chunks
from med_lora.datasets import CorpusDataset, TableDataset
from med_lora.parameters import CorpusFiles, DeduplicationParams, ProjectParams, parse_parameters
from med_lora.pipelines.data_engineering import create_pipeline
from med_lora.pipelines.data_engineering.parsing import parse_corpus
from med_lora.pipelines.data_engineering.sources import sources_of
from tests.experiments import base_parameters

DEDUPLICATION = DeduplicationParams(near_jaccard=0.5, permutations=128)
# The same pages as those of medical_terms, in a layout that the base configuration does not name.
LLAMA2_FILES = "medical_terms/medical_terms_llama2_format.parquet"
EMBEDDED = ("genmedgpt", "wikidoc", "medquad", "medical_terms", "textbooks")
Read = Callable[[Path, str], pd.DataFrame]
Run = Callable[..., dict[str, Any]]


class _Kept(MemoryDataset):
    """Stays after the last node that reads it."""

    def _release(self) -> None:
        pass


@pytest.fixture(scope="session")
def shipped() -> Callable[..., ProjectParams]:
    """Gives the parameters of conf/base, with the corpora and sizes of splits named."""
    tree = {"experiment": "test", "description": "a test", **base_parameters()}
    pages = {**tree["corpora"]["medical_terms"], "files": LLAMA2_FILES}

    def parameters(names: Sequence[str], **sizes: int | None) -> ProjectParams:
        given = tree["data_engineering"]
        chosen = {**given, "corpora": list(names), "split": {**given["split"], **sizes}}
        corpora = {**tree["corpora"], "medical_terms_llama2": pages}
        return parse_parameters({**tree, "corpora": corpora, "data_engineering": chosen})

    return parameters


def _raw(root: Path, name: str, parameters: ProjectParams) -> CorpusDataset:
    files = parameters.corpora[name].model_dump(include=set(CorpusFiles.model_fields))
    return CorpusDataset(name=name, corpora={name: files}, root=str(root))


@pytest.fixture(scope="session")
def parsed(shipped: Callable[..., ProjectParams]) -> Read:
    """Parses a corpus below a root of raw data."""

    @cache
    def parse(root: Path, name: str) -> pd.DataFrame:
        parameters = shipped([name])
        pairs = parse_corpus(_raw(root, name, parameters).load(), parameters.corpora[name], name)
        return pd.concat(pairs, ignore_index=True)

    return parse


@pytest.fixture(scope="session")
def base_model(root: Path) -> SimpleNamespace:
    """The tokenizer of the embedded model, without what loading models costs."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(root / "data" / "06_models" / "embedded-base")
    return SimpleNamespace(tokenizer=lambda: tokenizer)


@pytest.fixture(scope="session")
def run(
    shipped: Callable[..., ProjectParams], base_model: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """Runs the pipeline on corpora below a root of raw data, or on the raw datasets given, and gives every output."""

    def outputs(raw_root: Path, *names: str, raw: Mapping[str, Any] | None = None, **sizes: int | None) -> Any:
        parameters = shipped(names, **sizes)
        pipeline = create_pipeline(sources_of(parameters))
        folder = tmp_path_factory.mktemp("tables")
        given = parameters.data_engineering
        values = {f"corpora.{name}": corpus for name, corpus in parameters.corpora.items()}
        values |= {f"data_engineering.{part}": getattr(given, part) for part in type(given).model_fields}
        values["prompt"] = parameters.prompt
        datasets: dict[str, Any] = {f"params:{name}": MemoryDataset(value) for name, value in values.items()}
        datasets |= {f"raw_{name}": _raw(raw_root, name, parameters) for name in parameters.corpora}
        datasets |= {f"raw_{name}": dataset for name, dataset in (raw or {}).items()}
        datasets["base_model"] = MemoryDataset(base_model, copy_mode="assign")
        # The catalog joins the chunks of cleaned pairs by saving them.
        rows = {"parsed": 5000, "cleaned": None}
        for name in pipeline.all_outputs():
            stage = name.partition("_")[0]
            if stage in rows:
                datasets[name] = TableDataset(filepath=str(folder / name), chunk_rows=rows[stage])
            else:
                datasets[name] = _Kept(copy_mode="assign")
        SequentialRunner().run(pipeline, DataCatalog(datasets))
        return {name: datasets[name].load() for name in pipeline.all_outputs()}

    return outputs


@pytest.fixture(scope="session")
def embedded(root: Path) -> Path:
    return root / "data" / "01_raw" / "embedded"


@pytest.fixture(scope="session")
def embedded_run(run: Run, embedded: Path) -> dict[str, Any]:
    """Every output of the pipeline on the embedded corpora."""
    return run(embedded, *EMBEDDED)


@pytest.fixture(scope="session")
def genmedgpt_run(run: Run, real_corpora: Path) -> dict[str, Any]:
    """Every output of the pipeline on every second one of the real exchanges."""
    records = raw_corpus(real_corpora, "alpaca", "genmedgpt5k/chatdoctor5k.json")
    return run(real_corpora, "genmedgpt", raw={"genmedgpt": in_memory(records[::2])}, validation=120, test=120)


def raw_corpus(root: Path, layout: str, files: str) -> pd.DataFrame:
    """Every record of a corpus."""
    corpora = {"c": {"layout": layout, "files": files}}
    return pd.concat(CorpusDataset(name="c", corpora=corpora, root=str(root)).load(), ignore_index=True)


def in_memory(records: pd.DataFrame) -> MemoryDataset:
    """A raw dataset of the records."""
    table = records.reset_index(drop=True)
    return MemoryDataset(Chunks(lambda: [table]), copy_mode="assign")


def make_pairs(rows: Sequence[tuple[str, str]], corpus: str = "c", **columns: Sequence[str]) -> pd.DataFrame:
    """Kept pairs of the given questions and answers, with further columns where given."""
    values: Mapping[str, Any] = {
        "id": [f"{corpus}:{row:08d}" for row in range(len(rows))],
        "corpus": corpus,
        "source": "",
        "document": "",
        "focus": "",
        "concepts": "",
        "question_type": "",
        "question": [question for question, _ in rows],
        "answer": [answer for _, answer in rows],
        "choice": "",
        "licence": "CC0-1.0",
    }
    return pd.DataFrame({**values, **columns}, index=range(len(rows))).astype("str")


def make_cleaned(rows: Sequence[tuple[str, str]], corpus: str = "c", **columns: Sequence[str]) -> pd.DataFrame:
    """Cleaned pairs: :func:`make_pairs` with the classes screened, the reason, and the stage (``clean``) of one."""
    pairs = make_pairs(rows, corpus, **{"screened": [""] * len(rows), "reason": [""] * len(rows), **columns})
    return pairs.assign(stage=pairs["reason"].where(pairs["reason"] == "", "clean"))
