"""A killed run goes on from its last whole batch, and both arms share one model."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.datasets.work_folder import WorkFolder
from med_lora.errors import InputError
from med_lora.generation import engine
from med_lora.journal import Journal
from med_lora.models import session as sessions
from med_lora.models.session import ModelSession, open_session
from med_lora.parameters import EvaluationParams, HardwareParams, PromptParams, TrainingParams
from med_lora.pipelines.evaluation.answers import generation
from med_lora.pipelines.evaluation.answers.generation import describe_decisive, discard_journal, generate_answers
from med_lora.pipelines.evaluation.losses.measure import measure_losses
from tests import recipes
from tests.generation.killed_run import answer

from .conftest import Table

COLUMNS = [
    "id",
    "answer",
    "prompt_tokens",
    "new_tokens",
    "finish_reason",
    "prompt_truncated",
    "empty",
    "batch",
    "dtype",
    "engine",
]


@pytest.fixture
def session(base_model: BaseModel, hardware: HardwareParams) -> ModelSession:
    return open_session(base_model, recipes.model_params(), hardware)


@pytest.fixture
def journal(tmp_path: Path) -> WorkFolder:
    return WorkFolder(tmp_path)


def count_batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the batches that are generated."""
    begun: list[int] = []
    write = engine._BatchWriter.write

    def count(self: Any, number: int, *given: Any) -> Any:
        begun.append(number)
        return write(self, number, *given)

    monkeypatch.setattr(engine._BatchWriter, "write", count)
    return begun


