"""The pipeline as a whole: its names, its typed parameters, and tables that went through files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset, ParquetDataset
from kedro_datasets.plotly import JSONDataset as FigureDataset
from kedro_datasets.text import TextDataset

from med_lora.pipelines.data_report import create_pipeline

FIGURES = {f"{name}_figure" for name in ("outcomes", "lengths", "question_types", "leakage")}


def test_names_are_those_of_the_catalog(inputs: dict[str, Any]) -> None:
    pipeline = create_pipeline(has_passages=True)
    assert pipeline.inputs() == set(inputs)
    assert pipeline.all_outputs() == FIGURES | {"token_lengths", "data_summary", "datasheet", "data_report"}
    assert create_pipeline(has_passages=False).inputs() == set(inputs) - {"passages"}


def test_type_hints_of_every_node_resolve() -> None:
    for node in create_pipeline(has_passages=True).nodes:
        assert get_type_hints(node.func)["return"] is not None


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_report_is_the_same_through_files(inputs: dict[str, Any], outputs: dict[str, Any], tmp_path: Path) -> None:
    catalog = DataCatalog({name: MemoryDataset(value) for name, value in inputs.items()})
    for name in ("row_outcomes", "leakage", "benchmark_overlap"):
        catalog[name] = CSVDataset(filepath=str(tmp_path / f"{name}.csv"), save_args={"index": False})
        catalog.save(name, inputs[name])
    for name in FIGURES:
        catalog[name] = FigureDataset(filepath=str(tmp_path / f"{name}.json"))
    catalog["token_lengths"] = ParquetDataset(filepath=str(tmp_path / "token_lengths.parquet"))
    catalog["data_summary"] = JSONDataset(filepath=str(tmp_path / "data_summary.json"))
    for name, file in (("datasheet", "datasheet.md"), ("data_report", "data_report.html")):
        catalog[name] = TextDataset(filepath=str(tmp_path / file), fs_args={"open_args_save": {"encoding": "utf-8"}})
    SequentialRunner().run(create_pipeline(has_passages=True), catalog)
    assert (tmp_path / "data_report.html").read_text(encoding="utf-8") == outputs["data_report"]
