"""Runs side by side: what is ranked, tested, counted once, and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.pipelines.comparison.contrasts import EVERY_PAIR
from med_lora.pipelines.evaluation.comparison.arms import compare
from med_lora.pipelines.evaluation.comparison.contrasts import Contrast
from tests import recipes

from .made_runs import PAIRS, compare_runs, make_run, rewrite_table

DAY = "2026-11-20T{:02}.00.00.000Z"
GPU = "1 x NVIDIA A100-SXM4-80GB"
R4, R8, R16, AGAIN, OTHER = (DAY.format(hour) for hour in range(1, 6))


def rank(value: int) -> dict[str, Any]:
    return {"training.lora.r": value}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three ranks, the first again on a GPU, and a run on other test pairs."""
    folder = tmp_path_factory.mktemp("project")
    make_run(folder, R4, 0.1, changes=rank(4), name="007")
    make_run(folder, R8, 0.2, changes=rank(8), noise=2)
    make_run(folder, R16, 0.2, changes=rank(16), noise=3, machine=GPU, latency=True)
    make_run(folder, AGAIN, 0.1, changes=rank(4), machine=GPU)
    make_run(folder, OTHER, 0.3, test="b", pairs=PAIRS - 4)
    return folder


@pytest.fixture(scope="module")
def outputs(project: Path) -> dict[str, Any]:
    return compare_runs(project)


