"""Whole rehearsals in a copied project, several in one process, and what they left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from tests.projects import network_attempts, newest, run_environment

# The start, the imports and WordNet, which is read once for all of them, take ten seconds.
SEVERAL = """
import functools, sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from med_lora.__main__ import main
from med_lora.metrics import parallel
from med_lora.rehearsal.run import rehearse_experiment
from med_lora.rehearsal.sizes import SMALLEST
kept = parallel.find_wordnet()
files = kept.__enter__()
parallel.find_wordnet = lambda: nullcontext(files)
parallel.WordNet = functools.cache(parallel.WordNet)
without, *names = sys.argv[1:]
for name in names:
    if name in without.split():
        rehearse_experiment(Path.cwd(), name, replace(SMALLEST, grid_values=0, trials=0))
    else:
        main(["rehearse", name, "--smallest"], standalone_mode=False)
kept.__exit__(None, None, None)
"""


def rehearse_in_turn(project: Path, *names: str, without_trials: Collection[str] = ()) -> str:
    """The smallest rehearsals of experiments one after the other, by the command.

    Args:
        project: a copy.
        names: of experiments.
        without_trials: those of them whose sweep and search are left out, since another one has the same.

    Returns:
        The standard output.
    """
    command = [sys.executable, "-c", SEVERAL, " ".join(without_trials), *names]
    environment = run_environment(project)
    result = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, (result.stdout + result.stderr)[-6000:]
    return result.stdout


def study_table(project: Path, name: str) -> pd.DataFrame:
    """The table in the shape of the study's own, after what every rehearsal of a study must leave."""
    assert network_attempts(project) == ""
    reporting = f"08_reporting/{name}_rehearsal"
    published = pd.read_csv(newest(project, f"{reporting}/published_comparison.csv") / "published_comparison.csv")
    assert {"quantity", "published", "ours"} <= set(published.columns)
    assert f"This is a rehearsal of {name}" in report_page(project, name)
    return pd.read_csv(newest(project, f"{reporting}/study_table.csv") / "study_table.csv")


def report_page(project: Path, name: str) -> str:
    """The report of a rehearsal."""
    folder = newest(project, f"08_reporting/{name}_rehearsal/report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


def figures(project: Path, name: str) -> set[str]:
    """Names of the figures and tables of a rehearsal."""
    return {path.name for path in (project / "data/08_reporting" / f"{name}_rehearsal").iterdir()}
