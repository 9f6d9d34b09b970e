"""The verdict in words: what the tracks say together, and what so few items cannot say."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from med_lora.pipelines.divergence.correlations import correlate_tracks
from med_lora.pipelines.divergence.track_scores import gather_tracks
from med_lora.pipelines.divergence.verdict import write_verdict
from med_lora.pipelines.evaluation.comparison.arms import CONTRAST_COLUMNS, compare
from med_lora.pipelines.evaluation.comparison.contrasts import TUNING
from tests.pipelines.divergence.tracks import draw_tracks, make_track
from tests.recipes import evaluation

SOUND: dict[str, Any] = {"verdict": "passes", "nothing_said": [], "floors_unclear": []}
AXES = ("accuracy", "comprehensiveness", "helpfulness", "relevance")


def row(metric: str, difference: float, half: float, p: float, n: int, **changes: Any) -> dict[str, Any]:
    """A row of a comparison whose interval reaches ``half`` to either side."""
    given = {
        **{"reference": "base", "arm": "tuned", "metric": metric, "family": metric.split("_")[0], "better": "higher"},
        **{"n": n, "groups": n, "difference": difference, "difference_low": difference - half},
        **{"difference_high": difference + half, "p_value": p, "p_holm": p, "detectable": 1.4 * half},
    }
    return given | changes


def text_row(metric: str, difference: float, half: float, p: float, n: int = 84) -> dict[str, Any]:
    return row(metric, difference, half, p, n, family="overlap")


def tabulate(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows)


# Study C: overlap up on 84 items, the judge lower on 20 of them without significance
STUDY_TEXTS = tabulate(
    *(text_row(*given) for given in (("rouge1", 0.0392, 0.02, 0.02), ("rougeL", 0.0365, 0.02, 0.02)))
)
STUDY_JUDGE = tabulate(
    *(
        row(f"judge_{axis}", difference, 0.75, 1.0, 20)
        for axis, difference in zip(AXES, (-0.15, -0.25, -0.10, -0.15), strict=True)
    )
)


def relate(pairs: int = 20, **changes: float) -> pd.DataFrame:
    texts, judged = draw_tracks(pairs, 1, **changes)
    return correlate_tracks(gather_tracks(*texts, *judged), evaluation())


def test_a_gain_by_text_metrics_and_a_judge_who_cannot_tell_is_no_disagreement() -> None:
    said = write_verdict(relate(), evaluation(), STUDY_TEXTS, STUDY_JUDGE, SOUND)
    assert "The text metrics (n = 84 test pairs in 84 groups): tuning improved 2 of 2 metrics" in said
    assert "The judge (n = 20 test pairs in 20 groups): no change is shown in 4 of 4 metrics" in said
    assert (
        "By the text metrics tuning helped; by the judge no change is shown. This cannot be called a disagreement: the "
        "judge's intervals include no change (accuracy −0.15 [−0.90, 0.60], comprehensiveness −0.25 "
        "[−1.00, 0.50], "
    ) in said
    assert "With a chance of 80 %, n = 20 independent test pairs find changes from here on: accuracy 1.05" in said
    assert "contradict" not in said
    assert "alike" not in said


def test_twenty_items_establish_none_but_very_strong_correlations() -> None:
    said = write_verdict(relate(20), evaluation(), STUDY_TEXTS, STUDY_JUDGE, SOUND)
    assert "none of 4 rank correlations of what tuning changed is established (the largest is of" in said
    assert " by the judge, ρ = " in said
    assert "which does not show that they are unrelated" in said
    assert "n = 20 independent test pairs can establish none but very strong correlations, of 0.60 or more" in said
    more = write_verdict(relate(200), evaluation(), STUDY_TEXTS, STUDY_JUDGE, SOUND)
    assert "n = 200 independent test pairs can establish no weaker correlations than 0.20 with" in more


def test_an_established_relation_is_stated_with_its_sign() -> None:
    said = write_verdict(relate(80, shared=0.9), evaluation(), STUDY_TEXTS, STUDY_JUDGE, SOUND)
    assert "4 of 4 rank correlations of what tuning changed are established, 4 positive (the largest is of" in said
    turned = relate(80, shared=0.9)
    turned[["spearman", "low", "high"]] = -turned[["spearman", "high", "low"]].to_numpy()
    assert "4 negative" in write_verdict(turned, evaluation(), STUDY_TEXTS, STUDY_JUDGE, SOUND)


def test_a_correlation_needs_both_interval_and_corrected_p_value() -> None:
    found = relate(80, shared=0.9)
    for broken in (found.assign(p_holm=0.06), found.assign(low=-0.1)):
        said = write_verdict(broken, evaluation(), STUDY_TEXTS, STUDY_JUDGE, SOUND)
        assert "none of 4 rank correlations" in said


@pytest.mark.parametrize(
    ("text", "judged", "expected"),
    [
        (0.1, 1.0, "By the text metrics and by the judge alike, tuning helped."),
        (-0.1, -1.0, "By the text metrics and by the judge alike, tuning harmed."),
        (0.1, -1.0, "The tracks contradict each other: by the text metrics tuning helped, by the judge it harmed."),
        (0.0, 0.0, "Neither by the text metrics nor by the judge is a change shown, which is no agreement"),
        (0.0, 1.0, "By the judge tuning helped; by the text metrics no change is shown. This cannot be called"),
    ],
)
def test_two_tracks_agree_only_where_both_claim(text: float, judged: float, expected: str) -> None:
    texts = tabulate(text_row("rougeL", text, 0.05, 0.01 if text else 1.0))
    judge = tabulate(row("judge_accuracy", judged, 0.5, 0.01 if judged else 1.0, 20))
    assert expected in write_verdict(relate(), evaluation(), texts, judge, SOUND)


def test_a_track_that_points_both_ways_neither_agrees_nor_contradicts() -> None:
    judge = tabulate(row("judge_accuracy", 1.0, 0.5, 0.01, 20), row("judge_relevance", -1.0, 0.5, 0.01, 20))
    said = write_verdict(relate(), evaluation(), STUDY_TEXTS, judge, SOUND)
    assert "By the judge tuning helped in some respects and harmed in others" in said


def test_what_only_the_uncorrected_interval_shows_is_told_as_such() -> None:
    judge = tabulate(row("judge_accuracy", -1.0, 0.5, 0.2, 20))
    said = write_verdict(relate(), evaluation(), STUDY_TEXTS, judge, SOUND)
    assert "after the correction for several tests nothing is left of accuracy −1.00 [−1.50, −0.50]" in said


def test_a_judge_who_fails_a_floor_is_named_first_and_claims_nothing() -> None:
    judge = tabulate(row("judge_accuracy", 1.0, 0.5, 0.01, 20), row("judge_relevance", 0.0, 0.5, 1.0, 20))
    failed = SOUND | {"verdict": "fails its floor controls", "nothing_said": ["judge_accuracy"]}
    said = write_verdict(relate(), evaluation(), STUDY_TEXTS, judge, failed)
    assert said.startswith("The judge fails its own floor checks (accuracy)")
    assert "nothing is concluded from 1 of 2 metrics (accuracy" in said
    assert "by the judge no change is shown" in said
    assert "none of 2 rank correlations" in said  # those of the other axis
    everything = failed | {"nothing_said": ["judge_accuracy", "judge_relevance"]}
    said = write_verdict(relate(), evaluation(), STUDY_TEXTS, judge, everything)
    assert "The text metrics and the judge cannot be set against each other" in said
    assert "Item by item" not in said


def test_floors_that_are_unclear_claim_nothing_either() -> None:
    judge = tabulate(row("judge_accuracy", 1.0, 0.5, 0.01, 20), row("judge_relevance", 1.0, 0.5, 0.01, 20))
    assert "and by the judge alike" in write_verdict(relate(), evaluation(), STUDY_TEXTS, judge, SOUND)
    summary = SOUND | {"verdict": "unclear", "floors_unclear": ["judge_accuracy", "judge_relevance"]}
    said = write_verdict(relate(80, shared=0.9), evaluation(), STUDY_TEXTS, judge, summary)
    assert said.startswith(
        "That the judge tells a true answer from an empty or misplaced one is not shown (accuracy, relevance), so "
        "nothing is concluded"
    )
    assert "for want of floors that passed, nothing is concluded from 2 of 2 metrics (accuracy 1.00 [0.50" in said
    assert "The text metrics and the judge cannot be set against each other" in said
    assert "Item by item" not in said
    assert "alike" not in said


def test_a_failed_check_and_unclear_floors_are_both_told_first() -> None:
    summary = SOUND | {"verdict": "fails a check", "floors_unclear": ["judge_relevance"]}
    first = write_verdict(relate(), evaluation(), STUDY_TEXTS, STUDY_JUDGE, summary).split("\n\n")[0]
    assert "is not shown (relevance)" in first
    assert "The judge fails a check on itself" in first


def test_no_returned_sheet_is_said() -> None:
    texts, _ = draw_tracks(20, 1)
    nobody = make_track("people", {})
    found = correlate_tracks(gather_tracks(*texts, None, None, *nobody), evaluation())
    ratings = pd.DataFrame(columns=CONTRAST_COLUMNS)
    said = write_verdict(found, evaluation(), STUDY_TEXTS, ratings_comparison=ratings)
    assert "no ratings have come back, so people say nothing yet" in said
    assert "Item by item" not in said


def test_three_tracks_are_set_against_each_other_two_by_two() -> None:
    people = tabulate(row("people_accuracy", 0.5, 0.2, 0.01, 20))
    agreement = pd.DataFrame([{"axis": "accuracy", "n": 40, "quadratic_kappa": 0.35, "low": 0.1, "high": 0.6}])
    texts, judged = draw_tracks(20, 1)
    rated = make_track("people", {"people_accuracy": np.random.default_rng(1).normal(size=(20, 2))})
    found = correlate_tracks(gather_tracks(*texts, *judged, *rated), evaluation())
    said = write_verdict(found, evaluation(), STUDY_TEXTS, STUDY_JUDGE, SOUND, people, agreement)
    assert "By the text metrics and by the raters alike, tuning helped." in said
    assert "By the raters tuning helped; by the judge no change is shown." in said
    for tracks in ("the text metrics and the judge", "the text metrics and the raters", "the judge and the raters"):
        assert f"Item by item, {tracks}: none of" in said
    assert "quadratic kappa: accuracy 0.35 [0.10, 0.60] (n = 40)." in said


def test_agreement_on_an_axis_without_a_floor_is_said_not_to_be_believed() -> None:
    agreement = pd.DataFrame(
        [{"axis": axis, "n": 40, "quadratic_kappa": 0.35, "low": 0.1, "high": 0.6} for axis in AXES[:2]]
    )
    for doubted in ("nothing_said", "floors_unclear"):
        summary = SOUND | {doubted: ["judge_comprehensiveness"]}
        said = write_verdict(relate(), evaluation(), STUDY_TEXTS, STUDY_JUDGE, summary, STUDY_JUDGE.iloc[:0], agreement)
        assert said.count("a score that is not believed") == 1
        assert (
            "quadratic kappa: accuracy 0.35 [0.10, 0.60] (n = 40), comprehensiveness 0.35 [0.10, 0.60] (n = 40, a "
            "score that is not believed)."
        ) in said


def test_only_base_and_tuned_are_told() -> None:
    judge = tabulate(
        row("judge_accuracy", 0.0, 0.5, 1.0, 20), row("judge_accuracy", 2.0, 0.5, 0.01, 20, arm="base_rag")
    )
    said = write_verdict(relate(), evaluation(), STUDY_TEXTS, judge, SOUND)
    assert "The judge (n = 20 test pairs in 20 groups): no change is shown in 1 of 1 metric " in said


def test_too_few_items_are_said_to_show_nothing() -> None:
    judge = tabulate(row("judge_accuracy", math.nan, math.nan, math.nan, 3, groups=1))
    said = write_verdict(relate(3), evaluation(), STUDY_TEXTS, judge, SOUND)
    assert "no comparison was possible of 1 of 1 metric (accuracy)" in said
    assert "no rank correlation exists (3 groups, and a rank correlation needs 4)" in said
    said = write_verdict(relate(4), evaluation(), STUDY_TEXTS, judge, SOUND)
    assert "n = 4 independent test pairs cannot establish any correlation" in said


def test_the_verdict_reads_what_the_comparisons_write() -> None:
    texts, judged = draw_tracks(20, 5, lexical_gain=2.0)
    compared = [_read_back(compare(*track, [TUNING], evaluation())) for track in (texts, judged)]
    columns = {"reference_mean": "base", "arm_mean": "tuned"}
    as_columns = compared[0].drop(columns=["reference", "arm"]).rename(columns=columns)
    found = _read_back(correlate_tracks(gather_tracks(*texts, *judged), evaluation()))
    said = write_verdict(found, evaluation(), as_columns, compared[1], SOUND)
    assert "tuning improved 2 of 2 metrics (ROUGE-L F " in said
    assert "nan" not in said


def _read_back(table: pd.DataFrame) -> pd.DataFrame:
    """A table as CSV gives it back."""
    return pd.read_csv(io.StringIO(table.to_csv(index=False)))


def test_no_id_and_no_text_is_in_the_verdict() -> None:
    texts, judged = draw_tracks(20, 5)
    found = correlate_tracks(gather_tracks(*texts, *judged), evaluation())
    assert "test:" not in write_verdict(found, evaluation(), STUDY_TEXTS, STUDY_JUDGE, SOUND)