def test_tuned_models_are_ranked_with_each_base_model_once(outputs: dict[str, Any]) -> None:
    table = outputs["leaderboard"]
    first = table[table["test_set"] == "A"]
    assert first["place"].tolist() == [1, 2, 3, 4]
    assert first["run"].tolist() == [R8, R16, R4, R4]
    assert first["arm"].tolist() == ["tuned", "tuned", "tuned", "base"]
    assert first["cross_entropy"].is_monotonic_increasing  # it is better lower
    assert table[table["test_set"] == "B"]["arm"].tolist() == ["tuned", "base"]
    assert first["rank"].isna().tolist() == [False, False, False, True]
    assert first["n"].unique() == [PAIRS]
    assert first["groups"].unique() == [PAIRS // 2]


def test_values_are_means_over_all_pairs_within_their_intervals(project: Path, outputs: dict[str, Any]) -> None:
    scores = pd.read_parquet(project / f"data/08_reporting/embedded/scores.parquet/{R4}/scores.parquet")
    own = scores[(scores["arm"] == "tuned") & (scores["metric"] == "rougeL")]["score"]
    row = outputs["leaderboard"].set_index(["run", "arm"]).loc[(R4, "tuned")]
    assert row["rougeL"] == pytest.approx(own.mean())
    assert row["rougeL_low"] < row["rougeL"] < row["rougeL_high"]
    control = scores[(scores["arm"] == "constant_best_answer") & (scores["metric"] == "rougeL")]["score"]
    assert row["rougeL_control"] == pytest.approx(control.mean())


def test_losses_weigh_answers_by_their_tokens(tmp_path: Path) -> None:
    make_run(tmp_path, R4, 0.1)
    folder = tmp_path / f"data/07_model_output/embedded/tuned_losses/{R4}/tuned_losses"
    losses = pd.read_parquet(folder / "data.parquet")
    means = compare_runs(tmp_path, "run_means")["run_means"].set_index(["arm", "metric"])["mean"]
    assert means["tuned", "cross_entropy"] == pytest.approx(losses["nll"].sum() / losses["tokens"].sum())


def test_contrasts_are_those_of_the_comparison_of_arms(project: Path, outputs: dict[str, Any]) -> None:
    """The same two sets of scores as arms of one table give the same difference, interval and p-value."""
    parts = []
    for run in (R8, R4):
        scores = pd.read_parquet(project / f"data/08_reporting/embedded/scores.parquet/{run}/scores.parquet")
        parts.append(scores[(scores["arm"] == "tuned") & scores["metric"].isin(["rougeL", "answer_empty"])])
        parts[-1] = parts[-1].assign(arm=run)
    metrics = pd.read_csv(project / f"data/08_reporting/embedded/metrics.csv/{R4}/metrics.csv")
    (expected,) = compare(
        pd.concat(parts), metrics[metrics["name"] == "rougeL"], [Contrast(R8, R4)], recipes.evaluation()
    ).to_dict("records")
    table = outputs["run_contrasts"].set_index(["reference", "arm", "metric"])
    found = table.loc[(R8, R4, "rougeL")]
    for name in ("n", "groups", "difference", "difference_low", "difference_high", "p_value", "detectable"):
        assert found[name] == pytest.approx(expected[name]), name
    assert found["verdict"] == "reference better"
    assert table.loc[(R8, R16, "rougeL"), "verdict"] == "not told apart"


def test_holm_counts_every_test_of_the_table(outputs: dict[str, Any]) -> None:
    table = outputs["run_contrasts"]
    tested = table["p_value"].notna()
    assert tested.sum() == 3 * 3  # three contrasts on the first test pairs, three metrics
    assert table["p_holm"].min() == pytest.approx(9 * table["p_value"].min())


def test_runs_on_other_test_pairs_are_not_tested(outputs: dict[str, Any]) -> None:
    table = outputs["run_contrasts"]
    (row,) = table[table["metric"] == "all"].to_dict("records")
    assert row["verdict"] == "not tested"
    assert np.isnan(row["p_value"])
    assert row["note"].startswith("test pairs A (n = 24) and B (n = 20) are not the same")
    assert not ((table["arm"] == OTHER) & table["p_value"].notna()).any()


def test_an_identical_run_counts_once_but_its_machine_and_time_do(outputs: dict[str, Any]) -> None:
    runs = outputs["compared_runs"].set_index("run")
    assert runs.loc[AGAIN, "same_as"] == R4
    assert runs.loc[R4, "repeated_on"] == GPU
    assert AGAIN not in set(outputs["leaderboard"]["run"]) | set(outputs["run_contrasts"]["arm"])
    assert AGAIN in set(outputs["answer_times"]["run"])
    assert outputs["machine_ticks"].to_dict("records") == [{"model": "tiny-llama", GPU: 2, "2 x AMD EPYC": 3}]
    assert "on 2 machines" in outputs["comparison_report"]
    assert "losses are identical" in outputs["comparison_report"]


def test_equal_settings_with_other_scores_both_count_with_a_remark(tmp_path: Path) -> None:
    make_run(tmp_path, R4, 0.1)
    make_run(tmp_path, R8, 0.1, machine=GPU, noise=9)
    outputs = compare_runs(tmp_path, "compared_runs", "leaderboard")
    runs = outputs["compared_runs"].set_index("run")
    assert runs["same_as"].isna().all()
    assert runs["configuration"].nunique() == 1
    assert runs.loc[R8, "note"] == f"settings and seeds are those of {R4}, and its scores or losses are not"
    assert set(outputs["leaderboard"]["run"][outputs["leaderboard"]["arm"] == "tuned"]) == {R4, R8}


def test_losses_per_token_are_not_compared_between_tokenizers(tmp_path: Path) -> None:
    make_run(tmp_path, R4, 0.1)
    make_run(tmp_path, R8, 0.2, tokenizer="u" * 64)
    table = compare_runs(tmp_path, metrics=["cross_entropy", "bits_per_byte", "rougeL"])["run_contrasts"]
    verdicts = table.set_index("metric")["verdict"]
    assert verdicts["cross_entropy"] == "not tested"
    assert verdicts["rougeL"] == "reference better"  # the first-ranked is the reference
    assert "tokenizers differ" in table.set_index("metric").loc["cross_entropy", "note"]
    assert table.set_index("metric").loc["bits_per_byte", "n"] == PAIRS


def test_metrics_of_other_signatures_are_not_compared(tmp_path: Path) -> None:
    make_run(tmp_path, R4, 0.1)
    make_run(tmp_path, R8, 0.2)
    rewrite_table(tmp_path, R8, "metrics", lambda table: table.replace({"signature": {"made": "made otherwise"}}))
    table = compare_runs(tmp_path, "run_contrasts")["run_contrasts"].set_index("metric")
    assert table.loc["rougeL", "verdict"] == "not tested"
    assert "signatures" in table.loc["rougeL", "note"]
    assert table.loc["cross_entropy", "verdict"] != "not tested"


def test_notes_name_neither_arms_nor_ratios_that_the_table_has_not(tmp_path: Path) -> None:
    make_run(tmp_path, R4, -0.5)
    make_run(tmp_path, R8, -0.4, noise=2)
    (row,) = compare_runs(tmp_path, "run_contrasts", metrics=["exact_match"])["run_contrasts"].to_dict("records")
    assert row["note"] == "the arms score alike in every group"  # both score 0, so that no ratio exists


def test_labels_that_are_cut_alike_are_numbered(tmp_path: Path) -> None:
    for number, run in enumerate((R4, R8, R16)):
        make_run(tmp_path, run, noise=number, name=f"{'the same long name ' * 4} {number}")
    axis = compare_runs(tmp_path, "leaderboard_figure")["leaderboard_figure"].layout.yaxis
    assert sorted(name[-4:] for name in axis.categoryarray if "name" in name)[:2] == [" (2)", " (3)"]


def test_many_runs_are_compared_with_the_first_ranked_alone(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, DAY.format(hour), 0.01 * hour, changes=rank(hour), noise=hour)
        for hour in range(1, EVERY_PAIR + 2)
    ]
    outputs = compare_runs(tmp_path, metrics=["rougeL"])
    first = outputs["leaderboard"]["run"].iloc[0]
    assert set(outputs["run_contrasts"]["reference"]) == {first}
    assert set(outputs["run_contrasts"]["arm"]) == set(runs) - {first}
    assert "its lead is flattered" in outputs["comparison_report"]


