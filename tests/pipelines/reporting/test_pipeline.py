"""The pipeline as a whole: its names, its typed parameters, and tables that went through CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset
from kedro_datasets.plotly import JSONDataset as FigureDataset
from kedro_datasets.text import TextDataset

from med_lora.pipelines.reporting import create_pipeline
from tests.report_pages import Page

# Made by nodes that describe a run and fill in checklists; there is no run here.
OF_RUN = {"report_run", "report_checklists"}


def pipeline_of_report() -> Pipeline:
    """What the report is made by, but for what takes the record of a run."""
    others = [node for node in create_pipeline().nodes if not OF_RUN & set(node.outputs)]
    return Pipeline(others).to_outputs("report")


def test_names_are_those_of_the_catalog(inputs: dict[str, Any]) -> None:
    pipeline = pipeline_of_report()
    assert pipeline.inputs() == set(inputs)
    assert pipeline.all_outputs() >= {"headline", "report", "error_examples", "loss_curve_figure", "score_bars_figure"}


def test_type_hints_of_every_node_resolve() -> None:
    for node in pipeline_of_report().nodes:
        assert get_type_hints(node.func)["return"] is not None


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_report_is_the_same_through_files(inputs: dict[str, Any], tmp_path: Path) -> None:
    pipeline = pipeline_of_report()
    kept = DataCatalog({name: MemoryDataset(value) for name, value in inputs.items()})
    filed = DataCatalog({name: MemoryDataset(value) for name, value in inputs.items()})
    for name in (
        *("comparison", "controls", "corpus_scores", "subgroups", "forgetting", "as_published"),
        *("training_history", "row_outcomes"),
    ):
        filed[name] = CSVDataset(filepath=str(tmp_path / f"{name}.csv"), save_args={"index": False})
        filed.save(name, inputs[name])
    for name in sorted(pipeline.all_outputs()):
        if name.endswith("_figure"):
            filed[name] = FigureDataset(filepath=str(tmp_path / f"{name}.json"))
    filed["headline"] = JSONDataset(filepath=str(tmp_path / "headline.json"))
    filed["report"] = TextDataset(
        filepath=str(tmp_path / "report.html"), fs_args={"open_args_save": {"encoding": "utf-8"}}
    )
    report = SequentialRunner().run(pipeline, kept)["report"].load()
    SequentialRunner().run(pipeline, filed)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report
    assert "Tuned beats base on" in Page(report).text
