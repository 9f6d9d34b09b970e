"""One trial: trained, measured, stored, and not repeated."""

from __future__ import annotations

import gc
import json
import logging
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from med_lora.datasets.base_model import BaseModel
from med_lora.errors import InputError
from med_lora.pipelines.training import job as jobs
from med_lora.trials import trial as module
from med_lora.trials.trial import PrunedError, check_trial, describe_trial, make_job, remove_weights, run_trial

from .conftest import Table, outcome_of, split, trial

TRAIN, VALIDATION = split(12), split(5, start=100)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The jobs that came to training, which is left out here: its result follows from the rank of the adapter."""
    jobs: list[Any] = []

    def train(job: Any) -> Any:
        jobs.append(job)
        return outcome_of(job)

    monkeypatch.setattr(module, "train_on_rank", train)
    return jobs


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """A weight of every model that is trained, as a weak reference, while the collector does nothing by itself."""
    import bitsandbytes  # noqa: F401  # it keeps an exception, and with it the frames of the first who imports it

    made: list[Any] = []
    prepare = jobs.prepare_model

    def prepared(job: Any) -> Any:
        model = prepare(job)
        made.append(weakref.ref(next(model.parameters())))
        return model

    monkeypatch.setattr(jobs, "prepare_model", prepared)
    gc.disable()
    yield made
    gc.enable()


def test_a_trial_is_measured_and_stored_and_leaves_no_weights(
    base_model: BaseModel, tmp_path: Path, models: list[Any]
) -> None:
    result = run_trial(trial(), base_model, TRAIN, VALIDATION, tmp_path / "work")
    assert [model() for model in models] == [None]
    assert (result.state, result.direction, result.pairs) == ("finished", "lower", 5)
    losses = result.history[result.history["metric"] == "validation_loss"]
    assert result.value == result.figures["validation_loss"] == losses["value"].iloc[-1]
    assert result.figures["validation_loss_before"] == losses["value"].iloc[0] > result.value
    assert result.figures["step"] == losses["step"].iloc[-1] == 6
    assert result.tokens
    assert result.seconds
    assert {path.name for path in (tmp_path / "work/r_4").iterdir()} - {".lock"} == {"trial.json", "history.csv"}


def test_a_finished_trial_is_returned_as_it_was(
    base_model: BaseModel, tmp_path: Path, trainings: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "med_lora")
    first = run_trial(trial(), base_model, TRAIN, VALIDATION, tmp_path)
    (tmp_path / "r_4/checkpoints").mkdir()  # as a kill before their end leaves them
    second = run_trial(trial(), base_model, TRAIN, VALIDATION, tmp_path)
    assert list(second.figures) == list(first.figures)  # so that equal trials are stored in equal bytes
    assert not (tmp_path / "r_4/checkpoints").exists()
    assert first == second
    assert first.history.equals(second.history)
    assert len(trainings) == 1
    assert "Trial r_4 was finished before; it is not repeated." in caplog.messages


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"training__lora__alpha": 16}, "training.lora.alpha: 8 -> 16"),
        ({"training__optimisation__seed": 9}, "training.optimisation.seed: 3 -> 9"),
        ({"model__quantisation": "nf4"}, 'base_model.quantisation: "none" -> "nf4"'),
    ],
)
def test_a_trial_of_other_settings_is_done_again_and_says_so(
    base_model: BaseModel,
    tmp_path: Path,
    trainings: list[Any],
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    named: str,
) -> None:
    run_trial(trial(), base_model, TRAIN, VALIDATION, tmp_path)
    for _ in range(2):
        run_trial(trial(**changes), base_model, TRAIN, VALIDATION, tmp_path)
    assert len(trainings) == 2
    assert any(named in message and "done again" in message for message in caplog.messages)


def test_other_pairs_are_another_trial(base_model: BaseModel, tmp_path: Path, trainings: list[Any]) -> None:
    for train, validation in ((TRAIN, VALIDATION), (TRAIN, split(6, start=100)), (split(13), VALIDATION)):
        run_trial(trial(), base_model, train, validation, tmp_path)
    assert len(trainings) == 3


def test_settings_of_answers_matter_only_where_answers_are_generated(base_model: BaseModel, tmp_path: Path) -> None:
    def described(**changes: Any) -> dict[str, Any]:
        given = trial(**changes)
        job = make_job(given, base_model, TRAIN, VALIDATION, tmp_path, None, None)
        return describe_trial(given, job, VALIDATION)

    top_k = {"evaluation__decoding__top_k": 3}
    assert described() == described(**top_k)
    assert described(objective="bleu") != described(objective="bleu", **top_k)
    assert described(objective="bleu") != described(objective="rouge_l") != described()


def test_weights_stay_where_they_are_asked_for(base_model: BaseModel, tmp_path: Path, trainings: list[Any]) -> None:
    run_trial(trial(), base_model, TRAIN, VALIDATION, tmp_path)
    assert not (tmp_path / "r_4/weights").exists()
    for _ in range(2):
        run_trial(trial(), base_model, TRAIN, VALIDATION, tmp_path, keep_weights=True)
    assert len(trainings) == 2
    assert {path.name for path in (tmp_path / "r_4/weights").iterdir()} == {"_SUCCESS", "med_lora.json"}
    remove_weights(tmp_path / "r_4")
    assert not (tmp_path / "r_4/weights").exists()


def test_a_whole_model_is_sealed_with_its_tokenizer(
    base_model: BaseModel, tmp_path: Path, trainings: list[Any]
) -> None:
    run_trial(trial(training__method="full"), base_model, TRAIN, VALIDATION, tmp_path, keep_weights=True)
    assert "tokenizer.json" in json.loads((tmp_path / "r_4/weights/_SUCCESS").read_text())["files"]


def test_a_trial_at_which_another_run_is_is_left_alone(
    base_model: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(job: Any) -> Any:
        with pytest.raises(InputError, match=r"Another run is at the trial in .*r_4; wait for its end"):
            run_trial(trial(), base_model, TRAIN, VALIDATION, tmp_path)
        assert not (tmp_path / "r_4/trial.json").exists()
        return outcome_of(job)

    monkeypatch.setattr(module, "train_on_rank", train)
    assert run_trial(trial(), base_model, TRAIN, VALIDATION, tmp_path).state == "finished"


def test_a_damaged_result_is_made_again(base_model: BaseModel, tmp_path: Path, trainings: list[Any]) -> None:
    first = run_trial(trial(), base_model, TRAIN, VALIDATION, tmp_path)
    file = tmp_path / "r_4/trial.json"
    file.write_bytes(file.read_bytes()[:100])
    again = run_trial(trial(), base_model, TRAIN, VALIDATION, tmp_path)
    assert len(trainings) == 2
    assert again.value == first.value


@pytest.mark.parametrize("method", ["lora", "full"])
def test_answers_are_generated_for_the_validation_pairs(base_model: BaseModel, tmp_path: Path, method: str) -> None:
    """One answer to everything is learned in a few steps, and shows that the trained weights were asked."""
    same = [Table(pairs.frame.assign(answer="gout")) for pairs in (TRAIN, VALIDATION)]
    settings = {"training__method": method, "training__optimisation__epochs": 12}
    result = run_trial(trial(objective="token_f1", **settings), base_model, *same, tmp_path)
    assert result.direction == "higher"
    assert result.value == result.figures["token_f1"]
    assert {"rouge_l", "bleu", "answer_cut", "validation_loss"} <= set(result.figures)
    assert result.figures["rouge_l"] == result.value == 1.0


def test_validation_pairs_are_the_same_tokens_for_every_length(base_model: BaseModel, tmp_path: Path) -> None:
    """A short max_length must not make the loss one of the answers' beginnings alone."""
    long, short = (
        make_job(trial(training__max_length=length), base_model, TRAIN, VALIDATION, tmp_path, None, None)
        for length in (80, 40)
    )
    assert long.validation == short.validation
    assert max(len(row["input_ids"]) for row in short.train) == 40 < max(len(row["input_ids"]) for row in long.train)


