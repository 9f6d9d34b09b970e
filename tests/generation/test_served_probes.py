"""A server is asked the fixed questions as it is asked those of the test."""

from __future__ import annotations

from typing import Any

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.work_folder import WorkFolder
from med_lora.pipelines.evaluation.answers.server import ask_server_for_base
from med_lora.pipelines.evaluation.probes import list_probes
from tests.generation.served import PLAIN, QUESTIONS, reading, served, split
from tests.llm.server import ChatServer


def test_a_question_without_a_reference_is_sent_the_same(
    base_model: BaseModel, begun: Any, journal: WorkFolder
) -> None:
    probes = list_probes([{"name": f"probe {place}", "question": text} for place, text in enumerate(QUESTIONS)])
    with ChatServer(reading(begun)) as server:
        ask = served(server, concurrency=1)
        of_probes = ask_server_for_base(base_model, probes, PLAIN, ask, journal)
        (journal.path / "server_calls.jsonl").unlink()
        of_test = ask_server_for_base(base_model, split(*QUESTIONS), PLAIN, ask, journal)
        assert server.requests[: len(QUESTIONS)] == server.requests[len(QUESTIONS) :]
    assert of_probes["id"].tolist() == [f"probe {place}" for place in range(len(QUESTIONS))]
    assert of_probes.drop(columns="id").equals(of_test.drop(columns="id"))
