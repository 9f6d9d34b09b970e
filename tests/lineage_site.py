"""A project with a few artifacts, made by hand, and the lineage that is built of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog
from kedro.io.core import generate_timestamp

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.pipelines.reporting.studies.shapes import tabulate_study
from tests.projects import copy_project, run_environment

COMMAND = "import sys; from med_lora.lineage.command import lineage; lineage(sys.argv[1:])"
# A sentence in every artifact that may hold text, or ids, of records.
SECRET = "The orchard keeper of Velmora fell ill on a rainy"
TABLES = [
    "parsed_genmedgpt",
    "cleaned_genmedgpt",
    "passages_textbooks",
    "passages",
    "qa_pairs",
    "rejected_pairs",
    "train",
    "validation",
    "test",
    "unused_pairs",
    "rendered_pairs",
    "base_answers",
    "tuned_answers",
    "base_losses",
    "tuned_losses",
    "arm_texts",
    "scores",
    "pair_traits",
    "benchmark_overlap",
    "token_lengths",
    "disagreements",
    "judge_scores",
    "judge_answers",
    "rating_key",
    "ratings",
    "rating_comments",
    "contexts",
    "grounded_test",
    "retrieved",
    "index_passages",
    "canary_secrets",
    "benchmark_questions",
]
# What an experiment needs for every table to be made by one of its nodes.
EVERY_TRACK: dict[str, Any] = {
    "study": "kim2024_msk",
    "canaries": {"enabled": True},
    "retrieval": {"enabled": True},
    "judge": {"enabled": True},
    "people": {"raters": ["anna"], "rated": True},
    "evaluation": {"benchmarks": True},
}
EXAM = {"layout": "choices", "title": "Exam", "licence": "unknown", "files": "exam.jsonl"}
REPORT = """<html><main><h1>embedded</h1><p class="headline">Perplexity fell.</p>
<table id="comparison"><tr><th>Perplexity</th><td>86.6</td></tr></table><p class="asked">{}</p></main></html>"""


def make_project(folder: Path) -> Path:
    """A copy of the project in which every text is a secret, and a figure, a table and a report are not."""
    import plotly.graph_objects as go
    from datasets import Dataset

    project = copy_project(folder)
    add_every_track(project)
    loader = ExperimentConfigLoader(project / "conf", "cpu", {}, base_env="base", default_run_env="cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        catalog = DataCatalog.from_config(loader["catalog"], save_version=generate_timestamp())
        for number, name in enumerate(TABLES):
            table = pd.DataFrame({"id": [secret(number)], "question": [secret(number)], "answer": [secret(number)]})
            is_arrow = type(catalog[name]).__name__ == "ArrowDataset"
            catalog.save(name, Dataset.from_pandas(table) if is_arrow else table)
        catalog.save("data_report", REPORT.format(secret(100)))
        catalog.save("report", REPORT.format(secret(101)))
        catalog.save("score_bars_figure", go.Figure(go.Bar(x=["base", "tuned"], y=[0.1, 0.2])))
        catalog.save(
            "comparison", pd.DataFrame({"metric": ["bleu"] * 20, "n": range(20), "p_value": [float("nan")] * 20})
        )
        catalog.save("headline", {"sentence": "Perplexity fell."})
        catalog.save("study_table", make_study_table(loader["parameters"]))
    return project


def add_every_track(project: Path) -> None:
    """Switch on, in the default experiment, all that it leaves out."""
    file = project / "conf/experiments/embedded.yml"
    experiment = yaml.safe_load(file.read_text()) | EVERY_TRACK
    experiment["corpora"]["exam"] = EXAM
    experiment["data_engineering"]["benchmarks"] = ["exam"]
    file.write_text(yaml.safe_dump(experiment))


def make_study_table(parameters: dict[str, Any]) -> pd.DataFrame:
    """The table of a study that shows single questions, which is previewed; of ours, every text and id is a secret."""
    texts = dict.fromkeys(["id", "question", "reference", "base"], secret(102))
    examples = pd.DataFrame([texts | {"sources": "", "base_finish": "eos"}])
    nothing = {name: pd.DataFrame() for name in ("comparison", "corpus_scores", "as_published", "training_history")}
    return tabulate_study(
        "kim2024_msk", parameters["studies"], parameters, **nothing, forgetting=pd.DataFrame(), examples=examples
    )


def secret(number: int) -> str:
    return f"{SECRET} {number}"


def build(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in the project."""
    command: list[Any] = [sys.executable, "-c", COMMAND, *arguments]
    environment = run_environment(project)
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
