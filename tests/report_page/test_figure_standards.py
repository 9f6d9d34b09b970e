"""Every figure of the project holds to the same standards."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro_datasets.plotly import JSONDataset

import med_lora
from med_lora.inspection.corpora import draw_words
from med_lora.inspection.figures import draw_answer_flags, draw_gains, draw_pair_losses
from med_lora.inspection.pairs import compare_pairs, count_answers, list_losses
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.benchmarks.figures import draw_benchmarks
from med_lora.pipelines.data_report.figures import plot_leakage, plot_lengths, plot_outcomes, plot_question_types
from med_lora.pipelines.divergence.correlations import correlate_tracks
from med_lora.pipelines.divergence.figures import draw_divergence
from med_lora.pipelines.divergence.track_scores import gather_tracks
from med_lora.pipelines.judge.figures import draw_judge
from med_lora.pipelines.judge.scores import score_judged
from med_lora.pipelines.latency.figures import draw_latency
from med_lora.pipelines.reporting import figures as report
from med_lora.pipelines.search.figures import draw_history, draw_importance
from med_lora.report_page.figures import COLOURS, empty_figure, error_bars, fit, make_figure, pick_series, thin
from med_lora.trials.artifacts import rank_results
from med_lora.trials.figures import draw_losses, draw_slices
from tests import recipes
from tests.figure_standards import check_figure
from tests.pipelines.divergence.tracks import draw_tracks
from tests.pipelines.judge import simulated
from tests.pipelines.latency.test_figures import make_latency
from tests.pipelines.reporting.conftest import Table, compare, make_scores
from tests.pipelines.search.conftest import search_params
from tests.trials.test_artifacts import result

CORPORA = {"medquad": {"layout": "medquad", "title": "MedQuAD", "licence": "CC-BY-4.0", "files": "m.zip"}}
EVALUATION: EvaluationParams = recipes.evaluation(exclude=["answer_cut", "answer_empty"])
# the figures of pipeline comparison need runs, which its own tests make and hold to the same standards
ELSEWHERE = Path("pipelines", "comparison", "figures")


@cache
def made() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Scores, comparison and controls."""
    scores = make_scores(1.0, cut=17)
    return (scores[0], *compare(scores, EVALUATION))


def compared(scores: pd.DataFrame) -> pd.DataFrame:
    traits = pd.DataFrame({"id": sorted({*scores["id"]}), "dimension": "source", "level": "medquad"})
    return compare_pairs(scores, made()[1], traits, EVALUATION)


def words() -> pd.DataFrame:
    rows = [("train", corpus, 9, 20 + 3 * place) for corpus in ("medquad", "wikidoc") for place in range(9)]
    return pd.DataFrame(rows, columns=["split", "corpus", "question", "answer"])


def history() -> pd.DataFrame:
    metrics = (
        "train_loss",
        "validation_loss",
        "learning_rate",
        "gradient_norm",
        "validation_rougeL",
        "validation_bleu",
    )
    rows = [(step, step / 4, metric, 1.0 / (step + 1)) for step in range(9) for metric in metrics]
    rows.append((0, 0.0, "validation_answers", 6.0))
    return pd.DataFrame(rows, columns=["step", "epoch", "metric", "value"])


def forgetting(note: str = "no difference found") -> pd.DataFrame:
    row = {"measure": "bits_per_byte", "n": 14, "base": 2.1, "tuned": 2.0, "difference": -0.1, "low": -0.2}
    return pd.DataFrame([row | {"high": 0.05, "note": note}])


def benchmarks() -> pd.DataFrame:
    row = {"chance": 0.25, "majority": 0.28, "difference": 0.06, "p_holm": 0.01, "n": 1273}
    row |= {"base": 0.3, "base_low": 0.27, "base_high": 0.33, "tuned": 0.36, "tuned_low": 0.34, "tuned_high": 0.39}
    return pd.DataFrame([{"benchmark": "med_qa", **row}, {"benchmark": "pubmed_qa", **row, "n": 500}])


def lengths() -> pd.DataFrame:
    rows = [(split, "a", "", 5 + place, 20 + 3 * place) for split in ("train", "test") for place in range(9)]
    return pd.DataFrame(rows, columns=["split", "corpus", "id", "prompt_tokens", "answer_tokens"])


def leakage() -> pd.DataFrame:
    rows = [("test", "exact_question", 3, 20, 0.15), ("validation", "exact_question", 1, 10, 0.1)]
    return pd.DataFrame(rows, columns=["split", "kind", "pairs", "of", "share"])


