"""A server on this machine that writes question-answer pairs from a passage by rule, in OpenAI's protocol.

A stand-in of random weights writes none. The pairs rest on the passage word for word, so that they pass its checks.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from med_lora.pipelines.question_generation.grounding import refers_to_passage, tokens
from med_lora.sentences import SENTENCE_END

# Tried first, so that two rehearsals on one machine have the same address in their records.
PORT = 18_421
_PASSAGE = re.compile(r"<(passage-\w+)>\n(.*)\n</\1>", re.DOTALL)
_TASK = re.compile(r"\bWrite (\d+) pairs\b.*?\b(paragraph|phrase)\b", re.DOTALL)
_EVIDENCE = re.compile(r"at least (\d+) words")
_SHORT_WORDS = 20  # of a short answer, as it is asked for


@contextmanager
def serve_questions() -> Iterator[str]:
    """Serve on a loopback port until the block ends; gives the base URL."""
    try:
        server = _Server(("127.0.0.1", PORT), _Handler)
    except OSError:  # another rehearsal is under way
        server = _Server(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write_pairs(passage: str, count: int, length: str, min_evidence_words: int) -> list[dict[str, str]]:
    """Question, answer and evidence from sentences of a passage.

    Args:
        passage: its text.
        count: pairs at most; fewer where the passage has fewer sentences that can be asked about.
        length: ``short`` answers are one sentence of at most 20 words, ``long`` ones two sentences where they follow.
        min_evidence_words: shortest sentence that serves as evidence.
    """
    sentences = _sentences(passage)
    fit = [
        number
        for number, sentence in enumerate(sentences)
        if min_evidence_words <= len(tokens(sentence)) <= (_SHORT_WORDS if length == "short" else 60)
        and not refers_to_passage(sentence)
    ]
    # long answers take every other sentence from the beginning, short ones from the end, so that fewer say the same
    chosen = fit[::2] if length == "long" else fit[::-1]
    pairs = []
    for number in chosen[:count]:
        evidence = sentences[number]
        following = sentences[number + 1] if length == "long" and number + 1 < len(sentences) else ""
        usable = following and not refers_to_passage(following)
        answer = f"{evidence} {following}" if usable else evidence
        pairs.append({"question": _ask_about(evidence), "answer": answer, "evidence": evidence})
    return pairs


def _sentences(passage: str) -> list[str]:
    blocks = [block for block in re.split(r"\n\s*\n|\n(?=#)", passage) if not block.lstrip().startswith(("#", "|"))]
    found = []
    for block in blocks:
        text = " ".join(block.split())
        ends = [match.end() for match in re.finditer(SENTENCE_END, text)]
        found += [text[start:end].strip() for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    return [sentence for sentence in found if sentence]


def _ask_about(sentence: str) -> str:
    words = dict.fromkeys(word.lower() for word in re.findall(r"[^\W\d_]{4,}", sentence))
    longest = sorted(words, key=lambda word: (-len(word), word))[:4]
    return f"What should be known about {', '.join(word for word in words if word in longest)}?"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        rules, task = (message["content"] for message in asked["messages"][:2])
        passage = _PASSAGE.search(task)
        wanted, evidence = _TASK.search(task), _EVIDENCE.search(rules)
        if not (passage and wanted and evidence):
            self._reply(400, {"error": {"message": "this server writes question-answer pairs from a passage alone"}})
            return
        length = "long" if wanted[2] == "paragraph" else "short"
        content = json.dumps({"pairs": write_pairs(passage[2], int(wanted[1]), length, int(evidence[1]))})
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        counts = [len(text.split()) for text in (rules + task, content)]
        usage = dict(zip(("prompt_tokens", "completion_tokens", "total_tokens"), [*counts, sum(counts)], strict=True))
        reply = {"id": "rehearsal", "object": "chat.completion", "created": 0, "model": asked["model"]}
        self._reply(200, {**reply, "choices": [choice], "usage": usage})

    def log_message(self, *_: Any) -> None:
        """Say nothing: a log line would stand in the middle of the run's."""

    def _reply(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
