"""The latency probe: what it asks, in which order, and what it says of the machine."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.models.session import ModelSession
from med_lora.parameters import HardwareParams, LatencyParams, PromptParams
from med_lora.pipelines.latency import machine, nodes
from med_lora.pipelines.latency.nodes import COLUMNS, measure_latency
from tests import recipes
from tests.pipelines.evaluation.conftest import QUESTIONS, Table


class WatchedSession(ModelSession):
    """Notes who is asked what: the adapter's presence, the prompt's length, the tokens that came back."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.asked: list[tuple[bool, int, int]] = []
        self.settings: list[Any] = []

    @contextmanager
    def arm(self, adapter: PretrainedFolder | None) -> Iterator[Any]:
        with super().arm(adapter) as model:
            generate = type(model).generate

            def watched(**options: Any) -> Any:
                output = generate(model, **options)
                length = options["input_ids"].shape[1]
                self.asked.append((adapter is not None, length, output.shape[1] - length))
                return output

            model.generate = watched
            try:
                yield model
            finally:
                del model.generate
                self.settings.append(model.generation_config)


@pytest.fixture
def session(base_model: BaseModel, hardware: HardwareParams) -> WatchedSession:
    return WatchedSession(base_model, recipes.model_params(), hardware)


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock whose n-th reading is n squared: an answer reads it at its begin, first token and end."""
    readings = (float(number**2) for number in itertools.count())
    monkeypatch.setattr(nodes, "time", SimpleNamespace(perf_counter=lambda: next(readings)))


def settings(**changes: int) -> LatencyParams:
    return LatencyParams(**({"enabled": False, "questions": 3, "warmup": 1, "new_tokens": 5} | changes))


def probe(
    session: ModelSession,
    test: Table,
    prompt: PromptParams,
    adapter: PretrainedFolder,
    tuned: ModelSession | None = None,
    **changes: int,
) -> pd.DataFrame:
    return measure_latency(session, tuned or session, test, prompt, settings(**changes), adapter)


def test_arms_take_turns_on_the_first_questions_by_id(
    session: WatchedSession, test_split: Table, prompt: PromptParams, adapter: PretrainedFolder
) -> None:
    table = probe(session, test_split, prompt, adapter)
    first = test_split.frame.sort_values("id")["question"].iloc[:3]
    lengths = [len(session.tokenizer()(f"Question: {question}\nAnswer:")["input_ids"]) for question in first]
    assert first.iloc[0] == QUESTIONS[1]
    assert [(tuned, length) for tuned, length, _ in session.asked] == [
        (False, lengths[0]),  # warm-up
        (True, lengths[0]),
        (True, lengths[0]),
        (False, lengths[0]),
        (False, lengths[1]),
        (True, lengths[1]),
        (True, lengths[2]),
        (False, lengths[2]),
    ]
    assert list(table["n"]) == [3, 3]
    assert list(table["prompt_tokens"]) == [sorted(lengths)[1]] * 2


def test_no_answer_ends_early(
    session: WatchedSession, test_split: Table, prompt: PromptParams, adapter: PretrainedFolder
) -> None:
    table = probe(session, test_split, prompt, adapter, questions=7, warmup=0, new_tokens=40)
    assert {written for _, _, written in session.asked} == {40}
    assert list(table["new_tokens"]) == [40, 40]
    # what the model would do of itself: end, in some answers
    assert all(kept.eos_token_id == session.tokenizer().eos_token_id for kept in session.settings)


@pytest.mark.usefixtures("ticks")
def test_seconds_are_those_of_the_clock(
    session: WatchedSession, test_split: Table, prompt: PromptParams, adapter: PretrainedFolder
) -> None:
    table = probe(session, test_split, prompt, adapter).set_index("arm")
    # answers of the base model are those number 3, 4 and 7, of the tuned model 2, 5 and 6; each reads the clock thrice
    for arm, numbers in {"base": [3, 4, 7], "tuned": [2, 5, 6]}.items():
        began = 3 * np.array(numbers)
        first, whole = (began + 1) ** 2 - began**2, (began + 2) ** 2 - began**2
        assert table.loc[arm, "first_token_p50"] == first[1]
        assert table.loc[arm, "answer_p50"] == whole[1]
        assert table.loc[arm, "first_token_p95"] == pytest.approx(0.1 * first[1] + 0.9 * first[2])
        assert table.loc[arm, "answer_p95"] == pytest.approx(0.1 * whole[1] + 0.9 * whole[2])
        assert table.loc[arm, "tokens_per_second"] == pytest.approx(15 / whole.sum())


def test_the_table_says_of_which_machine_it_is(
    session: WatchedSession, test_split: Table, prompt: PromptParams, adapter: PretrainedFolder
) -> None:
    import transformers

    table = probe(session, test_split, prompt, adapter)
    assert list(table.columns) == COLUMNS
    assert list(table["arm"]) == ["base", "tuned"]
    assert set(table["dtype"]) == {"float32"}
    assert set(table["threads"]) == {1}
    assert set(table["engine"]) == {f"transformers {transformers.__version__}"}
    assert table["device"].str.len().min() > 2
    assert list(table["note"]) == [
        "p95 of 3 answers; memory is that resident in the whole process",
        "p95 of 3 answers; adapter not merged; memory is that resident in the whole process",
    ]
    assert (table["first_token_p50"] < table["answer_p50"]).all()
    assert (table["peak_memory_mib"] > 50).all()


def test_a_split_smaller_than_asked_for_is_stated(
    session: WatchedSession, test_split: Table, prompt: PromptParams, adapter: PretrainedFolder
) -> None:
    table = probe(session, test_split, prompt, adapter, questions=20, warmup=0)
    assert list(table["n"]) == [7, 7]
    assert table["note"].str.startswith("p95 of 7 answers; the test split has no 20 questions;").all()


def test_a_tuned_model_of_its_own_is_asked_without_an_adapter(
    session: WatchedSession, base_model: BaseModel, hardware: HardwareParams, test_split: Table, prompt: PromptParams
) -> None:
    tuned = WatchedSession(base_model, recipes.model_params(), hardware)
    table = measure_latency(session, tuned, test_split, prompt, settings(warmup=0))
    assert [len(one.asked) for one in (session, tuned)] == [3, 3]
    assert not any(with_adapter for with_adapter, _, _ in session.asked + tuned.asked)
    assert "weights of both arms" in table["note"].iloc[1]


def test_memory_that_the_kernel_does_not_tell_is_missing_with_a_reason(
    session: WatchedSession,
    test_split: Table,
    prompt: PromptParams,
    adapter: PretrainedFolder,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(machine, "CLEAR_REFS", tmp_path / "absent" / "clear_refs")
    table = probe(session, test_split, prompt, adapter)
    assert table["peak_memory_mib"].isna().all()
    assert table["note"].str.endswith("memory not measured: this kernel does not tell the most that was resident").all()


def test_the_most_memory_is_that_since_the_start() -> None:
    import torch

    memory = machine.PeakMemory(torch.device("cpu"))
    assert math.isnan(memory.read())
    if not machine.CLEAR_REFS.exists():
        pytest.skip("this kernel keeps no high-water mark that can be reset")
    memory.start()
    idle = memory.read()
    np.ones(100 * 2**17)  # 100 MiB, given back at once
    busy = memory.read()
    memory.start()
    assert 90 < busy - idle < 130
    assert memory.read() < busy - 80


def test_answers_that_leave_no_room_for_the_question_are_refused(
    session: WatchedSession, test_split: Table, prompt: PromptParams, adapter: PretrainedFolder
) -> None:
    with pytest.raises(InputError, match=r"latency\.new_tokens \(512\) leaves no room .* 512 tokens; lower it"):
        probe(session, test_split, prompt, adapter, new_tokens=512)
