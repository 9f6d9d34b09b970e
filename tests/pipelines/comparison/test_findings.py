"""What the page of many runs says in sentences."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .made_runs import compare_runs, make_run

R4, R8, R16 = (f"2026-11-20T{hour:02}.00.00.000Z" for hour in (1, 2, 3))


def rank(value: int) -> dict[str, Any]:
    return {"training.lora.r": value}


def test_a_tuned_model_no_better_than_its_base_model_is_told(tmp_path: Path) -> None:
    make_run(tmp_path, R4, 0.2, changes=rank(4))
    make_run(tmp_path, R8, -0.2, changes=rank(8), noise=2)
    outputs = compare_runs(tmp_path)
    means = outputs["run_means"].set_index(["metric", "run", "arm"])["mean"]
    worse = {
        metric: sum(sign * (means[metric, run, "tuned"] - means[metric, R4, "base"]) <= 0 for run in (R4, R8))
        for metric, sign in (("cross_entropy", -1), ("rougeL", 1), ("bleu", 1))
    }
    assert worse["rougeL"] == 1
    titles = {"cross_entropy": "Cross-entropy", "rougeL": "ROUGE-L F", "bleu": "BLEU"}
    told = ", ".join(f"{titles[metric]} ({count} of 2)" for metric, count in worse.items() if count)
    said = "not better than the untuned model&#39;s (not tested here; see each run&#39;s report): "
    assert f"{said}{told}." in outputs["comparison_report"]


def test_sentences_name_the_metric_and_tables_have_the_sign_for_minus(tmp_path: Path) -> None:
    make_run(tmp_path, R4, 0.1, changes=rank(4))
    make_run(tmp_path, R8, 0.2, changes=rank(8), noise=2)
    make_run(tmp_path, R16, 0.2, changes=rank(16), noise=3)
    outputs = compare_runs(tmp_path)
    page = outputs["comparison_report"]
    table = outputs["run_contrasts"]
    low = table["difference_low"][(table["metric"] == "cross_entropy") & (table["difference_low"] < 0)].iloc[0]
    assert f" [−{-low:.3f}, " in page
    assert f" [-{-low:.3f}, " not in page
    assert re.search(r" is better than .* by .* in Cross-entropy \(p ", page)


def test_runs_of_one_label_are_told_apart_by_their_time(tmp_path: Path) -> None:
    make_run(tmp_path, R4, 0.1)
    make_run(tmp_path, R8, 0.1)
    outputs = compare_runs(tmp_path, "compared_runs", "comparison_report")
    assert outputs["compared_runs"]["label"].tolist() == ["embedded", "embedded (11-20T02.00.00)"]
    assert "embedded; embedded (11-20T02.00.00) have equal settings and seeds" in outputs["comparison_report"]
