"""The harness's choices are those of the summed log-likelihoods, and it leaves nothing behind."""

from __future__ import annotations

import logging
import random
from typing import Any

import numpy as np
import pandas as pd
import pytest

from med_lora.chunks import Chunks
from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.models.session import ModelSession, open_session
from med_lora.parameters import HardwareParams
from med_lora.pipelines.benchmarks.harness import answer_benchmarks
from med_lora.pipelines.benchmarks.tasks import collect_questions
from tests import recipes
from tests.pipelines.benchmarks.conftest import CONTEXT

pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed (extra bench)")


@pytest.fixture
def questions(exam: Chunks, studies: Chunks) -> pd.DataFrame:
    return collect_questions(exam, studies)


def likelihoods(model: Any, tokenizer: Any, prompt: str, choices: list[str]) -> list[float]:
    """Summed log-likelihood of each choice behind the prompt, one row at a time."""
    import torch

    values = []
    for choice in choices:
        start = len(tokenizer(prompt)["input_ids"])
        ids = tokenizer(f"{prompt} {choice}")["input_ids"]
        shown = torch.tensor([ids[:-1][-CONTEXT:]])
        count = len(ids) - start
        with torch.inference_mode():
            logits = model(input_ids=shown).logits[0, -count:].double().log_softmax(-1)
        values.append(sum(logits[place, token].item() for place, token in enumerate(ids[start:])))
    return values


@pytest.mark.parametrize("arm", ["base", "tuned"])
def test_choices_are_those_of_our_own_likelihoods(
    arm: str, session: ModelSession, adapter: PretrainedFolder, questions: pd.DataFrame
) -> None:
    given = adapter if arm == "tuned" else None
    items = answer_benchmarks(session, questions, given)
    asked = questions[questions["fault"] == ""].reset_index(drop=True)
    assert items[["benchmark", "id", "gold"]].equals(asked[["benchmark", "id", "gold"]])
    with session.arm(given) as model:
        for item, question in zip(items.itertuples(), asked.itertuples(), strict=True):
            choices = question.choices.split()
            values = dict(zip(choices, likelihoods(model, session.tokenizer(), question.prompt, choices), strict=True))
            assert item.choice == max(values, key=values.__getitem__)
            gold = values.pop(question.gold)
            assert item.margin == pytest.approx(gold - max(values.values()), abs=1e-3)
            assert item.correct == (item.margin > 0) == (item.choice == item.gold)


def test_the_tuned_arm_differs_and_leaves_the_base_as_it_was(
    session: ModelSession, adapter: PretrainedFolder, questions: pd.DataFrame
) -> None:
    before = answer_benchmarks(session, questions)
    tuned = answer_benchmarks(session, questions, adapter)
    assert not np.allclose(tuned["margin"], before["margin"], atol=0.01)
    assert answer_benchmarks(session, questions)["margin"].equals(before["margin"])


def test_batch_size_and_order_change_nothing(
    base_model: BaseModel, hardware: HardwareParams, session: ModelSession, questions: pd.DataFrame
) -> None:
    single = open_session(base_model, recipes.model_params(), recipes.hardware(inference_batch_size=1, threads=1))
    shuffled = answer_benchmarks(single, questions.sample(frac=1, random_state=1)).set_index("id")
    items = answer_benchmarks(session, questions).set_index("id")
    assert shuffled.loc[items.index, "choice"].equals(items["choice"])
    assert np.allclose(shuffled.loc[items.index, "margin"], items["margin"], atol=1e-4)


def test_prompts_that_lose_their_beginning_are_marked(session: ModelSession, questions: pd.DataFrame) -> None:
    tokenizer = session.tokenizer()
    asked = questions[questions["fault"] == ""]
    longest = [
        max(len(tokenizer(f"{prompt} {choice}")["input_ids"]) for choice in choices.split())
        for prompt, choices in zip(asked["prompt"], asked["choices"], strict=True)
    ]
    expected = [length - 1 > CONTEXT for length in longest]
    assert answer_benchmarks(session, questions)["prompt_truncated"].tolist() == expected
    assert set(expected) == {True, False}


