"""Which pipelines an experiment's second track has, and what is said of those that it has not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from med_lora import pipeline_registry
from med_lora.config_loader import ExperimentConfigLoader
from med_lora.errors import InputError
from med_lora.parameters import parse_parameters
from med_lora.pipelines.tracks import Tracks, tracks_of

ENDPOINT = {
    "base_url": "http://127.0.0.1:8000/v1",
    "model": "judge",
    "api_key_variable": None,
    "deadline_s": 5,
    "retries": 0,
    "concurrency": 1,
}
SECOND = ("retrieval", "judge", "rating_sheets", "ratings", "divergence")


def register(root: Path, monkeypatch: pytest.MonkeyPatch, **given: dict[str, Any]) -> tuple[Tracks, Any]:
    """The tracks of the embedded experiment with some settings changed, and its pipelines."""
    loader = ExperimentConfigLoader(root / "conf", "cpu", dict(given), base_env="base", default_run_env="cpu")
    parameters = parse_parameters(loader["parameters"])
    monkeypatch.setattr(pipeline_registry, "_plan", pipeline_registry._plan)
    pipeline_registry.select_plan(parameters)
    return tracks_of(parameters), pipeline_registry.register_pipelines()


def test_default_has_no_second_track_and_says_how_to_get_each(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks, pipelines = register(root, monkeypatch)
    assert tracks == Tracks()
    for name in SECOND:
        assert name not in pipelines
        with pytest.raises(click.ClickException, match=r"has nothing to do in this experiment: .*(true|rater)"):
            pipelines[name]


@pytest.mark.parametrize(
    ("judge", "asked"),
    [
        ({}, "base_model"),
        ({"local": {"id": "folder", "revision": None}}, "judge_model"),
        ({"endpoint": ENDPOINT}, None),
    ],
    ids=["base", "local", "remote"],
)
def test_judge_is_the_one_that_is_named(
    judge: dict[str, Any], asked: str | None, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, pipelines = register(root, monkeypatch, judge={"enabled": True, **judge})
    (asking,) = [node for node in pipelines["judge"].nodes if node.name == "judge.ask_judge"]
    assert {"base_model", "judge_model"} & set(asking.inputs) == ({asked} if asked else set())
    assert pipelines["divergence"].nodes
    assert {node.name for node in pipelines["judge"].nodes} <= {node.name for node in pipelines["__default__"].nodes}


def test_sheets_are_made_until_they_have_come_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, pipelines = register(root, monkeypatch, people={"raters": ["anna"]})
    assert "rating_sheets" in pipelines
    assert "ratings" not in pipelines
    assert "rating_sheets" in pipelines["__default__"].all_outputs()
    _, pipelines = register(root, monkeypatch, people={"raters": ["anna"], "rated": True})
    assert "rating_sheets" not in pipelines
    assert {"ratings", "divergence"} <= set(pipelines)
    assert "rating_sheets" not in pipelines["__default__"].all_outputs()


def test_four_arms_are_compared_and_reported(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, pipelines = register(root, monkeypatch, retrieval={"enabled": True})
    made = pipelines["__default__"].all_outputs()
    assert {"base_rag_answers", "tuned_rag_answers", "retrieval_comparison", "retrieval_metrics"} <= made
    (report,) = [node for node in pipelines["reporting"].nodes if node.name == "reporting.write_report"]
    assert "report_retrieval" in report.inputs


def test_exams_and_seconds_are_part_of_every_evaluation_that_asks_for_them(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, without = register(root, monkeypatch)
    given = {
        "data_engineering": {"corpora": ["genmedgpt"], "benchmarks": ["wikidoc"]},
        "evaluation": {"benchmarks": True},
    }
    _, pipelines = register(root, monkeypatch, **given, latency={"enabled": True})
    added = pipelines["evaluation"].outputs() - without["evaluation"].outputs()
    assert {"benchmark_bars_figure", "latency_figure"} <= added
    assert {"benchmark_comparison", "latency"} <= pipelines["__default__"].all_outputs()


def test_exams_that_nobody_names_stop_the_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"data_engineering\.benchmarks names no exam"):
        register(root, monkeypatch, evaluation={"benchmarks": True})


def test_an_experiment_without_pairs_says_which_pipelines_it_has(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, pipelines = register(root, monkeypatch, data_engineering={"corpora": ["textbooks"]})
    assert "data_engineering" in pipelines
    for name in ("__default__", "training", "evaluation", "reporting"):
        with pytest.raises(click.ClickException, match="gives question-answer pairs; run --pipelines=data_engineering"):
            pipelines[name]
