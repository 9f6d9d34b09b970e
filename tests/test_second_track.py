"""A whole run with passages, a judge and people, in a copied project: from raw corpora to ratings that came back."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from openpyxl import load_workbook

from tests.experiments import base_parameters
from tests.kedro_server import KedroServer
from tests.projects import SMALL, copy_project, network_attempts, newest

AXES = [axis["name"] for axis in base_parameters()["people"]["axes"]]
CHECKS = [
    *("gold above empty", "gold above shuffled", "known pair", "order bias", "contradictions", "asks for a 5"),
    *("padded", "length", "self-consistency", "missing answers", "agreement with people"),
]
Finished = tuple[Path, subprocess.CompletedProcess[str]]
TRACKS = {
    "retrieval": {"enabled": True, "method": "bm25", "passages": 2, "candidates": 5, "context_tokens": 96},
    "judge": {"enabled": True, "items": 3, "repeats": 1},
    "people": {"raters": ["anna", "ben"], "items": 3},
    "probes": [
        {"name": "sprain", "question": "When should a sprained ankle be rested?"},
        {"name": "gout", "question": "What is gout?"},
    ],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, forked_kedro: KedroServer) -> Finished:
    project = copy_project(tmp_path_factory.mktemp("tracks"))
    experiment = yaml.safe_load((project / "conf/experiments/embedded.yml").read_text())
    (project / "conf/experiments/tracks.yml").write_text(yaml.safe_dump(experiment | TRACKS))
    result = forked_kedro(project, "run", f"--params=experiment=tracks,{SMALL}")
    assert result.returncode == 0, result.stderr[-3000:]
    return project, result


def fill(ratings: Any, preferences: Any, shift: int) -> None:
    """Scores from 1 to 5 in every unlocked cell under an axis, and choices."""
    for page, names, values in (
        (ratings, AXES, (1, 2, 3, 4, 5)),
        (preferences, ["preference"], ("A", "B", "tie")),
    ):
        header = next(row for row in page.iter_rows() if names[0] in {cell.value for cell in row})
        columns = {cell.column for cell in header if cell.value in names}
        for row in page.iter_rows(min_row=header[0].row + 1):
            for cell in row:
                if cell.column in columns and not cell.protection.locked:
                    cell.value = values[(cell.row + cell.column + shift) % len(values)]


def read_table(project: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(newest(project, f"08_reporting/tracks/{name}.csv") / f"{name}.csv")


def test_four_arms_enter_one_comparison(finished: Finished) -> None:
    comparison = read_table(finished[0], "retrieval_comparison")
    contrasts = set(zip(comparison["reference"], comparison["arm"], strict=True))
    assert {("base", "base_rag"), ("tuned", "tuned_rag"), ("base_rag", "tuned_rag"), ("base", "tuned_rag")} <= contrasts
    scored = comparison[comparison["metric"].isin(["perplexity", "rougeL", "grounded_words"])]
    assert scored["difference"].notna().all()
    assert "retrieved_passage" in set(comparison["best_control"])


def test_run_says_what_the_judge_and_the_tracks_are_worth(finished: Finished) -> None:
    project, result = finished
    summary = json.loads((newest(project, "08_reporting/tracks/judge_summary.json") / "judge_summary.json").read_text())
    verdict = (newest(project, "08_reporting/tracks/divergence_verdict.txt") / "divergence_verdict.txt").read_text()
    assert " ".join(summary["sentences"]) in result.stdout
    assert verdict in result.stdout
    usage = json.loads((newest(project, "08_reporting/tracks/judge_usage.json") / "judge_usage.json").read_text())
    checks = read_table(project, "judge_checks")
    assert usage["asked"] > 0
    assert {"passed", "failed", "unclear", "not measured"} >= set(checks["verdict"])
    assert list(dict.fromkeys(checks["check"])) == CHECKS


def test_every_arm_answers_the_fixed_questions(finished: Finished) -> None:
    project, _ = finished
    (saved,) = newest(project, "07_model_output/tracks/probe_answers").rglob("data.parquet")
    table = pd.read_parquet(saved)
    assert table["arm"].tolist() == ["base", "tuned", "base_rag", "tuned_rag"] * 2
    assert table["number"].tolist() == [1] * 4 + [2] * 4
    assert (table.loc[~table["arm"].str.endswith("_rag"), "passages"] == 0).all()
    assert not list((project / "data").glob("07_model_output/tracks/*_probe_journal/*"))
    report = newest(project, "08_reporting/tracks/report.html") / "report.html"
    assert 'id="section-probes"' in report.read_text(encoding="utf-8")


def test_report_has_a_section_for_each_track(finished: Finished) -> None:
    report = newest(finished[0], "08_reporting/tracks/report.html") / "report.html"
    page = report.read_text(encoding="utf-8")
    for part in ('id="four-arms"', 'id="judge-checks"', 'id="divergence"', "Tuned model with passages"):
        assert part in page


def test_sheets_that_come_back_enter_divergence_and_report(finished: Finished, forked_kedro: KedroServer) -> None:
    project, _ = finished
    returned = project / "data/01_raw/ratings/tracks"
    returned.mkdir(parents=True)
    for number, rater in enumerate(("anna", "ben")):
        sheets = newest(project, "08_reporting/tracks/rating_sheets")
        book = load_workbook(next(sheets.rglob(f"{rater}.xlsx")))
        fill(book["Ratings"], book["Preferences"], number)
        book.save(returned / f"{rater}.xlsx")
    pipelines = "--pipelines=ratings,judge,divergence,reporting"
    result = forked_kedro(project, "run", pipelines, f"--params=experiment=tracks,people.rated=true,{SMALL}")
    assert result.returncode == 0, result.stderr[-3000:]
    report = json.loads(
        (newest(project, "08_reporting/tracks/ratings_report.json") / "ratings_report.json").read_text()
    )
    assert report["sheets_returned"] == report["sheets_expected"] == 2
    usage = json.loads((newest(project, "08_reporting/tracks/judge_usage.json") / "judge_usage.json").read_text())
    # every answer was kept; what did not fit into the model's context is tried again
    assert usage["cached"] > 0
    assert usage["asked"] <= sum(usage["failed"].values())
    assert read_table(project, "agreement")["value"].notna().any()
    assert read_table(project, "ratings_comparison")["difference"].notna().any()
    assert "people_accuracy" in set(read_table(project, "divergence")["second"])
    page = (newest(project, "08_reporting/tracks/report.html") / "report.html").read_text(encoding="utf-8")
    assert 'id="ratings-comparison"' in page


def test_nothing_was_asked_of_the_network(finished: Finished) -> None:
    assert not network_attempts(finished[0])