def test_a_loss_that_is_no_number_makes_the_trial_failed(
    base_model: BaseModel, tmp_path: Path, models: list[Any]
) -> None:
    wild = trial("wild", training__optimisation__learning_rate=1e30, training__optimisation__max_grad_norm=1e30)
    result = run_trial(wild, base_model, TRAIN, VALIDATION, tmp_path)
    assert (result.state, result.value, result.figures) == ("failed", None, {})
    assert "learning_rate" in result.reason
    assert [model() for model in models] == [None]  # or it would stay beside that of the next trial
    assert json.loads((tmp_path / "wild/trial.json").read_text())["result"]["state"] == "failed"


def test_a_failed_trial_is_tried_again(
    base_model: BaseModel, tmp_path: Path, trainings: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(job: Any) -> Any:
        raise InputError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(module, "train_on_rank", full_disk)
        assert run_trial(trial(), base_model, TRAIN, VALIDATION, tmp_path).reason == "The disk is full."
    assert run_trial(trial(), base_model, TRAIN, VALIDATION, tmp_path).state == "finished"
    assert len(trainings) == 1


def test_a_watch_can_prune_a_trial(base_model: BaseModel, tmp_path: Path) -> None:
    seen = []

    def watch(step: int, loss: float) -> None:
        seen.append(step)
        if step > 0:
            raise PrunedError

    for _ in range(2):
        result = run_trial(trial(), base_model, TRAIN, VALIDATION, tmp_path, watch=watch)
        assert (result.state, result.value) == ("pruned", None)
    assert seen == [0, 3]  # the second call returned what was stored


def test_a_trial_pruned_on_a_rank_of_several_is_pruned(
    base_model: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a rank raises arrives as the cause of the launcher's error."""

    def launched(job: Any) -> Any:
        raise RuntimeError("Rank 0 of 2 failed") from PrunedError()

    monkeypatch.setattr(module, "train_on_rank", launched)
    assert run_trial(trial(), base_model, TRAIN, VALIDATION, tmp_path).state == "pruned"


def test_a_bug_is_no_failed_trial(base_model: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "train_on_rank", lambda job: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_trial(trial(), base_model, TRAIN, VALIDATION, tmp_path)
    assert not (tmp_path / "r_4/trial.json").exists()


def test_a_trial_beyond_the_context_is_refused_beforehand(base_model: BaseModel) -> None:
    check_trial(trial(), base_model)
    with pytest.raises(InputError, match=r"max_length 200 and the base model has 128 positions"):
        check_trial(trial(training__max_length=200), base_model)
