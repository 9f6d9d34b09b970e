"""The server that writes pairs by rule: what it writes passes the checks of question generation."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from med_lora.llm.answers import Completion, parse_answer
from med_lora.llm.client import ChatClient
from med_lora.pipelines.question_generation.grounding import find_fault
from med_lora.pipelines.question_generation.prompts import GeneratedPairs, ask_for_pairs
from med_lora.rehearsal.question_server import serve_questions, write_pairs
from tests.llm.server import SAMPLING, endpoint

PASSAGE = """# Sprains

A sprain is an injury of a ligament, and most sprains heal within 6 weeks. Rest and ice ease the first days.

The text above says little. Walking early shortens the time away from work for most people with a sprained ankle."""


@pytest.mark.parametrize("length", ["long", "short"])
def test_pairs_rest_on_the_passage(length: str) -> None:
    pairs = write_pairs(PASSAGE, 3, length, 5)
    assert pairs
    for pair in pairs:
        assert find_fault(pair["question"], pair["answer"], pair["evidence"], PASSAGE, 5) == ""
    if length == "short":
        assert all(len(pair["answer"].split()) <= 20 for pair in pairs)


def test_no_more_pairs_than_asked_for_and_none_from_headings() -> None:
    assert len(write_pairs(PASSAGE, 1, "long", 5)) == 1
    assert write_pairs("# A heading of five words here", 2, "long", 3) == []


def test_served_answers_are_read_as_pairs_whatever_the_port() -> None:
    request = ask_for_pairs(PASSAGE, "long", 2, 5)
    answers = []
    with serve_questions() as first, serve_questions() as second:
        assert first != second
        for base_url in (first, second):
            client = ChatClient(endpoint(base_url), SAMPLING)
            answer = client.answer(request)
            client.close()
            assert isinstance(answer, Completion)
            answers.append(answer)
    assert answers[0] == answers[1]
    parsed = parse_answer(answers[0], GeneratedPairs)
    assert isinstance(parsed, GeneratedPairs)
    assert [pair.model_dump() for pair in parsed.pairs] == write_pairs(PASSAGE, 2, "long", 5)


def test_port_is_free_again_afterwards() -> None:
    with serve_questions() as address:
        port = urlsplit(address).port
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))  # raises where it is listened on
