"""The pipeline run in memory."""

from __future__ import annotations

from typing import Any

from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from med_lora.pipelines.reporting import create_pipeline


def make_report(inputs: dict[str, Any]) -> str:
    """The report that the whole pipeline writes for ``inputs``."""
    catalog = DataCatalog({name: MemoryDataset(value) for name, value in inputs.items()})
    report: str = SequentialRunner().run(create_pipeline(), catalog)["report"].load()
    return report
