"""Distributions of scores, and length against score: what is drawn of every pair."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.reporting.figures import draw_distributions, draw_length_against_score
from med_lora.pipelines.reporting.figures.distributions import STEPS
from med_lora.pipelines.reporting.figures.lengths import MOST_POINTS, TENTHS

from .conftest import PAIRS, make_scores

CUT = 17  # answers of the base model that did not end, which leaves their pairs out


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    return make_scores(1.0, cut=CUT)[0]


def panels(figure: Any) -> dict[str, dict[str, Any]]:
    """Curves by the name of their panel and arm."""
    found: dict[str, dict[str, Any]] = {}
    for trace in figure.data:
        place = int(trace.xaxis.removeprefix("x") or 1) - 1
        head = figure.layout.annotations[place].text.split("</b>")[0].removeprefix("<b>").replace("<br>", " ")
        found.setdefault(head, {})[trace.name] = trace
    return found


def test_curves_are_the_empirical_distribution_of_the_pairs_that_count(
    scores: pd.DataFrame, comparison: pd.DataFrame, evaluation: EvaluationParams
) -> None:
    figure = draw_distributions(scores, comparison, evaluation)
    found = panels(figure)
    assert list(found) == ["ROUGE-1 F", "ROUGE-2 F", "ROUGE-L F", "BLEU", "Exact match", "Token F1"]
    tuned = scores[(scores["arm"] == "tuned") & (scores["metric"] == "rougeL")].sort_values("id")["score"].iloc[CUT:]
    curve = found["ROUGE-L F"]["Tuned model"]
    assert list(curve.x)[1:-1] == pytest.approx(sorted(tuned), rel=1e-4)
    assert list(curve.y)[1:-1] == pytest.approx([100 * (place + 1) / 43 for place in range(43)], abs=0.006)
    assert (curve.y[0], curve.y[-1], curve.line.shape) == (0.0, 100.0, "hv")
    assert figure.layout.xaxis.title.text == "score<br>n = 43"
    assert "n = 43 test pairs" in figure.layout.title.subtitle.text


def test_titles_say_difference_p_and_interval_of_the_comparison(
    scores: pd.DataFrame, comparison: pd.DataFrame, evaluation: EvaluationParams
) -> None:
    head = draw_distributions(scores, comparison, evaluation).layout.annotations[3].text
    row = comparison.set_index("metric").loc["bleu"]
    bounds = f"[{row['difference_low']:.2f}, {row['difference_high']:.2f}]"
    assert head == f"<b>BLEU</b><br>+{row['difference']:.2f}<br>{bounds}<br>p < 0.001"


def test_the_caption_says_which_side_is_better(
    scores: pd.DataFrame, comparison: pd.DataFrame, evaluation: EvaluationParams
) -> None:
    caption = draw_distributions(scores, comparison, evaluation).layout.meta["caption"]
    assert "answers score high: better. " in caption
    losses = comparison[comparison["metric"] == "rougeL"].assign(metric="cross_entropy", better="lower")
    with_losses = pd.concat([comparison, losses], ignore_index=True)
    caption = draw_distributions(scores, with_losses, evaluation).layout.meta["caption"]
    assert "high: better, but for cross-entropy, where the curve further left is better. " in caption


def test_nine_metrics_fit_on_a_printed_page(
    scores: pd.DataFrame, comparison: pd.DataFrame, evaluation: EvaluationParams
) -> None:
    first = [table[table["metric"] == "rougeL"] for table in (scores, comparison)]
    for name in ("meteor", "chrf", "bert_score_f1"):
        scores, comparison = (
            pd.concat([table, rows.assign(metric=name)], ignore_index=True)
            for table, rows in zip((scores, comparison), first, strict=True)
        )
    figure = draw_distributions(scores, comparison, evaluation)
    assert len(panels(figure)) == 9
    assert figure.layout.height < 920  # A4 less its margins and a caption


def test_zeros_and_ties_are_one_step(
    scores: pd.DataFrame, comparison: pd.DataFrame, evaluation: EvaluationParams
) -> None:
    figure = draw_distributions(scores, comparison, evaluation)
    curves = panels(figure)["Exact match"]
    assert all(list(curve.x)[1:-1] == [0.0] and list(curve.y) == [0.0, 100.0, 100.0] for curve in curves.values())
    assert "By Exact match, 100 % of the base model's" in figure.layout.meta["caption"]


def test_all_pairs_are_shown_where_the_exclusions_leave_too_few(
    endless: tuple[pd.DataFrame, pd.DataFrame], evaluation: EvaluationParams
) -> None:
    figure = draw_distributions(make_scores(1.0, cut=PAIRS)[0], endless[0], evaluation)
    assert figure.layout.xaxis.title.text.endswith(f"n = {PAIRS}")
    row = endless[0].set_index("metric").loc["rouge1"]
    assert f"+{row['difference_all']:.3f}<br>[{row['difference_all_low']:.3f}" in figure.layout.annotations[0].text


def many(pairs: int) -> pd.DataFrame:
    """Scores that grow with the length in the tuned arm, and have nothing to do with it in the base arm."""
    generator = np.random.default_rng(1)
    length = {arm: generator.lognormal(0, 0.5, pairs) for arm in ("base", "tuned")}
    score = {"base": generator.beta(1, 9, pairs), "tuned": 0.1 * length["tuned"] / (1 + length["tuned"])}
    ids = [f"made:{number:06d}" for number in range(pairs)]
    parts = [
        pd.DataFrame({"id": ids, "group": range(pairs), "arm": arm, "metric": metric, "score": values[arm]})
        for metric, values in (("length_ratio", length), ("rougeL", score))
        for arm in ("base", "tuned")
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("zeros", [0.0, 0.48317])
def test_curves_of_many_pairs_lie_within_half_a_percent(
    zeros: float, comparison: pd.DataFrame, evaluation: EvaluationParams
) -> None:
    scores = many(10_000)
    is_zero = (np.arange(len(scores)) % 10_000 < 10_000 * zeros) & (scores["metric"] == "rougeL")
    scores = scores.assign(score=scores["score"].where(~is_zero, 0.0))
    found = panels(draw_distributions(scores, comparison, evaluation))["ROUGE-L F"]
    for arm, name in (("base", "Base model"), ("tuned", "Tuned model")):
        values = np.sort(scores[(scores["arm"] == arm) & (scores["metric"] == "rougeL")]["score"])
        x, y = np.array(found[name].x), np.array(found[name].y)
        assert len(x) <= STEPS + 3
        # between two values, where rounding to five digits moves no step
        middles = [(low + high) / 2 for low, high in pairwise(np.unique(values)) if high - low > 1e-4 * high]
        drawn = y[np.searchsorted(x, middles, side="right") - 1]
        exact = 100 * np.searchsorted(values, middles, side="right") / len(values)
        assert np.abs(exact - drawn).max() <= 100 / STEPS + 0.01


def test_rank_correlations_are_those_of_all_pairs(comparison: pd.DataFrame, evaluation: EvaluationParams) -> None:
    scores = many(2_001)
    figure = draw_length_against_score(scores, comparison, evaluation)
    table = scores.pivot(index="id", columns=["arm", "metric"], values="score")
    below = [trace for trace in figure.data if trace.xaxis == "x3"]
    for head, trace, arm in zip(figure.layout.annotations, below, ("base", "tuned"), strict=True):
        expected = spearmanr(table[arm, "length_ratio"], table[arm, "rougeL"]).statistic
        assert list(trace.y) == ["ROUGE-L F"]
        assert trace.x[0] == pytest.approx(expected, abs=1e-4)
        assert head.text == f"<b>{trace.name}</b><br>n = 2,001<br>ρ = {expected:.2f}".replace("-", "−")


def test_many_pairs_are_thinned_by_id_and_their_tenths_are_of_all(
    comparison: pd.DataFrame, evaluation: EvaluationParams
) -> None:
    scores = many(2_001)
    figure = draw_length_against_score(scores, comparison, evaluation)
    points, tenths = (trace for trace in figure.data if trace.xaxis == "x")
    table = scores[scores["arm"] == "base"].pivot(index="id", columns="metric", values="score")
    assert len(points.x) == MOST_POINTS
    assert points.x[1] == pytest.approx(table["length_ratio"].iloc[round(2000 / (MOST_POINTS - 1))], rel=1e-4)
    shortest = table.nsmallest(201, "length_ratio")
    assert len(tenths.x) == TENTHS
    assert (tenths.x[0], tenths.y[0]) == pytest.approx(
        (shortest["length_ratio"].mean(), shortest["rougeL"].mean()), rel=1e-4
    )
    assert "Of each arm 500 pairs are drawn, equally spaced by id." in figure.layout.meta["caption"]


def test_far_longer_answers_lie_outside_and_are_counted(comparison: pd.DataFrame, evaluation: EvaluationParams) -> None:
    scores = many(300)
    one = (scores["id"] == "made:000007") & (scores["metric"] == "length_ratio")
    figure = draw_length_against_score(scores.mask(one, scores.assign(score=90.0)), comparison, evaluation)
    assert figure.layout.xaxis.range[1] < 10
    beyond = sum(float(length) > figure.layout.xaxis.range[1] for trace in figure.data[:4:2] for length in trace.x)
    assert f"{beyond} far longer answers lie outside of the axis and count." in figure.layout.meta["caption"]


def test_scores_that_do_not_vary_have_no_correlation(comparison: pd.DataFrame, evaluation: EvaluationParams) -> None:
    scores = many(60)
    figure = draw_length_against_score(
        scores.assign(score=scores["score"].where(scores["metric"] != "rougeL", 0.0)), comparison, evaluation
    )
    assert all(head.text.endswith("no ρ") for head in figure.layout.annotations)
    assert not any(len(trace.x) for trace in figure.data if trace.xaxis == "x3")
    assert "strongest" not in figure.layout.meta["caption"]


def test_the_caption_counts_the_correlations_that_are_drawn(
    comparison: pd.DataFrame, evaluation: EvaluationParams
) -> None:
    scores = many(60)
    flat = (scores["metric"] == "rougeL") & (scores["arm"] == "base")
    figure = draw_length_against_score(scores.mask(flat, scores.assign(score=0.0)), comparison, evaluation)
    drawn = sum(len(trace.x) for trace in figure.data if trace.xaxis == "x3")
    assert drawn == 1
    assert "The strongest of 1 rank correlations is" in figure.layout.meta["caption"]


@pytest.mark.parametrize("draw", [draw_distributions, draw_length_against_score])
def test_nothing_scored_is_said(draw: Any, comparison: pd.DataFrame, evaluation: EvaluationParams) -> None:
    figure = draw(many(5).assign(score=np.nan), comparison, evaluation)
    assert not figure.data
    assert figure.layout.annotations[0].text == "no values"
    assert figure.layout.meta["caption"].startswith("No pair ")


@pytest.mark.parametrize("draw", [draw_distributions, draw_length_against_score])
def test_figures_of_pairs_carry_no_ids_and_stay_small(
    draw: Any, comparison: pd.DataFrame, evaluation: EvaluationParams
) -> None:
    made = draw(many(10_000), comparison, evaluation).to_json()
    assert "made:" not in made
    assert len(made) < 100_000