def outcomes() -> pd.DataFrame:
    rows = [("medquad", 200, "keep", "kept", 150), ("medquad", 200, "clean", "answer_too_short", 50)]
    return pd.DataFrame(rows, columns=["corpus", "rows_read", "stage", "outcome", "rows"])


def types(*found: str) -> Any:
    return Table(pd.DataFrame({"question_type": list(found)}, dtype="str"))


@cache
def judged() -> pd.DataFrame:
    answers, _ = simulated.judge_all(simulated.perfect(), items=6)
    return score_judged(answers, simulated.USAGE)[0]


def judge() -> Any:
    return draw_judge(judged(), {"judge": "judge-4", "verdict": "passes"}, EVALUATION)


def divergence() -> Any:
    texts, ratings = draw_tracks(12, 1)
    tracks = gather_tracks(*texts, *ratings)
    return draw_divergence(tracks, correlate_tracks(tracks, EVALUATION), EVALUATION)


def trials(count: int) -> list[Any]:
    generator = np.random.default_rng(1)
    settings = [{"training.optimisation.learning_rate": 10 ** -(2 + 2 * generator.random())} for _ in range(count)]
    return [result(4, 2.0 + place / 9, settings=one, name=f"t_{place}") for place, one in enumerate(settings)]


def histories() -> pd.DataFrame:
    rows = [(f"r_{r}", step, "validation_loss", 2.0 - step / 9) for r in range(9) for step in (0, 5)]
    return pd.DataFrame(rows, columns=["name", "step", "metric", "value"])


