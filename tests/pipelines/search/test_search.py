"""A search tries as many settings as asked, the same ones every time, and none twice."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.trials import trial as trials
from med_lora.trials.result import TrialResult
from tests.recipes import hardware

from . import conftest
from .conftest import SPACE, Searcher
from .stubs import Pairs


def figures(results: list[TrialResult]) -> list[tuple[object, ...]]:
    return [(result.name, result.state, result.settings, result.value, result.figures) for result in results]


def test_a_finished_search_is_not_repeated_and_a_longer_one_goes_on(
    search: Searcher, calls: list[trials.Trial]
) -> None:
    first = search(trials=4)
    assert len(calls) == len(first) == 4
    assert figures(search(trials=4)) == figures(first)
    assert len(calls) == 4
    longer = search(trials=6)
    assert figures(longer)[:4] == figures(first)
    assert len(calls) == len(longer) == 6
    assert len({str(trial.settings) for trial in calls}) == 6


def test_settings_reach_the_trials_within_the_space(search: Searcher, calls: list[trials.Trial]) -> None:
    for result, trial in zip(search(), calls, strict=True):
        assert trial.settings == result.settings
        assert trial.parameters.training.lora.r == result.settings["training.lora.r"]
        assert result.settings["training.lora.r"] in (4, 8, 16)
        assert 1e-4 <= trial.parameters.training.optimisation.learning_rate <= 1e-2
        assert 0 <= trial.parameters.training.lora.dropout <= 0.5


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_seed_decides_which_settings_are_tried(
    sampler: str, search: Searcher, tmp_path: Path, calls: list[trials.Trial]
) -> None:
    first = search(sampler=sampler, trials=4)
    (tmp_path / "again").mkdir()
    turned = dict(reversed(SPACE.items()))
    assert figures(Searcher(tmp_path / "again")(sampler=sampler, trials=4, space=turned)) == figures(first)
    other = search(sampler=sampler, trials=4, seed=2)
    assert not {str(result.settings) for result in other} & {str(result.settings) for result in first}


def test_tpe_learns_from_the_trials_before(search: Searcher, tmp_path: Path, calls: list[trials.Trial]) -> None:
    tpe = search(sampler="tpe", trials=10, startup_trials=4)
    random = search(sampler="random", trials=10, startup_trials=4)
    assert [result.settings for result in tpe[:4]] == [result.settings for result in random[:4]]

    def mean(results: list[TrialResult]) -> float:
        return sum(value for result in results[4:] if (value := result.value) is not None) / len(results[4:])

    assert mean(tpe) < mean(random)


def test_a_trial_behind_the_median_is_pruned(search: Searcher, calls: list[trials.Trial]) -> None:
    results = search(prune=True, trials=7, startup_trials=3)
    pruned = [result for result in results if result.state == "pruned"]
    finished = [result for result in results if result.state == "finished"]
    assert pruned
    assert len(finished) >= 3
    assert all(result.state != "pruned" for result in results[:3])
    for result in pruned:
        assert result.value is None
        assert result.figures["last_validation_loss"] > 0
    unpruned = {str(result.settings): result for result in search(prune=False, trials=7, startup_trials=3)}
    values = {result.name: unpruned[str(result.settings)].value for result in results}
    least = min(values, key=lambda name: values[name] or 9.0)
    assert least in {result.name for result in finished}


def test_a_better_score_is_a_greater_one_and_still_pruned_by_the_loss(
    search: Searcher, calls: list[trials.Trial]
) -> None:
    results = search(objective="rouge_l", prune=True, trials=7, startup_trials=3, sampler="tpe")
    by_loss = search(objective="validation_loss", prune=True, trials=7, startup_trials=3, sampler="tpe")
    assert [result.state for result in results] == [result.state for result in by_loss]
    assert {result.direction for result in results} == {"higher"}
    assert [result.settings for result in results[:3]] == [result.settings for result in by_loss[:3]]


def test_failed_settings_count_and_the_search_goes_on(search: Searcher, calls: list[trials.Trial]) -> None:
    results = search()
    failed = [result for result in results if result.state == "failed"]
    assert 0 < len(failed) < len(results) == 6
    assert {result.reason for result in failed} == {"The training loss became nan at step 3."}


def test_a_search_stops_if_its_first_trials_all_fail(search: Searcher, calls: list[trials.Trial]) -> None:
    space = {"training.optimisation.learning_rate": {"low": 0.01, "high": 1.0}}
    with pytest.raises(InputError, match=r"first 2 trials of the search all failed, the last since: The training loss"):
        search(space=space)
    assert len(calls) == 2


def test_a_trial_that_ends_in_a_bug_ends_the_run_and_is_not_tried_again(
    search: Searcher, calls: list[trials.Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trials.run_trial

    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("Rank 1 of 2 was killed")

    monkeypatch.setattr(trials, "run_trial", broken)
    with pytest.raises(RuntimeError, match="Rank 1 of 2"):
        search(trials=2)
    monkeypatch.setattr(trials, "run_trial", run)
    first, second = search(trials=2)
    assert (first.state, first.reason) == ("failed", "It ended in RuntimeError.")
    assert [trial.settings for trial in calls] == [second.settings]


def test_several_machines_are_refused(search: Searcher, monkeypatch: pytest.MonkeyPatch) -> None:
    several = hardware().model_copy(update={"machines": 2})
    monkeypatch.setattr(conftest, "hardware", lambda: several)
    with pytest.raises(InputError, match=r"hardware\.machines is 2 .* start one worker on each machine"):
        search()


def test_settings_that_do_not_go_together_are_a_failed_trial(search: Searcher, calls: list[trials.Trial]) -> None:
    space = {
        "training.optimisation.evaluations": {"choices": [1, 2, 6]},
        "training.optimisation.patience": {"choices": [None, 5]},
    }
    results = search(space=space, trials=8)
    evaluations, patience = space
    impossible = [result.settings[patience] == 5 and result.settings[evaluations] != 6 for result in results]
    assert [result.state == "failed" for result in results] == impossible
    assert 0 < sum(impossible) < 8
    assert all("patience" in result.reason for result in results if result.state == "failed")


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({}, r"search\.space is empty"),
        ({"training.lora.rank": {"choices": [1]}}, r"training\.lora\.r"),
        ({"training.lora.r": {"choices": [-1, 0]}}, r"training\.lora\.r"),
        ({"hardware.threads": {"choices": [1]}}, r"hardware\.threads cannot be"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused_before_any_trial(
    space: dict[str, object], words: str, search: Searcher, calls: list[trials.Trial], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        search(space=space)
    assert not calls
    assert not list(tmp_path.iterdir())


def test_a_changed_space_or_corpus_starts_a_new_study_and_says_so(
    search: Searcher, calls: list[trials.Trial], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = search(trials=2)
    narrower = search(trials=2, space=SPACE | {"training.lora.r": {"choices": [4, 8]}})
    assert len(calls) == 4
    assert figures(first) != figures(narrower)
    assert "the search space changed" in caplog.text
    search(Pairs(pd.DataFrame({"id": ["a"], "question": ["Who?"], "answer": ["I."]})), trials=2)
    assert len(calls) == 6
    assert "pairs" in caplog.text
    assert "Who?" not in caplog.text
    assert figures(search(trials=2)) == figures(first)
    assert len(calls) == 6


def test_trials_are_measured_on_rows_of_one_length(search: Searcher, calls: list[trials.Trial]) -> None:
    search(space={"training.max_length": {"low": 16, "high": 64}}, trials=3)
    assert {trial.measured_length for trial in calls} == {64}
    assert len({trial.parameters.training.max_length for trial in calls}) > 1


def test_each_trial_is_a_line_of_the_log(
    search: Searcher, calls: list[trials.Trial], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    results = search(trials=3)
    lines = [line for line in caplog.messages if line.startswith("Search, ")]
    assert [line.split(":")[0] for line in lines] == [f"Search, {number} of 3" for number in (1, 2, 3)]
    for line, result in zip(lines, results, strict=True):
        assert f"training.lora.r={result.settings['training.lora.r']}" in line
        assert (result.reason or f"{result.value:.4g} (best so far") in line


def test_an_equal_trial_is_run_under_the_same_name(search: Searcher, calls: list[trials.Trial]) -> None:
    """So that its folder, and what was finished there, is found again."""
    search(space={"training.lora.r": {"choices": [4, 8]}}, trials=4)
    names = {str(trial.settings): trial.name for trial in calls}
    assert len(names) == 2
    assert all(names[str(trial.settings)] == trial.name for trial in calls)
    assert len(set(names.values())) == 2
