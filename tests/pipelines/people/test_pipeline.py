"""The nodes joined: what they need, what they give, and that parameters are typed."""

from __future__ import annotations

from typing import get_type_hints

from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from med_lora.parameters import EvaluationParams, PeopleParams
from med_lora.pipelines.people import create_ratings_pipeline, create_sheets_pipeline
from tests import recipes

from .rated import answers, csv_rows, split, to_csv

RATINGS = {"ratings", "rating_preferences", "rating_comments", "ratings_report", "agreement", "rating_scores"} | {
    "rating_metrics",
    "ratings_comparison",
}


def test_inputs_and_outputs() -> None:
    sheets = create_sheets_pipeline()
    assert sheets.inputs() == {"test", "arm_texts", "params:people", "params:experiment"}
    assert sheets.outputs() == {"rating_sheets", "rating_key"}
    ratings = create_ratings_pipeline()
    assert ratings.inputs() == {"returned_sheets", "rating_key", "params:people", "params:evaluation"}
    assert ratings.all_outputs() == RATINGS


def test_parameters_are_typed() -> None:
    typed = {"params:people": PeopleParams, "params:evaluation": EvaluationParams, "params:experiment": str}
    for node in (create_sheets_pipeline() + create_ratings_pipeline()).nodes:
        hints = list(get_type_hints(node.func).values())
        for place, name in enumerate(node.inputs):
            if name in typed:
                assert hints[place] is typed[name]


def test_sheets_go_out_and_come_back() -> None:
    given = {
        "test": split(),
        "arm_texts": answers(),
        "params:people": recipes.people(),
        "params:experiment": "trial",
        "params:evaluation": recipes.evaluation(bootstrap_samples=50),
    }
    catalog = DataCatalog({name: MemoryDataset(value) for name, value in given.items()})
    made = SequentialRunner().run(create_sheets_pipeline(), catalog)
    key = made["rating_key"].load()
    catalog["rating_key"] = MemoryDataset(key)
    for raters in ((), ("anna", "ben")):
        returned = {f"{rater}.csv": to_csv(csv_rows(key, rater)) for rater in raters}
        catalog["returned_sheets"] = MemoryDataset(returned)
        run = SequentialRunner().run(create_ratings_pipeline(), catalog)
        report = run["ratings_report"].load()
        assert report["sheets_returned"] == len(raters)
        comparison = run["ratings_comparison"].load()
        assert set(comparison["metric"]) == (
            {"people_accuracy", "people_safety", "people_preference"} if raters else set()
        )
