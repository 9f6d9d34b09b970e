"""The nodes of a study: what they take by the tracks of the experiment, and that they run from a catalog."""

from __future__ import annotations

from typing import Any

import pandas as pd
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from med_lora.pipelines.reporting.studies.pipeline import create_study_pipeline
from med_lora.pipelines.tracks import DEFAULT_TRACKS

TRACKS = DEFAULT_TRACKS._replace(judge="base", latency=True, benchmarks=True)


def test_tables_of_a_track_are_taken_where_the_experiment_has_it() -> None:
    further = {"judge_comparison", "judge_summary", "latency", "benchmark_comparison"}
    assert not further & create_study_pipeline(DEFAULT_TRACKS).inputs()
    assert further <= create_study_pipeline(TRACKS).inputs()


def test_nodes_run_from_a_catalog_without_a_system(
    raw_studies: dict[str, Any],
    parameters: dict[str, Any],
    tables: dict[str, Any],
    scores: pd.DataFrame,
    forgetting: pd.DataFrame,
) -> None:
    given = {"params:study": "medlms", "params:studies": raw_studies, "params:study_system": None, **tables}
    given |= {"parameters": parameters, "scores": scores, "forgetting": forgetting}
    given["report_examples"] = pd.DataFrame({"id": [], "sources": []})
    catalog = DataCatalog({name: MemoryDataset(value) for name, value in given.items()})
    outputs = SequentialRunner().run(create_study_pipeline(DEFAULT_TRACKS), catalog)
    assert set(outputs) == {"report_study"}
    assert outputs["report_study"].load()["title"] == raw_studies["medlms"]["title"]
