"""Batches change no answer, finished ones are not generated again, and what is no number is no answer."""

from __future__ import annotations

import errno
import inspect
import os
import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from med_lora.errors import InputError
from med_lora.generation import engine
from med_lora.generation.batches import batch_by_length
from med_lora.generation.engine import Completion, complete
from med_lora.generation.kept_batches import KeptBatches, discard_batches
from med_lora.parameters.evaluation import DecodingParams

from .models import ENDS, GREEDY, PAD, SAMPLED, VOCABULARY, make_model

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def llama() -> Any:
    return make_model("llama")


def ask(model: Any, prompts: list[list[int]], decoding: DecodingParams, size: int, **options: Any) -> list[Completion]:
    return complete(model, prompts, ENDS, PAD, decoding, size, **options)


def texts(completions: list[Completion]) -> list[tuple[list[int], bool]]:
    return [(completion.tokens, completion.ended) for completion in completions]


@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("family", ["llama", "mistral", "gemma", "gpt2", "opt"])
def test_batched_answers_equal_single_ones(family: str, decoding: DecodingParams, prompts: list[list[int]]) -> None:
    model = make_model(family)
    single = texts(ask(model, prompts, decoding, 1))
    for size in (3, 16, 40):
        assert texts(ask(model, prompts, decoding, size)) == single
    assert len({tuple(tokens) for tokens, _ in single}) > 25
    assert {ended for _, ended in single} == {True, False}


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma", "gpt2", "opt"])
def test_greedy_answers_equal_those_of_transformers(family: str, prompts: list[list[int]]) -> None:
    model = make_model(family)
    for prompt, found in zip(prompts, ask(model, prompts, GREEDY, 16), strict=True):
        ids = torch.tensor([prompt])
        options = {"do_sample": False, "max_new_tokens": 16, "eos_token_id": sorted(ENDS), "pad_token_id": PAD}
        new = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **options)[0, len(prompt) :].tolist()
        assert found.tokens + new[len(found.tokens) :] == new
        assert found.ended == (new[-1] in ENDS)
        assert len(new) == len(found.tokens) + found.ended


