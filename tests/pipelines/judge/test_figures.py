"""The judge's scores of arms and controls, drawn."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from med_lora.pipelines.judge.figures import draw_judge
from med_lora.pipelines.judge.scores import score_judged
from tests import recipes
from tests.pipelines.judge import simulated
from tests.pipelines.judge.simulated import USAGE, judge_all

SUMMARY: dict[str, Any] = {"judge": "judge-4", "verdict": "fails its floor controls"}


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    answers, _ = judge_all(simulated.perfect(), items=12)
    return score_judged(answers, USAGE)[0]


def draw(scores: pd.DataFrame) -> Any:
    return draw_judge(scores, SUMMARY, recipes.evaluation())


def test_every_arm_and_control_stands_on_every_axis(scores: pd.DataFrame) -> None:
    figure = draw(scores)
    assert [trace.name for trace in figure.data] == [
        *("Base model", "Tuned model", "References", "Shuffled reference", "Empty answer"),
        *("Base answer that asks for a 5", "Tuned answer said twice"),
    ]
    assert all(list(trace.y) == ["accuracy", "relevance"] for trace in figure.data)
    assert len({(trace.marker.color, trace.marker.symbol) for trace in figure.data}) == 7
    references = next(trace for trace in figure.data if trace.name == "References")
    assert list(references.x) == [5.0, 5.0]


def test_means_have_the_intervals_of_their_items(scores: pd.DataFrame) -> None:
    figure = draw(scores)
    base = figure.data[0]
    rated = scores[(scores["arm"] == "base") & (scores["metric"] == "judge_accuracy")]["score"]
    assert base.x[0] == pytest.approx(rated.mean())
    assert 0 < base.error_x.arrayminus[0] < 1.5
    assert list(base.customdata) == [12, 12]


def test_axis_and_heading_state_unit_n_judge_and_the_verdict_on_it(scores: pd.DataFrame) -> None:
    figure = draw(scores)
    assert figure.layout.xaxis.title.text == "score (points, 1 to 5,<br>mean over pairs)"
    assert tuple(figure.layout.xaxis.range) == (0.8, 5.2)
    subtitle = figure.layout.title.subtitle.text.replace("<br>", " ")
    assert subtitle == "n = 12 test pairs; judge judge-4; whiskers are 95 % intervals"
    caption = figure.layout.meta["caption"]
    assert caption.startswith("Base to tuned model: accuracy ")
    assert caption.endswith("The judge fails its floor controls: where it does, its scores say nothing.")


def test_a_missing_score_is_no_zero(scores: pd.DataFrame) -> None:
    lost = (scores["arm"] == "base") & (scores["metric"] == "judge_accuracy")
    figure = draw(scores.assign(score=scores["score"].mask(lost & (scores["id"] < "pair:004"))))
    assert figure.data[0].x[0] >= 2
    assert list(figure.data[0].customdata) == [8, 12]
    assert figure.layout.title.subtitle.text.startswith("n = 8 to 12 test pairs")
    assert list(draw(scores.assign(score=scores["score"].mask(lost))).data[0].y) == ["relevance"]


def test_without_axes_the_figure_says_that_there_is_nothing(scores: pd.DataFrame) -> None:
    figure = draw(scores[scores["metric"] == "judge_preference"])
    assert len(figure.data) == 0
    assert figure.layout.annotations[0].text == "no values"
    assert figure.layout.meta["caption"].startswith("No axis was scored.")


def test_one_item_has_no_whiskers(scores: pd.DataFrame) -> None:
    figure = draw(scores[scores["id"] == "pair:000"])
    assert figure.data[0].error_x.array[0] == 0
    assert not math.isnan(figure.data[0].x[0])


def test_the_same_scores_make_the_same_figure(scores: pd.DataFrame) -> None:
    assert draw(scores).to_json() == draw(scores.sample(frac=1, random_state=2)).to_json()
