"""What models have answered so far, kept call by call, so that no answer is paid for twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from med_lora.journal import Journal
from med_lora.llm.answers import Answerer, Completion, Request

KEY_FORMAT = 1  # to be raised when what enters a key changes


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    key: str
    origin: str
    completion: Completion


def call_key(answerer: Answerer, request: Request) -> str:
    """SHA-256 over all that decides an answer: model, settings, messages, schema with its version, repeat, options.

    Where the model runs does not count: a server that moves to another port is not paid again. A server that puts
    another model behind the same name needs another name in conf, or an empty cache.
    """
    schema = None if request.schema is None else [request.schema.name, request.schema.version]
    parts = [KEY_FORMAT, answerer.model, answerer.settings, list(request.messages), schema, request.repeat]
    if request.options:  # a part of its own only where there are any: older keys stay what they were
        parts.append(list(request.options))
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class CallCache:
    """A journal of completions by key, one line each; it holds text of records and stays on this machine.

    Failed calls are not kept, so that a later run asks again; completions that turn out useless (cut, malformed) are,
    since they were paid for.
    """

    def __init__(self, path: Path):
        self.path = path
        self._journal = Journal(path, _Line)
        self._completions: dict[str, Completion] = {}

    def __len__(self) -> int:
        return len(self._completions)

    @contextmanager
    def opened(self) -> Iterator[CallCache]:
        """Read the file and keep other processes away from it until the block ends.

        Raises:
            InputError: if another run uses the file, a line is damaged, or the file cannot be written.
        """
        with self._journal.opened() as lines:
            self._completions = {}
            for line in lines:
                self._completions.setdefault(line.key, line.completion)
            yield self

    def get(self, key: str) -> Completion | None:
        """The completion kept under ``key``, or None."""
        return self._completions.get(key)

    def append(self, key: str, origin: str, completion: Completion) -> None:
        """Keep a completion; once this returns, a kill or a power cut does not lose it.

        Raises:
            InputError: if the disk is full or the file cannot be written.
        """
        self._journal.append(_Line(key=key, origin=origin, completion=completion))
        self._completions[key] = completion
