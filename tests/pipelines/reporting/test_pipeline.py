"""The pipeline as a whole: its names, its typed parameters, and tables that went through CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset
from kedro_datasets.plotly import JSONDataset as FigureDataset
from kedro_datasets.text import TextDataset

from med_lora.pipelines.reporting import create_pipeline

from .reports import make_report

OUTPUTS = {
    "loss_curve_figure",
    "epoch_scores_figure",
    "perplexity_bars_figure",
    "score_bars_figure",
    "headline",
    "report",
}


def test_names_are_those_of_the_catalog(inputs: dict[str, Any]) -> None:
    pipeline = create_pipeline()
    assert pipeline.inputs() == set(inputs)
    assert pipeline.all_outputs() >= OUTPUTS


def test_type_hints_of_every_node_resolve() -> None:
    for node in create_pipeline().nodes:
        assert get_type_hints(node.func)["return"] is not None


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_report_is_the_same_through_files(inputs: dict[str, Any], tmp_path: Path) -> None:
    catalog = DataCatalog({name: MemoryDataset(value) for name, value in inputs.items()})
    for name in (
        *("comparison", "controls", "corpus_scores", "subgroups", "forgetting", "as_published"),
        *("training_history", "row_outcomes"),
    ):
        catalog[name] = CSVDataset(filepath=str(tmp_path / f"{name}.csv"), save_args={"index": False})
        catalog.save(name, inputs[name])
    for name in OUTPUTS - {"headline", "report"}:
        catalog[name] = FigureDataset(filepath=str(tmp_path / f"{name}.json"))
    catalog["headline"] = JSONDataset(filepath=str(tmp_path / "headline.json"))
    catalog["report"] = TextDataset(
        filepath=str(tmp_path / "report.html"), fs_args={"open_args_save": {"encoding": "utf-8"}}
    )
    SequentialRunner().run(create_pipeline(), catalog)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == make_report(inputs)