def test_logits_are_made_for_the_last_places_alone(session: ModelSession, questions: pd.DataFrame) -> None:
    places = []
    with session.arm(None) as model:
        hook = model.lm_head.register_forward_hook(lambda module, given, logits: places.append(logits.shape[1]))
    answer_benchmarks(session, questions)
    hook.remove()
    assert min(places) < 10
    # as many as the shortest prompt of a batch lacks to the longest one, and the choice
    assert max(places) < CONTEXT / 2


def test_text_of_an_item_is_no_special_token(session: ModelSession) -> None:
    from med_lora.pipelines.benchmarks.asked_model import AskedModel

    tokenizer = session.tokenizer()
    with session.arm(None) as model:
        asked = AskedModel(model, tokenizer, CONTEXT, batch_size=1)
    assert tokenizer.eos_token_id in tokenizer("Which <eos>?")["input_ids"]
    assert tokenizer.eos_token_id not in asked.tok_encode("Which <eos>?")
    assert asked.tok_encode("Which?") == tokenizer("Which?")["input_ids"]


def test_a_tokenizer_that_closes_every_text_does_not_close_a_prompt(session: ModelSession) -> None:
    from copy import deepcopy

    from tokenizers.processors import TemplateProcessing

    from med_lora.pipelines.benchmarks.asked_model import AskedModel

    closing = deepcopy(session.tokenizer())
    special = [("<pad>", closing.pad_token_id), ("<eos>", closing.eos_token_id)]
    closing.backend_tokenizer.post_processor = TemplateProcessing(single="<pad> $A <eos>", special_tokens=special)
    with session.arm(None) as model:
        asked = AskedModel(model, closing, CONTEXT, batch_size=1)
    plain = session.tokenizer()("Which?")["input_ids"]
    assert closing("Which?")["input_ids"] == [closing.pad_token_id, *plain, closing.eos_token_id]
    assert asked.tok_encode("Which?") == [closing.pad_token_id, *plain]


def test_random_states_are_as_before(
    session: ModelSession, questions: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lm_eval.evaluator
    import torch

    evaluate = lm_eval.evaluator.evaluate

    def seeding(*given: Any, **options: Any) -> Any:
        """As the harness's command line does."""
        random.seed(0)
        np.random.seed(1234)
        torch.manual_seed(1234)
        return evaluate(*given, **options)

    monkeypatch.setattr(lm_eval.evaluator, "evaluate", seeding)
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    expected = (random.random(), np.random.random(), torch.rand(1).item())
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    answer_benchmarks(session, questions)
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected


def test_nothing_is_logged_of_the_items(
    session: ModelSession, questions: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    level = logging.getLogger("lm_eval").level
    with caplog.at_level(logging.DEBUG):
        answer_benchmarks(session, questions)
    assert not [record for record in caplog.records if record.name.startswith("lm_eval")]
    assert "scurvy" not in caplog.text
    assert logging.getLogger("lm_eval").level == level


def test_nothing_is_asked_of_the_network(
    session: ModelSession, questions: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    def refuse(*given: Any, **options: Any) -> Any:
        raise AssertionError("a host was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert len(answer_benchmarks(session, questions)) == (questions["fault"] == "").sum()


def test_likelihoods_that_are_not_finite_are_refused(session: ModelSession, questions: pd.DataFrame) -> None:
    import torch

    with session.arm(None) as model, torch.no_grad():
        model.model.norm.weight[0] = float("nan")
    with pytest.raises(InputError, match=r"item exam:000 is not finite \(12 of 12 items\)"):
        answer_benchmarks(session, questions)


def test_the_signature_names_the_harness_and_the_precision(session: ModelSession, questions: pd.DataFrame) -> None:
    (signature,) = set(answer_benchmarks(session, questions)["signature"])
    assert signature.startswith("lm_eval 0.4.")
    assert signature.endswith(", multiple_choice, acc, 0-shot, float32")
