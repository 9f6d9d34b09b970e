"""The scatter of what tuning changed by every track."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from med_lora.pipelines.divergence.correlations import correlate_tracks
from med_lora.pipelines.divergence.figures import draw_divergence
from med_lora.pipelines.divergence.track_scores import gather_tracks
from med_lora.report_page.figures import BLUE, ORANGE
from tests.pipelines.divergence.tracks import Track, draw_tracks, make_track
from tests.recipes import evaluation


def draw(*tracks: Track | None) -> Any:
    tables = [table for track in tracks for table in (track or (None, None))]
    found = correlate_tracks(gather_tracks(*tables), evaluation())  # type: ignore[arg-type]
    return draw_divergence(gather_tracks(*tables), found, evaluation())  # type: ignore[arg-type]


def test_one_panel_a_rating_with_its_correlation() -> None:
    texts, judged = draw_tracks(20, 1)
    rated = make_track("people", {"people_accuracy": np.random.default_rng(1).integers(1, 6, (20, 2)).astype(float)})
    figure = draw(texts, judged, rated)
    assert [trace.name for trace in figure.data] == ["Judge: accuracy", "Judge: relevance", "People: accuracy"]
    assert [trace.marker.color for trace in figure.data] == [BLUE, BLUE, ORANGE]
    assert len({trace.marker.symbol for trace in figure.data}) == 2  # not by colour alone
    found = correlate_tracks(gather_tracks(*texts, *judged, *rated), evaluation()).iloc[0]
    heads = [annotation.text for annotation in figure.layout.annotations]
    assert heads[0].startswith(f"Judge:<br>accuracy<br>n = 20<br>ρ = {found['spearman']:.2f}<br>[".replace("-", "−"))
    assert len(heads) == 3
    assert "n = 20 test pairs" in figure.layout.title.subtitle.text
    assert figure.layout.xaxis.zeroline
    assert figure.layout.yaxis.zeroline


def test_points_are_differences_and_carry_no_ids() -> None:
    texts, judged = draw_tracks(8, 2)
    figure = draw(texts, judged)
    table = texts.scores.pivot(index="id", columns=["metric", "arm"], values="score")["rougeL"]
    assert list(figure.data[0].x) == pytest.approx(list(table["tuned"] - table["base"]))
    assert "test:" not in figure.to_json()


def test_the_caption_says_what_so_many_groups_find() -> None:
    caption = draw(*draw_tracks(20, 1)).layout.meta["caption"]
    assert caption.startswith("0 of 2 rank correlations of ROUGE-L F with a rating are shown")
    assert "find with a chance of 80 % is 0.60" in caption
    assert "so few groups find none" in draw(*draw_tracks(4, 2)).layout.meta["caption"]


def test_the_caption_does_not_count_ratings_that_are_not_believed() -> None:
    texts, judged = draw_tracks(60, 1, shared=0.95)
    found = correlate_tracks(gather_tracks(*texts, *judged), evaluation())
    summary = {"nothing_said": ["judge_accuracy"], "floors_unclear": []}

    def caption(summary: dict[str, Any]) -> str:
        figure = draw_divergence(gather_tracks(*texts, *judged), found, evaluation(), summary)
        assert len(figure.data) == 2
        return str(figure.layout.meta["caption"])

    assert caption({"nothing_said": [], "floors_unclear": []}).startswith("2 of 2 rank correlations")
    counted = caption(summary)
    assert counted.startswith("1 of 1 rank correlations")
    assert counted.endswith("Scores of the judge on accuracy are not believed and not counted.")
    neither = caption({"nothing_said": ["judge_accuracy"], "floors_unclear": ["judge_relevance"]})
    assert neither == "Scores of the judge on accuracy, relevance are not believed and not counted."


def test_the_caption_says_that_only_ratings_that_are_not_believed_have_a_correlation() -> None:
    texts, judged = draw_tracks(20, 1)
    tracks = gather_tracks(*texts, *judged)
    found = correlate_tracks(tracks, evaluation())
    numbers = ["spearman", "low", "high", "p_holm"]
    found.loc[found["second"] == "judge_relevance", numbers] = np.nan
    summary = {"nothing_said": ["judge_accuracy"], "floors_unclear": []}
    caption = draw_divergence(tracks, found, evaluation(), summary).layout.meta["caption"]
    assert caption.startswith("No rating that is believed has a rank correlation. Scores of the judge on accuracy")


def test_without_rouge_the_first_text_metric_is_drawn() -> None:
    texts, judged = draw_tracks(8, 3)
    figure = draw(texts._replace(metrics=texts.metrics[texts.metrics["name"] == "bleu"]), judged)
    assert figure.layout.xaxis.title.text == "BLEU,<br>tuned − base"


@pytest.mark.filterwarnings("error")
def test_nothing_rated_is_an_empty_figure() -> None:
    figure = draw(draw_tracks(8, 4)[0], None, make_track("people", {}))
    assert not figure.data
    assert figure.layout.annotations[0].text == "no values"
    assert "too few" in figure.layout.meta["caption"]


@pytest.mark.parametrize("count", [1, 5, 7])
def test_a_row_of_panels_has_room_for_the_title_of_its_axis_and_the_heads_below(count: int) -> None:
    values = {f"judge_{name}": np.random.default_rng(1).normal(size=(8, 2)) for name in "abcdefg"[:count]}
    layout = draw(draw_tracks(8, 5)[0], make_track("judge", values)).layout
    drawn = layout.height - layout.margin.t - layout.template.layout.margin.b
    rows = sorted({layout[f"yaxis{place}" if place > 1 else "yaxis"].domain for place in range(1, count + 1)})
    assert len(rows) == -(-count // 2)
    assert all((high - low) * drawn > 200 for low, high in rows)
    gaps = [(above[0] - below[1]) * drawn for below, above in pairwise(rows)]
    assert all(gap > 100 for gap in gaps)  # ticks and title of an axis are 60 pixels, a head of two lines 40


def test_heads_of_neighbours_do_not_touch_on_a_narrow_page() -> None:
    values = {
        f"judge_{name}": np.random.default_rng(1).normal(size=(20, 2)) for name in ("comprehensiveness", "b", "c")
    }
    layout = draw(draw_tracks(20, 5)[0], make_track("judge", values)).layout
    drawn = 720 - layout.template.layout.margin.l - layout.template.layout.margin.r
    apart = (layout.annotations[1].x - layout.annotations[0].x) * drawn
    lines = [max(head.text.split("<br>"), key=len) for head in layout.annotations]
    size = layout.annotations[0].font.size
    assert sum(0.55 * size * len(line) / 2 for line in lines) < apart  # a letter is about half as wide as high
    assert 0.55 * size * len(lines[0]) < apart  # also beside a head as long as itself


def test_panels_fill_rows_of_two() -> None:
    judged = make_track("judge", {f"judge_{name}": np.random.default_rng(1).normal(size=(8, 2)) for name in "abcdefg"})
    figure = draw(draw_tracks(8, 5)[0], judged)
    assert len(figure.data) == 7
    assert figure.data[6].yaxis == "y7"
    assert figure.layout.height > draw(*draw_tracks(8, 5)).layout.height
