"""The rehearsals of studies A, C and E: arms, tracks, pairs written from text, ranks, exams, search, plain text."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from med_lora.rehearsal.sizes import SMALLEST
from tests.projects import copy_project, newest

from .rehearsed import figures, rehearse_in_turn, report_page, study_table

RANKS = {"lund_heart_r16": 16, "lund_heart_r32": 32, "lund_heart_r64": 64, "lund_heart_cpt": 16}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = copy_project(tmp_path_factory.mktemp("tracks"))
    names = ("kim2024_msk", "medidialogue", *RANKS, "best_practice")
    rehearse_in_turn(project, *names, without_trials=RANKS.keys() - {"lund_heart_r16"})
    return project


def test_six_questions_are_answered_by_four_arms(project: Path) -> None:
    table = study_table(project, "kim2024_msk")
    ours = table[table["source"] == "rehearsal"]
    asked = ours.groupby("question")["arm"].agg(set)
    assert len(asked) == 6
    assert all(arms == {"base", "tuned", "base_rag", "tuned_rag"} for arms in asked)
    assert ours.loc[ours["arm"] == "tuned_rag", "passages"].gt(0).all()
    assert "kinetic medial rotation test" in report_page(project, "kim2024_msk")


def test_two_tracks_stand_in_one_table(project: Path) -> None:
    table = study_table(project, "medidialogue")
    ours = table[table["source"] == "rehearsal"]
    assert set(ours["track"]) == {"text", "judge"}
    assert {"bleu", "rouge1", "rouge2", "rougeL", "meteor"} <= set(ours["metric"])
    assert ours.loc[ours["track"] == "text", "n"].gt(0).all()
    assert "p_as_published" in table.columns
    assert "comparison.csv" in figures(project, "medidialogue")


@pytest.mark.parametrize(("name", "rank"), RANKS.items())
def test_table_has_the_rank_before_and_after(project: Path, name: str, rank: int) -> None:
    table = study_table(project, name)
    ours = table[table["source"] == "rehearsal"]
    assert set(ours["rank"].dropna()) == {rank}
    assert {"train_loss", "validation_loss", "cross_entropy"} <= set(ours["measure"])
    assert {"benchmark_comparison.csv", "forgetting.csv", "loss_curve.json"} <= figures(project, name)


def test_pairs_were_written_by_rule_and_kept(project: Path) -> None:
    report = newest(project, "08_reporting/lund_heart_r16_rehearsal/generation_report.json") / "generation_report.json"
    counts = json.loads(report.read_text())
    assert counts["model"].startswith("stand-in-writer")
    assert counts["calls_without_answer"] == {}
    assert counts["rows_rejected"].keys() <= {"no_pairs"}
    assert counts["pairs_kept"] > 30


def test_written_test_pairs_are_of_several_documents_so_that_they_can_be_compared(project: Path) -> None:
    assert "could not be compared" not in report_page(project, "lund_heart_r16")


def test_ranks_are_swept_and_settings_searched(project: Path) -> None:
    reporting = "08_reporting/lund_heart_r16_rehearsal"
    swept, searched = (
        pd.read_csv(newest(project, f"{reporting}/{table}.csv") / f"{table}.csv")
        for table in ("sweep_trials", "search_trials")
    )
    assert list(swept["training.lora.r"]) == [16]
    assert list(swept["state"]) == ["finished"]
    assert len(searched) == SMALLEST.trials
    assert "finished" in set(searched["state"])
    assert set(searched["state"]) <= {"finished", "pruned"}


def test_best_practice_reaches_its_report(project: Path) -> None:
    assert "This is a rehearsal of best_practice" in report_page(project, "best_practice")
    assert {"comparison.csv", "benchmark_comparison.csv"} <= figures(project, "best_practice")
    compared = newest(project, "08_reporting/best_practice_rehearsal/comparison.csv") / "comparison.csv"
    assert len(pd.read_csv(compared)) > 1