def test_settings_that_alone_differ_make_a_curve(outputs: dict[str, Any]) -> None:
    table = outputs["setting_scores"]
    assert set(table["setting"]) == {"training.lora.r"}
    own = table[table["metric"] == "rougeL"]
    assert own["value"].astype(int).tolist() == [4, 8, 16]
    assert own["curve"].nunique() == 1
    assert own["alone"].all()


def test_settings_that_differ_together_make_no_curve(tmp_path: Path) -> None:
    make_run(tmp_path, R4, changes=rank(4))
    make_run(tmp_path, R8, changes={**rank(8), "training.max_length": 64}, noise=2)
    outputs = compare_runs(tmp_path, "setting_scores", "setting_curves_figure")
    table = outputs["setting_scores"]
    assert set(table["setting"]) == {"training.lora.r", "training.max_length"}
    assert not table["alone"].any()
    assert "(0 of 2 settings)" in outputs["setting_curves_figure"].layout.meta["caption"]


def test_seeds_alone_are_a_spread_and_no_setting(tmp_path: Path) -> None:
    for number, run in enumerate((R4, R8, R16)):
        seed = recipes.optimisation(seed=number).model_dump()
        make_run(tmp_path, run, 0.1, changes={"training.optimisation": seed}, noise=number)
    outputs = compare_runs(tmp_path, "setting_scores", "seed_spread", "run_means")
    assert outputs["setting_scores"].empty
    row = outputs["seed_spread"].set_index("metric").loc["rougeL"]
    means = outputs["run_means"]
    own = means[(means["metric"] == "rougeL") & (means["arm"] == "tuned")]["mean"]
    assert (row["seeds"], row["n"]) == (3, PAIRS)
    assert row["range"] == pytest.approx(own.max() - own.min())
    assert row["deviation"] == pytest.approx(own.std())


def test_times_say_how_they_were_taken(outputs: dict[str, Any]) -> None:
    times = outputs["answer_times"].set_index(["run", "arm"])
    assert times.loc[(R4, "tuned"), "seconds"] == 24.0 / PAIRS
    assert times.loc[(R4, "tuned"), "measured"].startswith("in batches of 4, too few where answers of a run")
    assert times.loc[(R16, "tuned"), "seconds"] == 0.6
    assert times.loc[(R16, "tuned"), "measured"] == "one question at a time, 8 tokens each"
    shown = outputs["comparison_report"]
    assert shown.count("<small>one question at a time</small>") == 2  # of the one tuned model, in both leaderboards
    subtitle = outputs["answer_times_figure"].layout.title.subtitle.text.replace("<br>", " ")
    assert subtitle == "n = 10 times of 1 model in 5 runs, base and tuned"


def test_the_study_table_has_largest_and_mean_scores(outputs: dict[str, Any]) -> None:
    row = outputs["study_leaderboard"].set_index(["run", "arm"]).loc[(R8, "tuned")]
    assert row["bleu_max"] > row["bleu_mean"]
    assert row["bleu_max"] <= 1
    assert row["exact_match_percent"] * PAIRS / 100 == pytest.approx(round(row["exact_match_percent"] * PAIRS / 100))