@pytest.mark.usefixtures("hardware")  # one thread, as the child has: their number is among what decides an answer
def test_a_killed_run_goes_on_with_equal_answers(
    model_folder: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = [sys.executable, "-m", "tests.generation.killed_run", str(model_folder), str(tmp_path / "a"), "4"]
    run = subprocess.run(
        program, cwd=root, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, check=False
    )
    assert run.returncode == -9, run.stderr.decode()[-2000:]
    (file,) = (tmp_path / "a").glob("*.jsonl")
    assert len(file.read_bytes().splitlines()) == 4
    begun = count_batches(monkeypatch)
    went_on = answer(model_folder, tmp_path / "a")
    assert begun == [4, 5, 6]
    uninterrupted = answer(model_folder, tmp_path / "b")
    pd.testing.assert_frame_equal(went_on, uninterrupted)


def test_losses_and_answers_of_both_arms_read_the_model_once(
    session: ModelSession,
    adapter: PretrainedFolder,
    test_split: Table,
    prompt: PromptParams,
    training: TrainingParams,
    evaluation: EvaluationParams,
    journal: WorkFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads: list[BaseModel] = []
    load = sessions.load_model  # type: ignore[attr-defined]

    def count(base_model: BaseModel, *given: Any, **named: Any) -> Any:
        loads.append(base_model)
        return load(base_model, *given, **named)

    monkeypatch.setattr(sessions, "load_model", count)

    def ask(given: PretrainedFolder | None) -> tuple[pd.DataFrame, pd.DataFrame]:
        losses, _ = measure_losses(session, test_split, prompt, training, given)
        answers = generate_answers(session, test_split, prompt, evaluation, journal, given)
        discard_journal(answers, journal)
        return losses, answers

    base, tuned, base_again = ask(None), ask(adapter), ask(None)
    assert len(loads) == 1
    for before, with_adapter, after in zip(base, tuned, base_again, strict=True):
        pd.testing.assert_frame_equal(before, after)
        assert not before.equals(with_adapter)


def test_each_answer_says_how_it_came_about(
    session: ModelSession, test_split: Table, prompt: PromptParams, evaluation: EvaluationParams, journal: WorkFolder
) -> None:
    from importlib.metadata import version

    answers = generate_answers(session, test_split, prompt, evaluation, journal)
    assert list(answers.columns) == COLUMNS
    assert sorted(answers["batch"]) == [0, 0, 0, 1, 1, 1, 2]  # three at a time
    assert set(answers["dtype"]) == {"float32"}
    assert set(answers["engine"]) == {f"transformers {version('transformers')}"}
    longest_first = answers.sort_values(["batch", "prompt_tokens"], ascending=[True, False])["prompt_tokens"]
    assert longest_first.is_monotonic_decreasing


def test_all_that_decides_an_answer_enters_the_journals_name(
    base_model: BaseModel, hardware: HardwareParams, adapter: PretrainedFolder
) -> None:
    decoding = recipes.decoding()

    def describe(
        base: BaseModel = base_model,
        machine: HardwareParams = hardware,
        quantisation: str = "none",
        tuned: PretrainedFolder | None = adapter,
        prompts: list[list[int]] | None = None,
        ends: frozenset[int] = frozenset({1, 2}),
        **changes: Any,
    ) -> str:
        session = open_session(base, recipes.model_params(quantisation=quantisation), machine)
        changed = decoding.model_copy(update=changes)
        return str(describe_decisive(session, tuned, prompts or [[1], [2]], set(ends), changed))

    variants: list[Callable[[], str]] = [
        describe,
        lambda: describe(base=replace(base_model, sha256="f" * 64)),
        lambda: describe(machine=hardware.model_copy(update={"inference_batch_size": 2})),
        lambda: describe(machine=hardware.model_copy(update={"attention": "eager"})),
        lambda: describe(quantisation="nf4"),
        lambda: describe(tuned=None),
        lambda: describe(tuned=replace(adapter, sha256="e" * 64)),
        lambda: describe(prompts=[[2], [1]]),
        lambda: describe(ends=frozenset({1})),
        lambda: describe(seed=8),
        lambda: describe(max_new_tokens=25),
        lambda: describe(temperature=0.5),
    ]
    described = [variant() for variant in variants]
    assert len(set(described)) == len(variants)
    assert describe() == described[0]


@pytest.mark.parametrize(
    ("package", "quantisation", "decides"),
    [("torch", "none", True), ("peft", "none", True), ("bitsandbytes", "none", False), ("bitsandbytes", "nf4", True)],
)
def test_another_version_decides_where_the_package_computes(
    base_model: BaseModel,
    hardware: HardwareParams,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    quantisation: str,
    decides: bool,
) -> None:
    session = open_session(base_model, recipes.model_params(quantisation=quantisation), hardware)
    before = describe_decisive(session, None, [[1]], {1}, recipes.decoding())
    installed = generation.version
    monkeypatch.setattr(generation, "version", lambda name: "0.0.1" if name == package else installed(name))
    assert (describe_decisive(session, None, [[1]], {1}, recipes.decoding()) != before) == decides


def test_a_journal_that_another_run_uses_is_refused_and_left_alone(
    session: ModelSession,
    test_split: Table,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    journal: WorkFolder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers = generate_answers(session, test_split, prompt, evaluation, journal)
    (file,) = journal.path.glob("*.jsonl")
    held = file.read_bytes()
    with Journal(file, engine.Batch).opened(), caplog.at_level(logging.WARNING):
        with pytest.raises(InputError, match="in use by another run"):
            generate_answers(session, test_split, prompt, evaluation, journal)
        discard_journal(answers, journal)
        assert file.read_bytes() == held
    assert "left as it is" in caplog.text
    discard_journal(answers, journal)
    assert list(journal.path.iterdir()) == []


def test_no_text_reaches_the_log(
    session: ModelSession,
    test_split: Table,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    journal: WorkFolder,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.DEBUG, logger="med_lora"):
        answers = generate_answers(session, test_split, prompt, evaluation, journal)
        discard_journal(answers, journal)
    output = capsys.readouterr()
    said = caplog.text + output.out + output.err
    for text in [*test_split.frame["question"], *answers["answer"]]:
        assert text not in said
