"""Runs against a server that fails, stops or is asked for two arms; each fault has its sentence."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.datasets.work_folder import WorkFolder
from med_lora.errors import InputError
from med_lora.pipelines.evaluation.answers.server import ask_server_for_base, ask_server_for_tuned
from tests import recipes
from tests.generation.served import PLAIN, QUESTIONS, VLLM, reading, served, split
from tests.llm.server import MODEL, ChatHandler, ChatServer, Handler, endpoint, say


def test_unanswered_questions_end_the_node_and_keep_the_others(
    base_model: BaseModel, begun: Any, journal: WorkFolder
) -> None:
    fine = reading(begun)
    with ChatServer(fine, say(b"", 500), reading(begun, finish_reason="abort"), fine) as server:
        ask = served(server, concurrency=1)
        with pytest.raises(InputError) as caught:
            ask_server_for_base(base_model, split(*QUESTIONS), PLAIN, ask, journal)
        assert len(server.requests) == 5
    assert str(caught.value).startswith(f"2 of 5 questions have no answer from {MODEL} at {server.base_url} ")
    assert "(finish_reason: 1, server_error: 1)" in str(caught.value)
    assert "evaluation.endpoints.base" in str(caught.value)


def test_an_interrupted_run_asks_for_what_is_missing(base_model: BaseModel, begun: Any, journal: WorkFolder) -> None:
    fine = reading(begun)
    with ChatServer(fine, fine, say(b"", 500), fine) as server:
        ask = served(server, concurrency=1)
        with pytest.raises(InputError, match="server_error: 1"):
            ask_server_for_base(base_model, split(*QUESTIONS), PLAIN, ask, journal)
        ask_server_for_base(base_model, split(*QUESTIONS), PLAIN, ask, journal)
        assert len(server.requests) == 6
        assert server.requests[5] == server.requests[2]


def test_answers_that_are_all_kept_are_not_asked_again(base_model: BaseModel, begun: Any, journal: WorkFolder) -> None:
    with ChatServer(reading(begun)) as server:
        server.pages = VLLM
        first, again = (
            ask_server_for_base(base_model, split(*QUESTIONS), PLAIN, served(server), journal) for _ in range(2)
        )
        assert len(server.requests) == len(QUESTIONS)
    assert again.equals(first)
    assert set(again["engine"]) == {f"openai {MODEL} (vllm 0.32.0)"}
    with pytest.raises(InputError, match="No server answers"):  # nothing says whose answers the kept ones would be
        ask_server_for_base(base_model, split(*QUESTIONS), PLAIN, served(server), journal)


def test_answers_of_another_server_or_version_are_asked_anew(
    base_model: BaseModel, begun: Any, journal: WorkFolder
) -> None:
    versions = ("0.32.0", "0.33.0", "0.33.0", None, "0.32.0")
    engines = []
    with ChatServer(reading(begun)) as server:
        for version in versions:
            server.pages = {} if version is None else VLLM | {"/version": {"version": version}}
            engines += list(ask_server_for_base(base_model, split("Why?"), PLAIN, served(server), journal)["engine"])
        assert [isinstance(asked["prompt"], str) for asked in server.requests] == [False, False, True]
    names = [f"openai {MODEL}" + (f" (vllm {version})" if version else "") for version in versions]
    assert engines == names


def test_answers_of_an_adapter_trained_before_are_not_taken(
    base_model: BaseModel, begun: Any, journal: WorkFolder, tmp_path: Path
) -> None:
    with ChatServer(reading(begun)) as server:
        for sha256 in ("a", "a", "b"):
            adapter = PretrainedFolder(path=tmp_path, sha256=sha256)
            ask_server_for_tuned(base_model, split("Why?"), PLAIN, served(server), journal, adapter)
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (say(b"{}", 404), r"knows no such address or model .*'medical-writer'"),
        (say(b"{}", 401), "refuses the key"),
    ],
)
def test_a_wrong_name_or_key_is_one_sentence(
    base_model: BaseModel, journal: WorkFolder, script: Handler, words: str
) -> None:
    with ChatServer(script) as server, pytest.raises(InputError, match=words) as caught:
        ask_server_for_base(base_model, split("Why?"), PLAIN, served(server), journal)
    assert "\n" not in str(caught.value)


def test_another_models_answer_is_none(base_model: BaseModel, begun: Any, journal: WorkFolder) -> None:
    with (
        ChatServer(reading(begun, model="another")) as server,
        pytest.raises(InputError, match=r"1 of 1 .*\(other_model: 1\)"),
    ):
        ask_server_for_base(base_model, split("Why?"), PLAIN, served(server), journal)


def test_a_missing_key_is_named_before_anything_is_asked(
    base_model: BaseModel, begun: Any, journal: WorkFolder
) -> None:
    with ChatServer(reading(begun)) as server:
        with pytest.raises(InputError, match="environment variable MISSING_KEY"):
            ask_server_for_base(
                base_model, split("Why?"), PLAIN, served(server, api_key_variable="MISSING_KEY"), journal
            )
        assert server.requests == []


def test_two_arms_never_have_requests_under_way_together(base_model: BaseModel, begun: Any, tmp_path: Path) -> None:
    guard, under_way, mixed = threading.Lock(), list[str](), list[bool]()

    def watch(handler: ChatHandler) -> None:
        name = handler.asked["model"]
        with guard:
            under_way.append(name)
            mixed.append(len(set(under_way)) > 1)
        time.sleep(0.02)
        with guard:
            under_way.remove(name)
        reading(begun, model=name)(handler)

    with ChatServer(watch) as server:
        arms = {arm: endpoint(server.base_url, model=arm, retries=0) for arm in ("base", "tuned")}
        asked = recipes.evaluation(engine="openai", endpoints=arms)
        folders = {arm: WorkFolder(tmp_path / arm) for arm in arms}
        threads = [
            threading.Thread(target=ask, args=(base_model, split(*QUESTIONS), PLAIN, asked, folders[arm]))
            for arm, ask in (("base", ask_server_for_base), ("tuned", ask_server_for_tuned))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(mixed) == 10
    assert not any(mixed)


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from med_lora.datasets.base_model import BaseModelDataset
from med_lora.datasets.work_folder import WorkFolder
from med_lora.pipelines.evaluation.answers.server import ask_server_for_base
from tests.generation import served as t
class Server:
    base_url = sys.argv[1]
model = BaseModelDataset(id=sys.argv[2]).load()
journal = WorkFolder(Path(sys.argv[3]))
ask_server_for_base(model, t.split(*t.QUESTIONS), t.PLAIN, t.served(Server, concurrency=2), journal)
"""