def test_names_that_look_like_numbers_stay_names(outputs: dict[str, Any]) -> None:
    assert outputs["compared_runs"].set_index("run").loc[R4, "label"] == "007"
    assert "007" in set(outputs["run_contrasts"]["arm_label"])


def test_a_metric_that_no_run_has_is_refused(project: Path) -> None:
    with pytest.raises(InputError, match=r"comparison\.metrics names 'rougeX', which none of these runs has; did you"):
        compare_runs(project, "run_means", metrics=["rougeX"])


def test_results_do_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    make_run(tmp_path, R4, 0.1, changes=rank(4), name="007")
    make_run(tmp_path, R8, 0.2, changes=rank(8), noise=2)
    kept = compare_runs(tmp_path, "run_contrasts")["run_contrasts"]
    rewrite_table(tmp_path, R8, "scores", lambda table: table.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(compare_runs(tmp_path, "run_contrasts")["run_contrasts"], kept)


def test_a_run_that_only_evaluated_has_the_settings_of_the_one_that_trained(tmp_path: Path) -> None:
    adapter = {"dataset": "adapter", "path": "data/adapter", "sha256": "c" * 64, "files": {}, "run": R4}
    make_run(tmp_path, R4, 0.1, changes=rank(2))
    nodes = [{"name": "tuned.generate_answers", "outputs": ["tuned_answers"], "seconds": 1.0}]
    make_run(tmp_path, R8, 0.1, changes={**rank(16), "evaluation.rouge_beta": 2.0}, inputs=[adapter], nodes=nodes)
    runs = compare_runs(tmp_path, "compared_runs")["compared_runs"].set_index("run")
    assert runs.loc[R8, "rank"] == 2
    assert runs.loc[R8, "training_run"] == R4
    assert np.isnan(runs.loc[R8, "train_seconds"])


def test_what_cannot_be_measured_has_a_reason_and_no_number(tmp_path: Path) -> None:
    for run, noise in ((R4, 1), (R8, 2)):
        make_run(tmp_path, run, 0.1, noise=noise, nodes=[])
        for arm in ("base", "tuned"):
            folder = tmp_path / f"data/07_model_output/embedded/{arm}_losses/{run}/{arm}_losses"
            (folder / "data.parquet").unlink()
    outputs = compare_runs(tmp_path)
    losses = outputs["run_means"][outputs["run_means"]["metric"] == "cross_entropy"]
    assert losses["mean"].isna().all()
    assert set(losses["note"]) == {"the run left no score of it"}
    row = outputs["run_contrasts"].set_index("metric").loc["cross_entropy"]
    assert (row["n"], row["verdict"], row["note"]) == (0, "not tested", "no pair has a score of both arms")
    assert outputs["leaderboard"][["place", "answer_seconds"]].isna().all(axis=None)
    assert outputs["answer_times_figure"].layout.meta["caption"] == "No run recorded the time of its answers."


def test_pairs_of_one_group_have_no_interval_and_no_test(tmp_path: Path) -> None:
    make_run(tmp_path, R4, pairs=2)
    make_run(tmp_path, R8, pairs=2, noise=2)
    outputs = compare_runs(tmp_path, "run_contrasts", "run_means")
    assert set(outputs["run_contrasts"]["verdict"]) == {"not tested"}
    assert outputs["run_means"][["low", "high"]].isna().all(axis=None)
    assert "needs two" in outputs["run_contrasts"]["note"].iloc[0]


def test_full_tuning_has_no_rank(tmp_path: Path) -> None:
    make_run(tmp_path, R4, changes={"training.method": "full"})
    table = compare_runs(tmp_path, "leaderboard", "loss_curves_figure")
    assert table["leaderboard"]["rank"].isna().all()
    assert "all weights" in {trace.name for trace in table["loss_curves_figure"].data}


def test_one_run_is_no_contrast(tmp_path: Path) -> None:
    make_run(tmp_path, R4)
    outputs = compare_runs(tmp_path)
    assert outputs["run_contrasts"].empty
    assert "is alone on them, so nothing is compared" in outputs["comparison_report"]
