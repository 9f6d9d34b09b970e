"""The rehearsals of studies B and D: five architectures, the grid as a sweep with one of them, and listed steps."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.projects import copy_project, newest

from .rehearsed import figures, rehearse_in_turn, report_page, study_table

SYSTEMS = {
    "medlms_llama2_7b": "Llama-2-7B",
    "medlms_mistral_7b": "Mistral-7B",
    "medlms_llama3_8b": "Llama-3-8B",
    "medlms_gemma_7b": "Gemma-1.1-7B",
    "medlms_distilgpt2": "DistilGPT2",
}
SWEPT = "medlms_distilgpt2"
TERMS = "gpt2_medical_terms"


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The project, and what was printed."""
    project = copy_project(tmp_path_factory.mktemp("models"))
    return project, rehearse_in_turn(project, *SYSTEMS, TERMS, without_trials=set(SYSTEMS) - {SWEPT})


@pytest.fixture(scope="module")
def project(rehearsed: tuple[Path, str]) -> Path:
    return rehearsed[0]


@pytest.mark.parametrize("name", SYSTEMS)
def test_table_has_the_models_row(project: Path, name: str) -> None:
    table = study_table(project, name)
    published, ours = table[table["source"] == "published"], table[table["source"] == "rehearsal"]
    assert list(published["system"]) == [SYSTEMS[name]]
    assert list(ours["arm"]) == ["base", "tuned"]
    assert ours["answer_seconds"].gt(0).all()
    assert {"exact_match", "bleu_max", "rouge1_max", "token_f1_max"} <= set(table.columns)
    assert "epoch_scores.json" in figures(project, name)


def test_grid_is_swept_with_its_first_values(project: Path) -> None:
    trials = pd.read_csv(newest(project, f"08_reporting/{SWEPT}_rehearsal/sweep_trials.csv") / "sweep_trials.csv")
    assert (trials["state"] == "finished").all()
    assert trials["training.lora.r"].min() == 4


def test_table_has_the_steps_of_the_study(project: Path) -> None:
    table = study_table(project, TERMS)
    ours = table[(table["source"] == "rehearsal") & (table["stage"] == "training")]
    assert {100, 200, 300} <= set(ours["step"])
    assert ours["validation_loss"].notna().all()
    tuned = table[(table["source"] == "rehearsal") & (table["stage"] == "after")]
    assert tuned[["perplexity", "perplexity_padded"]].notna().all(axis=None)
    assert {"loss_curve.json", "perplexity_bars.json"} <= figures(project, TERMS)


def test_command_shows_what_it_changes_and_where_the_report_is(rehearsed: tuple[Path, str]) -> None:
    project, output = rehearsed
    assert 'model.id "openai-community/gpt2"' in " ".join(output.split())
    report = newest(project, f"08_reporting/{TERMS}_rehearsal/report.html") / "report.html"
    assert str(report) in output.splitlines()[-1]


def test_answers_to_the_topics_are_kept_beside_each_other(project: Path) -> None:
    assert "congenital adrenal hyperplasia" in report_page(project, TERMS)


def test_run_is_recorded_as_a_rehearsal(project: Path) -> None:
    manifests = [json.loads(file.read_text()) for file in (project / "runs").glob("*/manifest.json")]
    (recorded,) = [manifest for manifest in manifests if manifest["experiment"] == f"{TERMS}_rehearsal"]
    assert recorded["status"] == "finished"
    assert recorded["env"] == "cpu"
    assert recorded["parameters"]["rehearsal_of"] == TERMS
