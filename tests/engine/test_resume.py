"""A run that is killed and started again ends as if nothing had happened, bit for bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# Killed at chosen points: after the third of six checkpoints, and inside the third save before its optimizer state.
AFTER_THREE: list[Any] = ["sealed", 3]
IN_THE_THIRD: list[Any] = ["optimizer", 3]
SCENARIOS = [
    {"name": "chosen points", "kills": 2, "points": [AFTER_THREE, IN_THE_THIRD]},
    {"name": "two processes", "kills": 1, "points": [AFTER_THREE], "processes": 2, "hardware": {"micro_batch_size": 2}},
]
FURTHER_SCENARIOS = [
    {"name": "random", "kills": 4, "seed": 5},
    {
        "name": "random batches, noise, all weights",
        "kills": 1,
        "points": [AFTER_THREE],
        "lora": None,
        "recipe": {"batches": "random", "keep": "last", "neftune_alpha": 5.0},
        "hardware": {"packing": False},
    },
    {"name": "without random numbers", "kills": 1, "points": [AFTER_THREE], "without": "rng"},
    {"name": "without verification", "kills": 1, "points": [IN_THE_THIRD], "without": "verification"},
]


def play(root: Path, folder: Path, scenarios: list[dict[str, Any]]) -> dict[str, Any]:
    """The scenarios' results by name; one process forks all runs."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.engine.kills", str(folder), json.dumps(scenarios)],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return {(line := json.loads(text))["name"]: line for text in result.stdout.splitlines()}


@pytest.fixture(scope="module")
def played(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return play(root, tmp_path_factory.mktemp("runs"), SCENARIOS)


@pytest.fixture(scope="module")
def played_further(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return play(root, tmp_path_factory.mktemp("further_runs"), FURTHER_SCENARIOS)


def check_that_nothing_differs(scenario: dict[str, Any]) -> None:
    reference = scenario["reference"]["result"]
    assert [run["error"] or run["result"] for run in scenario["runs"]] == [reference] * len(scenario["runs"])
    assert all(kill["killed"] for kill in scenario["kills"])


@pytest.mark.parametrize("name", ["chosen points", "two processes"])
def test_a_killed_run_ends_with_the_same_weights_and_history(played: dict[str, Any], name: str) -> None:
    check_that_nothing_differs(played[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["random", "random batches, noise, all weights"])
def test_further_killed_runs_end_with_the_same_weights_and_history(played_further: dict[str, Any], name: str) -> None:
    check_that_nothing_differs(played_further[name])


def test_runs_really_went_on_from_checkpoints(played: dict[str, Any]) -> None:
    first, second = played["chosen points"]["kills"]
    assert (first["place"], second["place"]) == ("between checkpoints", "inside a save")
    assert second["resumed"] == "checkpoint-6"
    assert any("was not saved to the end" in line for line in played["chosen points"]["runs"][0]["log"])


@pytest.mark.slow
def test_without_the_random_state_the_result_differs(played_further: dict[str, Any]) -> None:
    """Dropout draws other numbers; so the equalities above say something."""
    scenario = played_further["without random numbers"]
    assert scenario["runs"][0]["result"]["weights"] != scenario["reference"]["result"]["weights"]


@pytest.mark.slow
def test_without_verification_a_half_checkpoint_ruins_the_run(played_further: dict[str, Any]) -> None:
    scenario = played_further["without verification"]
    assert scenario["equal"] == 0
