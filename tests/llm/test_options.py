"""A local model that takes one of a few given answers: by its own probabilities, and nothing else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.errors import InputError
from med_lora.llm.answers import Completion, Failure, Request
from med_lora.llm.cache import CallCache, call_key
from med_lora.llm.calls import answer_all
from med_lora.llm.local import LocalModel
from med_lora.llm.options import choose_option, score_options
from tests.llm.test_local import HARDWARE, sampling

SCORES = tuple(f'{{"score": {number}}}' for number in range(1, 6))


def asked(text: str = "What is gout?", repeat: int = 0, options: tuple[str, ...] = SCORES) -> Request:
    return Request(({"role": "user", "content": text},), repeat=repeat, options=options)


@pytest.fixture
def model(tiny_model: Any) -> Any:
    return tiny_model.eval()


@pytest.fixture
def base_model(tiny_model: Any, tokenizer: Any, tmp_path: Path) -> BaseModel:
    tiny_model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return BaseModelDataset(id=str(tmp_path / "model")).load()


def one_by_one(model: Any, prompt: list[int], option: list[int]) -> float:
    """The log-probability of all tokens of the option, each from a pass of its own."""
    import torch

    total = 0.0
    with torch.inference_mode():
        for place, token in enumerate(option):
            logits = model(torch.tensor([prompt + option[:place]])).logits[0, -1]
            total += float(logits.double().log_softmax(-1)[token])
    return total


@pytest.mark.parametrize(
    "options",
    [
        SCORES,
        ("yes", "no"),
        ('{"met": true}', '{"met": false}'),
        ("a", "b", "cccccc and more"),
        ("the same beginning, one", "the same beginning, another end"),
    ],
)
def test_scores_are_the_log_probabilities_of_the_options(model: Any, tokenizer: Any, options: tuple[str, ...]) -> None:
    prompt = tokenizer("What is gout? ")["input_ids"]
    tokens = [tokenizer(option)["input_ids"] for option in options]
    expected = [one_by_one(model, prompt, option) for option in tokens]
    found = score_options(model, prompt, tokens)
    # what all begin with is left out, so that scores are known up to what they share
    assert [score - found[0] for score in found] == pytest.approx([score - expected[0] for score in expected], abs=1e-4)
    if options[0][0] != options[1][0]:
        assert found == pytest.approx(expected, abs=1e-4)


def test_the_order_of_the_options_does_not_matter(model: Any, tokenizer: Any) -> None:
    prompt, tokens = tokenizer("What?")["input_ids"], [tokenizer(option)["input_ids"] for option in SCORES]
    assert score_options(model, prompt, tokens[::-1])[::-1] == pytest.approx(score_options(model, prompt, tokens))


def test_logits_that_are_no_numbers_are_one_sentence(model: Any, tokenizer: Any) -> None:
    import torch

    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(InputError, match=r"^The local model's logits are not finite; check its weights"):
        score_options(model, [5, 6], [[7], [8]])


def test_without_temperature_the_likeliest_is_taken_and_the_first_of_equals() -> None:
    assert choose_option([-3.0, -1.0, -1.0, -9.0], 0.0, draw=0.99) == 1


def test_with_temperature_options_are_taken_by_their_share() -> None:
    import math

    scores = [math.log(share) - 50 for share in (0.5, 0.3, 0.2)]
    draws = [(number + 0.5) / 1000 for number in range(1000)]
    assert Counter(choose_option(scores, 1.0, draw) for draw in draws) == {0: 500, 1: 300, 2: 200}
    sharp = Counter(choose_option(scores, 0.5, draw) for draw in draws)  # squares: 25 : 9 : 4
    assert [sharp[place] for place in range(3)] == pytest.approx([658, 237, 105], abs=1)
    assert choose_option([-2000.0, -1.0, float("-inf")], 1.0, draw=0.999999) == 1


def test_a_local_model_answers_with_the_likeliest_option(base_model: BaseModel, tokenizer: Any) -> None:
    local = LocalModel(base_model, sampling(), HARDWARE)
    prompt = tokenizer("What is gout?\n\n")["input_ids"]
    loaded = base_model.model("float32").eval()
    tokens = [tokenizer(option)["input_ids"] for option in SCORES]
    best = max(range(5), key=lambda place: one_by_one(loaded, prompt, tokens[place]))
    assert local.answer(asked()) == Completion(SCORES[best], local.model, "stop", len(prompt), len(tokens[best]))


def test_an_answer_does_not_depend_on_what_was_asked_before(base_model: BaseModel) -> None:
    requests = [asked(f"Question {number}?") for number in range(4)]
    first = LocalModel(base_model, sampling(temperature=1.0), HARDWARE)
    second = LocalModel(base_model, sampling(temperature=1.0), HARDWARE)
    found = [first.answer(request) for request in requests]
    assert [second.answer(request) for request in reversed(requests)] == found[::-1]


def test_sampled_options_depend_on_seed_and_repeat(base_model: BaseModel) -> None:
    def draw(seed: int) -> list[str]:
        local = LocalModel(base_model, sampling(temperature=1.0, seed=seed), HARDWARE)
        answers = [local.answer(asked(repeat=repeat)) for repeat in range(12)]
        return [answer.content for answer in answers if isinstance(answer, Completion)]

    assert draw(1) == draw(1) != draw(2)
    assert len(set(draw(1))) > 1


def test_options_leave_more_room_than_a_written_answer(base_model: BaseModel, tokenizer: Any) -> None:
    context = base_model.config().max_position_embeddings
    longest = max(len(tokenizer(option)["input_ids"]) for option in SCORES)
    text = "?" * (context - longest - len(tokenizer("\n\n")["input_ids"]))
    local = LocalModel(base_model, sampling(max_tokens=64), HARDWARE)
    assert isinstance(local.answer(asked(text)), Completion)
    assert local.answer(asked(text + "?")) == Failure("prompt_too_long")
    assert local.answer(asked(text, options=())) == Failure("prompt_too_long")


def test_options_are_part_of_the_key_and_chosen_answers_are_kept(base_model: BaseModel, tmp_path: Path) -> None:
    local = LocalModel(base_model, sampling(), HARDWARE)
    assert len({call_key(local, asked(options=options)) for options in ((), SCORES, SCORES[:2])}) == 3
    first = answer_all(local, [asked(), asked("Why?")], CallCache(tmp_path / "calls.jsonl"))
    again = answer_all(local, [asked("Why?"), asked()], CallCache(tmp_path / "calls.jsonl"))
    assert again.outcomes == first.outcomes[::-1]
    assert (again.cached, again.asked) == (2, 0)
    assert again.paid_tokens == 0 < first.paid_tokens == first.paid_prompt_tokens + first.paid_completion_tokens