def test_a_killed_run_goes_on_with_equal_answers(
    base_model: BaseModel, begun: Any, journal: WorkFolder, root: Path, tmp_path: Path
) -> None:
    stalled, killed = threading.Event(), threading.Event()
    count = reading(begun)

    def stall(handler: ChatHandler) -> None:
        if len(handler.server.requests) > 3:
            stalled.set()
            killed.wait(60)
        count(handler)

    with ChatServer(stall) as server:
        program = [sys.executable, "-c", SCRIPT.format(root=str(root)), server.base_url, base_model.source]
        run = subprocess.Popen([*program, str(journal.path)], stderr=subprocess.DEVNULL)
        assert stalled.wait(60)
        run.send_signal(signal.SIGKILL)
        assert run.wait(60) != 0
        killed.set()
        kept = len((journal.path / "server_calls.jsonl").read_bytes().splitlines())
        before = len(server.requests)
        ask = served(server, concurrency=2)
        resumed = ask_server_for_base(base_model, split(*QUESTIONS), PLAIN, ask, journal)
        assert 2 <= kept <= 3
        assert len(server.requests) - before == 5 - kept
        whole = ask_server_for_base(base_model, split(*QUESTIONS), PLAIN, ask, WorkFolder(tmp_path / "other"))
    assert resumed.equals(whole)
