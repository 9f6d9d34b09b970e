"""What a server is sent: the very tokens of training, or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.work_folder import WorkFolder
from med_lora.errors import InputError
from med_lora.pipelines.evaluation.answers.server import ask_server_for_base
from med_lora.prompts import PairTokeniser
from tests.generation.served import PLAIN, QUESTIONS, VLLM, reading, served, split
from tests.llm.server import MODEL, ChatHandler, ChatServer, say, text_completion


def test_a_text_goes_out_as_the_tokens_of_training_with_one_bos(
    base_model: BaseModel, begun: Any, journal: WorkFolder
) -> None:
    with ChatServer(reading(begun)) as server:
        answers = ask_server_for_base(base_model, split(*QUESTIONS), PLAIN, served(server, concurrency=1), journal)
    trained_on = [ids for ids, _ in PairTokeniser(PLAIN, begun).prompts(QUESTIONS, 1000)]
    assert [begun(asked["prompt"])["input_ids"] for asked in server.requests] == trained_on
    assert all(ids.count(begun.bos_token_id) == 1 for ids in trained_on)
    assert set(server.paths) == {"/v1/completions"}
    assert answers.to_dict("list") == {
        "id": [f"corpus:{number}" for number in range(5)],
        "answer": [f"{len(ids)} tokens" for ids in trained_on],
        "prompt_tokens": [len(ids) for ids in trained_on],
        "new_tokens": [3] * 5,
        "finish_reason": ["eos"] * 5,
        "prompt_truncated": [False] * 5,
        "empty": [False] * 5,
        "batch": [0, 1, 2, 3, 4],
        "dtype": ["unknown"] * 5,
        "engine": [f"openai {MODEL}"] * 5,
    }
    asked = server.requests[0]
    assert (asked["model"], asked["temperature"], asked["seed"], asked["max_tokens"]) == (MODEL, 0.0, 5, 24)


def test_vllm_gets_token_ids_and_every_setting(base_model: BaseModel, begun: Any, journal: WorkFolder) -> None:
    decoding = {"temperature": 0.7, "top_k": 40, "top_p": 0.9}
    long = "gout " * 200
    with ChatServer(reading(begun)) as server:
        server.pages = VLLM
        answers = ask_server_for_base(
            base_model, split("Is <eos> a token?", long), PLAIN, served(server, decoding, concurrency=1), journal
        )
    trained_on = [ids for ids, _ in PairTokeniser(PLAIN, begun).prompts(["Is <eos> a token?", long], 128 - 24)]
    assert [asked["prompt"] for asked in server.requests] == trained_on
    assert begun.eos_token_id not in trained_on[0]
    assert list(answers["prompt_truncated"]) == [False, True]
    assert set(answers["engine"]) == {f"openai {MODEL} (vllm 0.32.0)"}
    sent = {key: value for key, value in server.requests[0].items() if key != "prompt"}
    assert sent == {
        "model": MODEL,
        "temperature": 0.7,
        "seed": 5,
        "max_tokens": 24,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.0,
        "frequency_penalty": 0.0,
        "presence_penalty": 0.0,
        "repetition_penalty": 1.0,
        "stop_token_ids": [begun.eos_token_id],
    }


@pytest.mark.parametrize("page", ["/v1/models", "/version"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_too_busy_to_say_what_it_is_is_asked_nothing(
    base_model: BaseModel, begun: Any, journal: WorkFolder, page: str, status: int
) -> None:
    with ChatServer(reading(begun)) as server:
        server.pages = {**VLLM, page: say(b"{}", status)}
        with pytest.raises(InputError, match="does not say what it is; run again when it answers"):
            ask_server_for_base(base_model, split("Why?"), PLAIN, served(server), journal)
        assert server.requests == []


def test_a_server_with_a_version_and_a_broken_list_of_models_may_be_vllm(
    base_model: BaseModel, begun: Any, journal: WorkFolder
) -> None:
    with ChatServer(reading(begun)) as server:
        server.pages = {**VLLM, "/v1/models": say(b"Internal Server Error", 500)}
        with pytest.raises(InputError, match="gives its version and no list of models"):
            ask_server_for_base(base_model, split("Why?"), PLAIN, served(server), journal)
        assert server.requests == []


def test_transformers_serve_without_a_hub_cache_gets_text(
    base_model: BaseModel, begun: Any, journal: WorkFolder
) -> None:
    with ChatServer(reading(begun)) as server:
        server.pages = {"/v1/models": say(b"Internal Server Error", 500, Content_Type="text/plain; charset=utf-8")}
        ask_server_for_base(base_model, split("Why?"), PLAIN, served(server), journal)
        assert isinstance(server.requests[0]["prompt"], str)


@pytest.mark.parametrize("count", [-1, 1, None])
def test_a_server_that_reads_other_tokens_is_refused(
    base_model: BaseModel, begun: Any, journal: WorkFolder, count: int | None
) -> None:
    def miscount(handler: ChatHandler) -> None:
        tokens = len(begun(handler.asked["prompt"])["input_ids"])
        handler.reply(text_completion("fine", 0 if count is None else tokens + count))

    with ChatServer(miscount) as server:
        with pytest.raises(InputError, match=r"has read a prompt as \d+ tokens"):
            ask_server_for_base(base_model, split(*QUESTIONS), PLAIN, served(server, concurrency=1), journal)
        assert len(server.requests) == 1


@pytest.mark.parametrize("question", ["Is <eos> a token?", "gout " * 200])
def test_a_question_that_text_cannot_carry_is_refused(
    base_model: BaseModel, begun: Any, journal: WorkFolder, question: str
) -> None:
    with ChatServer(reading(begun)) as server:
        with pytest.raises(InputError, match=r"cannot be sent to .* as text") as caught:
            ask_server_for_base(base_model, split(question), PLAIN, served(server), journal)
        assert server.requests == []
    assert "gout" not in str(caught.value)


def test_a_cut_and_an_empty_answer_are_answers(base_model: BaseModel, begun: Any, journal: WorkFolder) -> None:
    with ChatServer(reading(begun, finish_reason="length"), reading(begun, " \n")) as server:
        answers = ask_server_for_base(base_model, split(*QUESTIONS[:2]), PLAIN, served(server, concurrency=1), journal)
    assert list(answers["finish_reason"]) == ["length", "eos"]
    assert list(answers["empty"]) == [False, True]
    assert list(answers["answer"])[1] == ""


@pytest.mark.parametrize("models", [{"data": 5}, {"data": ["base"]}, [], {"data": [{"owned_by": "somebody"}]}])
def test_a_server_that_is_not_vllm_gets_text(
    base_model: BaseModel, begun: Any, journal: WorkFolder, models: Any
) -> None:
    with ChatServer(reading(begun)) as server:
        server.pages = {"/v1/models": models, "/version": {"version": 7}}
        answers = ask_server_for_base(base_model, split("Why?"), PLAIN, served(server), journal)
        assert isinstance(server.requests[0]["prompt"], str)
    assert list(answers["engine"]) == [f"openai {MODEL}"]


@pytest.mark.parametrize(
    ("decoding", "words"),
    [
        ({"repetition_penalty": 1.2}, "repetition_penalty counts the answer's tokens alone"),
        ({"temperature": 2.5}, "above 2.0"),
        ({"temperature": 0.5}, "not known to sample as asked"),
        ({"max_new_tokens": 128}, "leaves no room for the question"),
    ],
)
def test_what_a_server_cannot_do_is_refused(
    base_model: BaseModel, begun: Any, journal: WorkFolder, decoding: dict[str, Any], words: str
) -> None:
    with ChatServer(reading(begun)) as server:
        with pytest.raises(InputError, match=words):
            ask_server_for_base(base_model, split("Why?"), PLAIN, served(server, decoding), journal)
        assert server.requests == []