def test_a_rows_answer_is_not_computed_beyond_its_end(
    llama: Any, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    forward = llama.forward

    def count(*given: Any, **named: Any) -> Any:
        rows.append(len(named["input_ids"]))
        return forward(*given, **named)

    count.__signature__ = inspect.signature(forward)  # type: ignore[attr-defined]
    monkeypatch.setattr(llama, "forward", count)
    answers = ask(llama, prompts[:16], GREEDY, 16)
    assert sum(rows) == sum(len(answer.tokens) + answer.ended for answer in answers) < 16 * 16


def test_what_a_model_would_generate_by_itself_is_neither_read_nor_changed(prompts: list[list[int]]) -> None:
    model = make_model("llama")
    expected = texts(ask(model, prompts[:5], GREEDY, 5))
    model.generation_config.update(do_sample=True, temperature=5.0, max_new_tokens=2, repetition_penalty=9.0)
    before = model.generation_config.to_dict()
    assert texts(ask(model, prompts[:5], GREEDY, 5)) == expected
    assert model.generation_config.to_dict() == before


def test_batches_hold_rows_of_like_length_and_do_not_depend_on_the_order(prompts: list[list[int]]) -> None:
    shuffled = random.Random(2).sample(prompts, k=len(prompts))
    in_batches = [
        [[tuple(rows[index]) for index in batch] for batch in batch_by_length(rows, 7)] for rows in (prompts, shuffled)
    ]
    assert in_batches[0] == in_batches[1]
    lengths = [len(row) for batch in in_batches[0] for row in batch]
    assert lengths == sorted(lengths, reverse=True)
    assert [len(batch) for batch in in_batches[0]] == [7] * 5 + [5]


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_logits_that_are_no_numbers_end_the_run_and_name_the_pair(
    decoding: DecodingParams, value: float, size: int
) -> None:
    model = make_model("llama")
    with torch.no_grad():
        model.model.embed_tokens.weight[100] = value
    prompts, decoding = [[5, 6, 7], [8, 9], [10, 100, 11], [12]], decoding.model_copy(update={"max_new_tokens": 1})
    with pytest.raises(InputError, match=r"logits for pair c are not finite; check its weights") as caught:
        complete(model, prompts, ENDS, PAD, decoding, size, names=["pair a", "pair b", "pair c", "pair d"])
    assert str(caught.value).count(". ") == 0


def test_a_token_that_a_model_rules_out_is_no_fault(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ruled_out = torch.zeros(VOCABULARY)
    ruled_out[: VOCABULARY // 2] = -torch.inf
    head = llama.lm_head.forward
    monkeypatch.setattr(llama.lm_head, "forward", lambda states: head(states) + ruled_out)
    (answer,) = ask(llama, [[5, 6]], GREEDY, 1)
    assert len(answer.tokens) == 16
    assert min(answer.tokens) >= VOCABULARY // 2


class StoppedError(Exception):
    """In place of a kill."""


def stop_after(batches: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the batches that are begun; the one after ``batches`` is not finished."""
    begun: list[int] = []
    write = engine._BatchWriter.write

    def count(self: Any, number: int, *given: Any) -> Any:
        begun.append(number)
        if len(begun) > batches:
            raise StoppedError
        return write(self, number, *given)

    monkeypatch.setattr(engine._BatchWriter, "write", count)
    return begun


def test_a_run_goes_on_after_its_last_whole_batch(
    llama: Any, prompts: list[list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_keeping = partial(ask, llama, prompts, SAMPLED, 6, kept=KeptBatches(tmp_path, {"model": "a"}))
    expected = ask(llama, prompts, SAMPLED, 6)
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        with pytest.raises(StoppedError):
            ask_keeping()
    with monkeypatch.context() as patch:
        begun = stop_after(99, patch)
        answers = ask_keeping()
        assert begun == [3, 4, 5, 6]
        assert texts(answers) == texts(expected)
        assert [answer.batch for answer in answers] == [answer.batch for answer in expected]
        assert ask_keeping() == answers
        assert begun == [3, 4, 5, 6]
    (file,) = tmp_path.glob("*.jsonl")
    assert file.stat().st_mode & 0o077 == 0


def test_other_settings_begin_anew_and_leave_the_first_journal_alone(
    llama: Any, prompts: list[list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(llama, prompts[:8], GREEDY, 4, kept=KeptBatches(tmp_path, {"model": "a", "seed": 1}))
    begun = stop_after(99, monkeypatch)
    ask(llama, prompts[:8], GREEDY, 4, kept=KeptBatches(tmp_path, {"seed": 1, "model": "a"}))
    assert begun == []
    ask(llama, prompts[:8], GREEDY, 4, kept=KeptBatches(tmp_path, {"model": "a", "seed": 2}))
    assert begun == [0, 1]
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    discard_batches(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_line_of_other_batches_is_refused(llama: Any, prompts: list[list[int]], tmp_path: Path) -> None:
    kept = KeptBatches(tmp_path, {})
    ask(llama, prompts[:8], GREEDY, 4, kept=kept)
    with pytest.raises(InputError, match=r"\.jsonl, line 1 holds no batch of this run; delete that line"):
        ask(llama, prompts[:8], GREEDY, 3, kept=kept)


def test_a_full_disk_keeps_what_was_answered(
    llama: Any, prompts: list[list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, syncs = KeptBatches(tmp_path, {}), []
    sync = os.fsync

    def fill(descriptor: int) -> None:
        syncs.append(descriptor)
        if len(syncs) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fill)
        with pytest.raises(InputError, match=r"cannot be written \(No space left"):
            ask(llama, prompts[:20], GREEDY, 4, kept=kept)
    begun = stop_after(99, monkeypatch)
    assert texts(ask(llama, prompts[:20], GREEDY, 4, kept=kept)) == texts(ask(llama, prompts[:20], GREEDY, 4))
    assert begun == [2, 3, 4, 0, 1, 2, 3, 4]
