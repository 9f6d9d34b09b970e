"""Pairs that a language model writes from a user's documents, asked over HTTP on this machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.experiments import PARTS, corpus, end_sentence, outcomes, pair, read_split, run_experiment, write_experiment
from tests.kedro_server import KedroServer
from tests.llm.server import ChatHandler, ChatServer, answer
from tests.projects import artifacts, copy_project, network_attempts, newest, run_environment

KEY = "sk-own-secret-0123456789abcdef"
CHAPTERS = 9
PASSAGES = 2 * CHAPTERS
BEFORE_KILL = 5
INVENTED = "the moon governs every joint of the body"


class Writer:
    """Answers each passage with one pair that rests on it and, for the knee, one that does not.

    After ``BEFORE_KILL`` answers it keeps every further request waiting until ``released``.
    """

    def __init__(self) -> None:
        self.released, self.is_held = threading.Event(), threading.Event()
        self._guard = threading.Lock()
        self._asked = 0

    def __call__(self, handler: ChatHandler) -> None:
        with self._guard:
            self._asked += 1
            is_late = self._asked > BEFORE_KILL
        if is_late and not self.released.is_set():
            self.is_held.set()
            self.released.wait(60)
        passage = passage_of(handler.asked)
        sentence = passage.splitlines()[-1]  # below the heading
        number = next(n for n in range(PASSAGES) if pair(n)[1] in passage)
        pairs = [{"question": pair(number)[0], "answer": sentence, "evidence": sentence}]
        if PARTS[number % len(PARTS)] == "knee":
            pairs.append({"question": "What governs a joint?", "answer": INVENTED, "evidence": INVENTED})
        answer(json.dumps({"pairs": pairs}))(handler)


def passage_of(asked: dict[str, Any]) -> str:
    match = re.search(r"<(passage-\w+)>\n(.*)\n</\1>", asked["messages"][1]["content"], re.DOTALL)
    assert match
    return match[2]


def write_documents(folder: Path) -> None:
    """Two books; each chapter is two passages of one sentence."""
    for chapter in range(CHAPTERS):
        book = folder / ("one" if chapter % 2 else "two")
        book.mkdir(parents=True, exist_ok=True)
        first, second = pair(2 * chapter)[1], pair(2 * chapter + 1)[1]
        (book / f"{chapter:02d}.md").write_text(
            f"# Chapter of {PARTS[chapter]}\n\n{first}\n\n# Second half\n\n{second}\n"
        )


def generation(base_url: str) -> dict[str, Any]:
    endpoint = {"base_url": base_url, "model": "medical-writer", "api_key_variable": "WRITER_KEY"}
    return {
        "endpoint": endpoint | {"deadline_s": 60, "retries": 0, "concurrency": 1},
        "sampling": {"temperature": 0, "seed": 1, "max_tokens": 200},
        "answers": ["short"],
        "pairs_per_passage": 1,
        "max_passages": None,
        "min_evidence_words": 5,
    }


class Ran:
    """A run that was killed in the middle of its requests, and the run after it."""

    def __init__(self, project: Path, start: KedroServer):
        self.project = project
        self.writer = Writer()
        with ChatServer(self.writer) as server:
            write_experiment(
                project,
                "written",
                {"books": corpus("documents", "books")},
                passages={"tokens": 48, "overlap": 0},
                question_generation=generation(server.base_url),
                split={"validation": 2, "test": 4},
            )
            self.killed = self._kill_in_the_middle()
            self.left_by_kill = artifacts(project)
            self.asked_before = [passage_of(request) for request in server.requests]
            self.writer.released.set()
            self.result = run_experiment(project, "written", start, WRITER_KEY=KEY)
            self.asked_after = [passage_of(request) for request in server.requests[len(self.asked_before) :]]
            self.headers = server.headers
        assert self.result.returncode == 0, self.result.stderr[-3000:]

    def _kill_in_the_middle(self) -> int:
        command = [sys.executable, "-m", "kedro", "run", "--pipelines=data_engineering", "--params=experiment=written"]
        variables = {"MED_LORA_RAW": str(self.project / "raw"), "WRITER_KEY": KEY}
        with (self.project / "killed.log").open("w") as log:
            run = subprocess.Popen(
                command, cwd=self.project, env=run_environment(self.project, **variables), stdout=log, stderr=log
            )
            try:
                assert self.writer.is_held.wait(60), (self.project / "killed.log").read_text()[-3000:]
            finally:
                run.kill()
            return run.wait()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, forked_kedro: KedroServer) -> Ran:
    project = copy_project(tmp_path_factory.mktemp("written"))
    write_documents(project / "raw" / "books")
    return Ran(project, forked_kedro)


def test_killed_run_publishes_nothing_and_the_next_asks_only_the_rest(ran: Ran) -> None:
    assert ran.killed == -9
    assert not [path for path in ran.left_by_kill if {"05_model_input", "cleaned_generated"} & set(path.parts)]
    assert len(ran.asked_before) == BEFORE_KILL + 1
    assert len(ran.asked_after) == PASSAGES - BEFORE_KILL
    answered = ran.asked_before[:BEFORE_KILL]
    assert len(set(answered) | set(ran.asked_after)) == PASSAGES
    assert not set(answered) & set(ran.asked_after)
    report = newest(ran.project, "08_reporting/written/generation_report.json") / "generation_report.json"
    counts = json.loads(report.read_text())
    assert [counts["calls_from_cache"], counts["calls_made"]] == [BEFORE_KILL, PASSAGES - BEFORE_KILL]


def test_grounded_pairs_reach_the_splits_with_chapters_on_one_side(ran: Ran) -> None:
    sizes = {}
    sides: dict[str, set[str]] = {}
    found: dict[str, str] = {}
    for split in ("train", "validation", "test"):
        table = read_split(ran.project, "written", split)
        sizes[split] = len(table)
        assert set(table["corpus"]) == {"generated"}
        for document in table["document"]:
            sides.setdefault(document, set()).add(split)
        found |= dict(zip(table["question"], table["answer"], strict=True))
    assert sizes == {"train": 12, "validation": 2, "test": 4}
    assert set(sides) == {f"{'one' if n % 2 else 'two'}/{n:02d}" for n in range(CHAPTERS)}
    assert all(len(splits) == 1 for splits in sides.values())
    assert found == dict(pair(number) for number in range(PASSAGES))


def test_ungrounded_pairs_are_rejected_with_their_reason(ran: Ran) -> None:
    invented = len([number for number in range(PASSAGES) if PARTS[number % len(PARTS)] == "knee"])
    assert invented == 2
    expected = {"kept": PASSAGES, "ungrounded": invented, "rows_read": PASSAGES + invented}
    assert outcomes(ran.project, "written")["generated"] == expected
    rejected = pd.read_parquet(newest(ran.project, "03_primary/written/rejected_pairs"))
    assert set(rejected["stage"]) == {"read"}


def test_key_is_sent_and_stands_nowhere_else(ran: Ran) -> None:
    assert {headers["authorization"] for headers in ran.headers} == {f"Bearer {KEY}"}
    files = [path for path in ran.project.rglob("*") if path.is_file()]
    assert len(files) > 50
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in ran.result.stdout + ran.result.stderr


def test_log_holds_no_text_and_only_this_machine_is_asked(ran: Ran) -> None:
    log = " ".join((ran.result.stdout + ran.result.stderr + (ran.project / "killed.log").read_text()).split())
    assert not [number for number in range(PASSAGES) if pair(number)[0] in log or pair(number)[1] in log]
    assert INVENTED not in log
    assert network_attempts(ran.project) == ""


def test_remote_server_is_refused_before_anything_is_read(tmp_path: Path, forked_kedro: KedroServer) -> None:
    project = copy_project(tmp_path)
    write_experiment(
        project,
        "remote",
        {"books": corpus("documents", "nowhere")},
        question_generation=generation("https://writer.example.org/v1"),
    )
    sentence = end_sentence(run_experiment(project, "remote", forked_kedro, WRITER_KEY=KEY))
    assert "base_url is another machine" in sentence
    assert "send_text_to_remote_endpoint" in sentence
    assert "\n" not in sentence
    assert KEY not in sentence
    assert network_attempts(project) == ""
    assert artifacts(project) == set()
