"""The figures say what a search found out, and what it cannot say."""

from __future__ import annotations

import pytest

from med_lora.pipelines.search.figures import draw_history, draw_importance, measure_importance
from med_lora.pipelines.search.nodes import draw_search, rank_trials, tabulate_trials
from med_lora.trials import trial as trials
from med_lora.trials.figures import TITLES

from .conftest import Searcher, search_params


def test_the_setting_that_decides_is_the_most_important(search: Searcher, calls: list[trials.Trial]) -> None:
    space = {
        "training.optimisation.learning_rate": {"low": 1e-6, "high": 4e-3, "log": True},
        "training.lora.alpha": {"choices": [4, 8, 16]},
    }
    results = search(space=space, trials=14)
    parameters = search_params(space=space)
    shares = measure_importance(results, parameters)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["training.optimisation.learning_rate"] > 0.6
    figure = draw_importance(results, parameters)
    assert list(figure.data[0].y) == ["training.lora.alpha", "training.optimisation.learning_rate"]
    assert figure.layout.meta["caption"].startswith("training.optimisation.learning_rate matters most, with ")


def test_too_few_trials_for_the_importance_are_a_sentence(search: Searcher, calls: list[trials.Trial]) -> None:
    figure = draw_importance(search(), search_params())
    assert not figure.data
    sentence = "4 finished trials are too few to tell which settings matter; 10 are needed."
    assert figure.layout.meta["caption"] == figure.layout.annotations[0].text == sentence


@pytest.mark.parametrize("objective", ["validation_loss", "token_f1"])
def test_the_course_of_a_search_shows_every_trial_and_the_best_so_far(
    objective: str, search: Searcher, calls: list[trials.Trial]
) -> None:
    results = search(objective=objective, prune=True, trials=9)
    finished = [(number, result.value) for number, result in enumerate(results) if result.value is not None]
    pruned = sum(result.state == "pruned" for result in results)
    failed = sum(result.state == "failed" for result in results)
    assert pruned
    assert failed
    figure = draw_history(results)
    assert list(zip(figure.data[0].x, figure.data[0].y, strict=True)) == finished
    best = (min if objective == "validation_loss" else max)(value for _, value in finished)
    assert figure.data[1].y[-1] == best
    assert figure.layout.yaxis.title.text == TITLES[objective]
    assert list(figure.data[1].y) == sorted(figure.data[1].y, reverse=objective == "validation_loss")
    # the last loss of a pruned trial is no score
    assert len(figure.data) == (3 if objective == "validation_loss" else 2)
    counts = f"({len(finished)} finished, {pruned} pruned, {failed} failed)"
    assert figure.layout.meta["caption"].endswith(f"of 9 {counts}.")
    assert (
        f"is {best:.4g}, of trial {finished[[value for _, value in finished].index(best)][0]}"
        in (figure.layout.meta["caption"])
    )


def test_the_table_and_the_slices_hold_every_trial(search: Searcher, calls: list[trials.Trial]) -> None:
    results = search(prune=True, trials=9)
    ranking = rank_trials(results)
    table = tabulate_trials(results, ranking)
    assert sorted(table["number"]) == list(range(9))
    for row in table.to_dict("records"):
        result = results[row["number"]]
        assert (row["state"], row["name"]) == (result.state, result.name)
        assert all(row[key] == value for key, value in result.settings.items())
        assert ("last_validation_loss" in result.figures) == (row["last_validation_loss"] > 0)
    values = [result.value for result in results if result.value is not None]
    assert table["value"].iloc[0] == min(values)
    figure = draw_search(ranking)
    assert len(figure.data) == 2 * 3
    assert sum(len(trace.x) for trace in figure.data) == 3 * len(values)