SPACE = {"training.optimisation.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
FIGURES: dict[str, Callable[[], Any]] = {
    "draw_loss_curve": lambda: report.draw_loss_curve(history(), recipes.training()),
    "draw_learning_rate": lambda: report.draw_learning_rate(history()),
    "draw_epoch_scores": lambda: report.draw_epoch_scores(history()),
    "draw_perplexity": lambda: report.draw_perplexity(made()[1], EVALUATION),
    "draw_scores": lambda: report.draw_scores(made()[1], made()[2], EVALUATION),
    "draw_distributions": lambda: report.draw_distributions(made()[0], made()[1], EVALUATION),
    "draw_length_against_score": lambda: report.draw_length_against_score(made()[0], made()[1], EVALUATION),
    "draw_forgetting": lambda: report.draw_forgetting(forgetting(), EVALUATION),
    "draw_latency": lambda: draw_latency(make_latency()),
    "draw_benchmarks": lambda: draw_benchmarks(benchmarks(), EVALUATION),
    "draw_judge": judge,
    "draw_divergence": divergence,
    "draw_slices": lambda: draw_slices(rank_results(trials(5)), "trial"),
    "draw_losses": lambda: draw_losses(histories()),
    "draw_history": lambda: draw_history(trials(5)),
    "draw_importance": lambda: draw_importance(trials(12), search_params(space=SPACE)),
    "plot_outcomes": lambda: plot_outcomes(outcomes(), CORPORA),
    "plot_lengths": lambda: plot_lengths(lengths(), recipes.training()),
    "plot_question_types": lambda: plot_question_types(types("a", "b"), types("a"), types("")),
    "plot_leakage": lambda: plot_leakage(leakage()),
    "draw_words": lambda: draw_words(words()),
    "draw_gains": lambda: draw_gains(compared(made()[0]), "rougeL"),
    "draw_pair_losses": lambda: draw_pair_losses(list_losses(made()[0])),
    "draw_answer_flags": lambda: draw_answer_flags(count_answers(made()[0])),
}
SHUFFLED: dict[str, Callable[[int], Any]] = {
    "draw_loss_curve": lambda seed: report.draw_loss_curve(shuffle(history(), seed), recipes.training()),
    "draw_learning_rate": lambda seed: report.draw_learning_rate(shuffle(history(), seed)),
    "draw_epoch_scores": lambda seed: report.draw_epoch_scores(shuffle(history(), seed)),
    "draw_scores": lambda seed: report.draw_scores(made()[1], shuffle(made()[2], seed), EVALUATION),
    "draw_distributions": lambda seed: report.draw_distributions(shuffle(made()[0], seed), made()[1], EVALUATION),
    "draw_length_against_score": lambda seed: report.draw_length_against_score(
        shuffle(made()[0], seed), made()[1], EVALUATION
    ),
    "draw_latency": lambda seed: draw_latency(shuffle(make_latency(), seed)),
    "draw_words": lambda seed: draw_words(shuffle(words(), seed)),
    "draw_gains": lambda seed: draw_gains(compared(shuffle(made()[0], seed)), "rougeL"),
    "draw_pair_losses": lambda seed: draw_pair_losses(list_losses(shuffle(made()[0], seed))),
    "draw_answer_flags": lambda seed: draw_answer_flags(count_answers(shuffle(made()[0], seed))),
}


def shuffle(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    return table.sample(frac=1, random_state=seed) if seed else table


def find_drawing() -> set[str]:
    """Every public function of a module that draws with the style."""
    found: set[str] = set()
    package = Path(med_lora.__file__).parent
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "from med_lora.report_page.figures import" in text and path.parent != package / ELSEWHERE:
            found |= set(re.findall(r"^def ((?:draw|plot)_\w+)", text, re.MULTILINE))
    return found


def test_no_figure_is_missing_here() -> None:
    assert find_drawing() == set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_holds_to_the_standards(name: str) -> None:
    check_figure(FIGURES[name]())


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_comes_back_from_the_catalog_and_twice_the_same(name: str, tmp_path: Path) -> None:
    figure = FIGURES[name]()
    dataset = JSONDataset(filepath=str(tmp_path / "figure.json"))
    dataset.save(figure)
    assert dataset.load() == figure
    assert FIGURES[name]().to_json() == figure.to_json()


@pytest.mark.parametrize("name", SHUFFLED)
def test_the_order_of_rows_is_not_drawn(name: str) -> None:
    assert SHUFFLED[name](1).to_json() == SHUFFLED[name](0).to_json()


@pytest.mark.parametrize(
    ("marks", "fault"),
    [
        ([{"marker": {"color": "#0072B2"}}, {"marker": {"color": "#E69F00"}}], "colour alone"),
        ([{"marker": {"color": "#123456"}}], "strange colours"),
    ],
)
def test_the_standards_can_be_missed(marks: list[dict[str, Any]], fault: str) -> None:
    import plotly.graph_objects as go

    figure = make_figure([go.Bar(x=[1.0], y=["a"], **mark) for mark in marks], "Heading", "n = 3", "Words.")
    figure.update_xaxes(title_text="time (seconds)")
    with pytest.raises(AssertionError, match=fault):
        check_figure(figure)
    figure.data = figure.data[:1]
    figure.data[0].marker.color = "#0072B2"
    check_figure(figure)
    with pytest.raises(AssertionError, match="n is not stated"):
        check_figure(figure.update_layout(title_subtitle_text="many"))
    with pytest.raises(AssertionError, match="x axis has a title"):
        check_figure(figure.update_layout(title_subtitle_text="n = 3", xaxis_title_text=None))


def test_a_subtitle_is_broken_and_a_percent_sign_stays_with_its_number() -> None:
    figure = empty_figure(
        "Heading", "n = 60 test pairs; whiskers are intervals at 95 % of confidence; lower is better", ""
    )
    lines = figure.layout.title.subtitle.text.split("<br>")
    assert len(lines) == 2
    assert max(map(len, lines)) <= 46
    assert "95 %" in lines[0] + lines[1]
    assert not lines[1].startswith("%")


def test_a_point_without_an_interval_has_no_whisker_beside_one_that_has() -> None:
    bars = error_bars([(1.0, 0.5, 2.0), (1.0, float("nan"), 2.0)])
    assert bars["array"] == [1.0, "none"]  # plotly draws null as a whisker of length 0
    assert bars["arrayminus"] == [0.5, "none"]
    assert error_bars([(1.0, float("nan"), float("nan"))]) == {"visible": False}


def test_many_series_stay_apart_without_colours() -> None:
    looks = [pick_series(place) for place in range(98)]
    assert len({look.symbol for look in looks[:14]}) == 14  # points have no dash
    assert len({(look.symbol, look.dash) for look in looks}) == 98
    assert len({look.dash for look in looks[:7]}) == 7  # lines have no symbol
    assert {look.colour for look in looks} == set(COLOURS)


def test_a_long_curve_is_thinned_to_means_of_steps_in_a_row() -> None:
    assert thin([[1, 2], [3, 4]], 2) == ([[1, 2], [3, 4]], 1)
    assert thin([[1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 1.0, 0.0, 1.0, 0.5]], 3) == ([[1.5, 3.5, 5.0], [0.5, 0.5, 0.5]], 2)


@pytest.mark.parametrize(("name", "rows"), [("short", 1), ("a name of a machine, too long", 2)])
def test_room_is_left_for_every_line_of_the_legend(name: str, rows: int) -> None:
    import plotly.graph_objects as go

    def top(names: list[str]) -> float:
        traces = [go.Scatter(x=[1], y=[1], name=one) for one in names]
        return float(fit(make_figure(traces, "Heading", "n = 1", "Words."), 300).layout.margin.t)

    assert top([name, "b"]) - top([name]) == 23 * rows  # one trace alone has no legend
