"""Training, and answers after its epochs, in two processes: the same run as in one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from med_lora.datasets.base_model import BaseModel
from med_lora.engine import Row, fit
from med_lora.engine.epoch_answers import score_questions
from med_lora.engine.launch import run_on_ranks
from med_lora.pipelines.training.job import Outcome, TrainingJob, describe_job, train_on_rank
from tests.engine.machines import free_place, run_on_machines
from tests.engine.ranks import KillAt, call_each
from tests.engine.ranks_answers import METRICS, ONE_QUESTION, QUESTIONS, answer_in_two_ranks
from tests.engine.tiny import adapted, llama, make, values
from tests.recipes import hardware, lora, model_params, optimisation, training

from .recipes import save_base


def rows(count: int) -> list[Row]:
    generator = torch.Generator().manual_seed(1)
    made = []
    for number in range(count):
        ids = torch.randint(2, 250, (5 + number % 20,), generator=generator).tolist()
        made.append(Row(input_ids=ids, labels=[-100] * 3 + ids[3:]))
    return made


def make_job(base_model: BaseModel, output: Path, dropout: float = 0.0, **changes: Any) -> TrainingJob:
    """Two epochs of 22 rows in batches of 8: the last one is not full."""
    of_job = {key: changes.pop(key) for key in ("watch", "checkpoints") if key in changes}
    given: dict[str, Any] = {
        "base_model": base_model,
        "model": model_params(),
        "training": training(
            lora=lora(dropout=dropout), optimisation=optimisation(effective_batch_size=8, evaluations=3, checkpoints=3)
        ),
        "hardware": hardware(threads=1, micro_batch_size=2, **changes),
        "train": rows(22),
        "validation": rows(5),
    }
    return TrainingJob(**given, output=output, settings=describe_job(**given), **of_job)


@pytest.fixture(scope="module")
def base_model(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return save_base(tmp_path_factory.mktemp("model") / "base", tokenizer)


Runs = dict[str, tuple[TrainingJob, Outcome]]
Answered = tuple[list[list[dict[str, float]]], pd.DataFrame]
Call = tuple[Callable[[Any], Any], Any]


@pytest.fixture(scope="module")
def both(base_model: BaseModel, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Runs, Answered]:
    """Runs of two processes, and questions that they share, one after the other in the same ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    jobs = {
        "padded": make_job(base_model, folder / "padded", processes=2),
        "packed": make_job(base_model, folder / "packed", processes=2, packing=True),
    }
    asked = (tokenizer, [QUESTIONS, ONE_QUESTION], rows(12), rows(7))
    runs, (answered,) = run_each(jobs, (answer_in_two_ranks, asked))
    return runs, answered


@pytest.fixture(scope="module")
def together(both: tuple[Runs, Answered]) -> Runs:
    return both[0]


def run_each(jobs: dict[str, TrainingJob], *further: Call) -> tuple[Runs, list[Any]]:
    """The jobs' outcomes by name, and what the further calls returned."""
    calls = [*((train_on_rank, job) for job in jobs.values()), *further]
    returned = run_on_ranks(call_each, calls, next(iter(jobs.values())).hardware)
    runs = {name: (job, outcome) for (name, job), outcome in zip(jobs.items(), returned, strict=False)}
    return runs, returned[len(jobs) :]


@pytest.mark.slow
def test_two_processes_that_were_killed_go_on_as_if_they_had_not_been(base_model: BaseModel, tmp_path: Path) -> None:
    """Bit for bit, with dropout: the random state of each rank comes back. One is killed at its fourth step."""
    folder = tmp_path
    two: dict[str, Any] = {"processes": 2, "dropout": 0.3}
    lasting = {"checkpoints": folder / "checkpoints"}
    killed = make_job(base_model, folder / "killed", **two, **lasting, watch=KillAt(4))
    with pytest.raises(RuntimeError, match=r"Rank 0 of 2 failed.*\n.*SIGKILL"):
        run_on_ranks(train_on_rank, killed, killed.hardware)
    assert [path.parent.name for path in folder.glob("checkpoints/*/checkpoint-*/_SUCCESS")] == ["checkpoint-2"]
    assert not killed.output.exists()
    runs, _ = run_each(
        {
            "resumed": make_job(base_model, folder / "resumed", **two, **lasting),
            "uninterrupted": make_job(base_model, folder / "uninterrupted", **two),
            "other": make_job(base_model, folder / "other", processes=2),
        }
    )
    (resumed, found), (whole, expected) = runs["resumed"], runs["uninterrupted"]
    pd.testing.assert_frame_equal(found.history, expected.history)
    assert found.tokens == expected.tokens
    first, second = weights(resumed), weights(whole)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], value) for name, value in weights(runs["other"][0]).items())


def curve(history: pd.DataFrame, metric: str) -> list[float]:
    return list(history[history.metric == metric].value)


def weights(job: TrainingJob) -> dict[str, torch.Tensor]:
    return load_file(job.output / "adapter_model.safetensors")


@pytest.mark.parametrize("rows_are", ["padded", "packed"])
def test_two_processes_give_the_loss_curve_of_one(
    rows_are: str, together: Runs, base_model: BaseModel, tmp_path: Path
) -> None:
    job, outcome = together[rows_are]
    alone = make_job(base_model, tmp_path / "alone", packing=rows_are == "packed")
    expected = train_on_rank(alone)
    for metric in ("train_loss", "validation_loss", "gradient_norm", "learning_rate"):
        values = curve(expected.history, metric)
        assert len(values) >= 4
        assert curve(outcome.history, metric) == pytest.approx(values, abs=1e-5)
    assert (outcome.tokens, outcome.step) == (expected.tokens, expected.step)
    found = weights(job)
    for name, value in weights(alone).items():
        torch.testing.assert_close(found.pop(name), value, rtol=1e-3, atol=1e-4)
    assert not found


def test_two_ranks_share_the_questions_and_both_know_the_scores(both: tuple[Runs, Answered], tokenizer: Any) -> None:
    """Of one question, the second rank answers none."""
    _, (of_both, history) = both
    for questions, of_ranks in zip((QUESTIONS, ONE_QUESTION), of_both, strict=True):
        assert of_ranks == [score_questions(adapted(make(llama)), questions, tokenizer, 2)] * 2
    probe = partial(score_questions, questions=QUESTIONS, tokenizer=tokenizer, batch_size=2)
    recipe, machine = optimisation(evaluations=3), hardware()
    expected = fit(adapted(make(llama)), tokenizer, rows(12), rows(7), recipe, machine, probe=probe).history
    for metric in METRICS:
        assert values(history, f"validation_{metric}") == values(expected, f"validation_{metric}")


@pytest.mark.slow
def test_two_machines_give_the_loss_curve_of_one_and_both_get_the_adapter(
    base_model: BaseModel, tmp_path: Path
) -> None:
    place = {"machines": 2, "rendezvous": free_place(), "checkpoints": tmp_path / "shared"}
    jobs = [make_job(base_model, tmp_path / name, **place) for name in ("first", "second")]
    outcomes = run_on_machines(train_on_rank, [(job, job.hardware) for job in jobs], tmp_path)
    alone = make_job(base_model, tmp_path / "alone")
    expected = train_on_rank(alone)
    for outcome in outcomes:
        assert curve(outcome.history, "train_loss") == pytest.approx(curve(expected.history, "train_loss"), abs=1e-5)
    first, second = (weights(job) for job in jobs)
    for name, value in weights(alone).items():
        torch.testing.assert_close(first[name], value, rtol=1e-3, atol=1e-4)
        assert torch.equal(first[name], second[name])
