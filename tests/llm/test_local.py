"""A model of this machine, asked like a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.llm.answers import Completion, Failure, Request
from med_lora.llm.cache import CallCache
from med_lora.llm.calls import answer_all
from med_lora.llm.local import LocalModel
from med_lora.parameters.llm import SamplingParams
from tests import recipes

HARDWARE = recipes.hardware(micro_batch_size=1, inference_batch_size=1, threads=1)


def question(text: str = "What is gout?", repeat: int = 0) -> Request:
    return Request(({"role": "system", "content": "Answer."}, {"role": "user", "content": text}), repeat=repeat)


def sampling(temperature: float = 0.0, seed: int = 1, max_tokens: int = 12) -> SamplingParams:
    return SamplingParams(temperature=temperature, seed=seed, max_tokens=max_tokens)


@pytest.fixture
def base_model(tiny_model: Any, tokenizer: Any, tmp_path: Path) -> BaseModel:
    tiny_model.generation_config.repetition_penalty = 9.0  # must have no effect
    tiny_model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return BaseModelDataset(id=str(tmp_path / "model")).load()


def texts(model: LocalModel, *requests: Request) -> list[str]:
    answers = [model.answer(request) for request in requests]
    assert all(isinstance(answer, Completion) for answer in answers)
    return [answer.content for answer in answers if isinstance(answer, Completion)]


def test_an_answer_with_its_tokens(base_model: BaseModel, tokenizer: Any) -> None:
    answer = LocalModel(base_model, sampling(), HARDWARE).answer(question())
    assert isinstance(answer, Completion)
    assert answer.model == base_model.sha256
    assert answer.prompt_tokens == len(tokenizer("Answer.\n\nWhat is gout?\n\n")["input_ids"])
    assert 0 < answer.completion_tokens <= 12
    assert answer.finish_reason == ("length" if answer.completion_tokens == 12 else "stop")


def test_greedy_answers_are_the_models_likeliest_tokens(base_model: BaseModel, tokenizer: Any) -> None:
    import torch

    model = base_model.model("float32").eval()
    ids = tokenizer("Answer.\n\nWhat is gout?\n\n")["input_ids"]
    likeliest: list[int] = []
    with torch.inference_mode():
        for _ in range(12):
            likeliest.append(int(model(torch.tensor([ids + likeliest])).logits[0, -1].argmax()))
            if likeliest[-1] == tokenizer.eos_token_id:
                break
    expected = tokenizer.decode(likeliest, skip_special_tokens=True)
    assert texts(LocalModel(base_model, sampling(), HARDWARE), question()) == [expected]


def test_samples_depend_on_seed_and_repeat_alone(base_model: BaseModel) -> None:
    import torch

    model = LocalModel(base_model, sampling(temperature=1.0), HARDWARE)
    first, other, repeated = texts(model, question(), question("Why?"), question(repeat=1))
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    again = LocalModel(base_model, sampling(temperature=1.0), HARDWARE)
    assert texts(again, question("Why?"), question()) == [other, first]
    assert torch.equal(before, torch.random.get_rng_state())
    assert texts(LocalModel(base_model, sampling(temperature=1.0, seed=2), HARDWARE), question()) != [first]
    assert repeated != first


def test_a_prompt_that_does_not_fit_is_not_cut(base_model: BaseModel) -> None:
    answer = LocalModel(base_model, sampling(), HARDWARE).answer(question("long " * 100))
    assert answer == Failure("prompt_too_long")


def test_local_answers_are_cached_like_others(base_model: BaseModel, tmp_path: Path) -> None:
    requests = [question(), question("Why?")]
    first = answer_all(LocalModel(base_model, sampling(), HARDWARE), requests, CallCache(tmp_path / "calls.jsonl"))
    again = LocalModel(base_model, sampling(), HARDWARE)
    second = answer_all(again, requests, CallCache(tmp_path / "calls.jsonl"))
    assert second.outcomes == first.outcomes
    assert (second.cached, second.asked) == (2, 0)
