"""Runs are repeated after the world has moved on: newer data, a newer adapter, and other settings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
import yaml

from tests.kedro_server import KedroServer
from tests.projects import SMALL, DefaultRun, copy_run, network_attempts, run_environment

ELSEWHERE = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "77", "COLUMNS": "60"}
TRAINED = ("train", "validation", "test", "training_history", "adapter")
EVALUATED = (
    "base_answers",
    "tuned_answers",
    "base_losses",
    "tuned_losses",
    "scores",
    "metrics",
    "comparison",
    "headline",
)


# The part of an evaluation that reads splits and adapter, and little else.
LOSSES = ("--pipelines=evaluation", "--to-nodes=tuned.measure_losses")


class Past(NamedTuple):
    """A project and the ids of three runs: the default pipeline, losses of its adapter, then newer data and adapter."""

    project: Path
    whole: str
    losses: str
    newer: str


@pytest.fixture(scope="module")
def past(default_run: DefaultRun, tmp_path_factory: pytest.TempPathFactory, forked_kedro: KedroServer) -> Past:
    project = copy_run(default_run, tmp_path_factory.mktemp("rerun") / "project")
    losses = run(forked_kedro, project, *LOSSES, f"--params={SMALL}")
    change_settings(project)
    again = f"--params={SMALL},data_engineering.split.seed=7"
    newer = run(forked_kedro, project, "--pipelines=data_engineering,training", again)
    return Past(project, default_run.id, losses, newer)


def run(start: KedroServer, project: Path, *arguments: str) -> str:
    """Id of a new run."""
    result = start(project, "run", *arguments, TZ="UTC")
    assert result.returncode == 0, result.stderr[-3000:]
    return max(path.name for path in (project / "runs").iterdir())


def change_experiment(project: Path, corpora: list[str], **more: Any) -> None:
    file = project / "conf/experiments/embedded.yml"
    experiment = yaml.safe_load(file.read_text())
    experiment["data_engineering"]["corpora"] = corpora
    file.write_text(yaml.safe_dump(experiment | more))


def change_settings(project: Path) -> None:
    """What people do to their files in a year."""
    change_experiment(project, corpora=["wikidoc"], training={"loss_on": "all", "lora": {"alpha": 8}})
    corpora = project / "conf/base/parameters_corpora.yml"
    corpora.write_text(f"{corpora.read_text()}  newer: {{layout: pages, title: x, licence: unknown, files: nowhere}}\n")
    trials = project / "conf/base/parameters_trials.yml"
    trials.write_text(trials.read_text().replace("grid: {}", "grid: {training.lora.r: [2, 4]}"))


def verify(past: Past, run: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "med_lora", "runs", "verify", run]
    environment = run_environment(past.project, **ELSEWHERE)
    return subprocess.run(command, cwd=past.project, env=environment, capture_output=True, text=True, check=False)


def read_manifest(past: Past, run: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((past.project / "runs" / run / "manifest.json").read_text(encoding="utf-8"))
    return content


def entries(past: Past, run: str, kind: str = "outputs") -> dict[str, dict[str, Any]]:
    return {entry["dataset"]: entry for entry in read_manifest(past, run)[kind]}


def rerun_of(past: Past, run: str) -> str:
    ids = [path.name for path in (past.project / "runs").iterdir()]
    (found,) = (id for id in ids if read_manifest(past, id)["rerun_of"] == run)
    return found


def compared(past: Past, run: str) -> int:
    return sum(not entry["reads_clock"] for entry in entries(past, run).values())


def check_bytes(past: Past, run: str, names: tuple[str, ...]) -> None:
    """The files themselves, not only what the manifests say of them."""
    before, after = entries(past, run), entries(past, rerun_of(past, run))
    assert list(before) == list(after)
    for name in names:
        assert not before[name]["reads_clock"]
        first, second = (past.project / given[name]["path"] for given in (before, after))
        assert first != second
        for file in before[name]["files"]:
            assert (first / file).read_bytes() == (second / file).read_bytes(), (name, file)


@pytest.fixture(scope="module")
def altered_rerun(past: Past) -> subprocess.CompletedProcess[str]:
    """The whole run is verified while its manifest has another hash of the metrics."""
    file = past.project / "runs" / past.whole / "manifest.json"
    recorded = file.read_text()
    altered = json.loads(recorded)
    (metrics,) = (entry for entry in altered["outputs"] if entry["dataset"] == "metrics")
    metrics |= {"sha256": "0" * 64, "files": {"": "0" * 64}}
    file.write_text(json.dumps(altered))
    result = verify(past, past.whole)
    file.write_text(recorded)
    return result


def test_a_run_is_repeated_to_the_byte_and_what_differs_is_named(
    past: Past, altered_rerun: subprocess.CompletedProcess[str]
) -> None:
    before, newer = entries(past, past.whole), entries(past, past.newer)
    assert newer["train"]["sha256"] != before["train"]["sha256"]
    assert newer["adapter"]["sha256"] != before["adapter"]["sha256"]
    assert altered_rerun.returncode == 1, altered_rerun.stderr[-3000:]
    assert "metrics is the first artifact that differs" in altered_rerun.stdout
    count = compared(past, past.whole)
    assert f"1 of {count} are not known to be byte-identical: metrics." in altered_rerun.stdout
    check_bytes(past, past.whole, TRAINED + EVALUATED)


def test_an_evaluation_is_repeated_on_the_adapter_it_had(past: Past) -> None:
    pinned = yaml.safe_load((past.project / "runs" / past.losses / "rerun.yml").read_text())["run"]["load_versions"]
    assert {f"adapter:{past.whole}", f"test:{past.whole}"} <= set(pinned.split(","))
    result = verify(past, past.losses)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    sentence = f"All {compared(past, past.losses)} artifacts of {past.losses} are byte-identical"
    assert sentence in result.stdout
    check_bytes(past, past.losses, ("tuned_losses",))
    loaded = entries(past, rerun_of(past, past.losses), "inputs")
    assert loaded["adapter"]["version"] == past.whole
    assert loaded["adapter"]["sha256"] == entries(past, past.whole)["adapter"]["sha256"]


@pytest.mark.usefixtures("altered_rerun")  # of which there are two runs then
def test_runs_are_compared_as_they_recorded_themselves(past: Past, forked_kedro: KedroServer) -> None:
    id = run(forked_kedro, past.project, "--pipelines=comparison", f"--params={SMALL}")
    across = entries(past, id)
    assert all(entry["reads_clock"] for entry in across.values())  # there are more runs by next time
    compared_runs = pd.read_csv(past.project / across["compared_runs"]["path"], dtype=str, keep_default_na=False)
    found = compared_runs.set_index("run").to_dict("index")
    again = rerun_of(past, past.whole)
    assert list(found) == [past.whole, again]
    assert [row["training_run"] for row in found.values()] == ["", ""]  # each trained what it scored
    assert [row["same_as"] for row in found.values()] == ["", past.whole]
    means = pd.read_csv(past.project / across["run_means"]["path"])
    (mean,) = means.query("run == @past.whole and arm == 'tuned' and metric == 'rougeL'")["mean"]
    scores = pd.read_parquet(past.project / entries(past, past.whole)["scores"]["path"])
    assert mean == pytest.approx(scores.query("arm == 'tuned' and metric == 'rougeL'")["score"].mean())


def test_nothing_was_asked_of_the_network(past: Past) -> None:
    assert not network_attempts(past.project)
