"""What models have answered so far, kept call by call, so that no answer is paid for twice."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from med_lora.errors import InputError
from med_lora.llm.answers import Answerer, Completion, Request

KEY_FORMAT = 1  # to be raised when what enters a key changes


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    key: str
    origin: str
    completion: Completion


def call_key(answerer: Answerer, request: Request) -> str:
    """SHA-256 over all that decides an answer: model, settings, messages, schema with its version, repeat.

    Where the model runs does not count: a server that moves to another port is not paid again. A server that puts
    another model behind the same name needs another name in conf, or an empty cache.
    """
    schema = None if request.schema is None else [request.schema.name, request.schema.version]
    parts = [KEY_FORMAT, answerer.model, answerer.settings, list(request.messages), schema, request.repeat]
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class CallCache:
    """An append-only JSONL file, one line a completion; it holds text of records and stays on this machine.

    Failed calls are not kept, so that a later run asks again; completions that turn out useless (cut, malformed) are,
    since they were paid for. A kill leaves at most one unfinished line, which reading skips and writing cuts off.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.Lock()
        self._completions: dict[str, Completion] = {}
        self._descriptor: int | None = None

    def __len__(self) -> int:
        return len(self._completions)

    @contextmanager
    def opened(self) -> Iterator[CallCache]:
        """Read the file and keep other processes away from it until the block ends.

        Raises:
            InputError: if another run uses the file, a line is damaged, or the file cannot be written.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(f"{self.path}.lock", timeout=0)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise InputError(
                f"{self.path} is in use by another run; wait for its end, or give this run a cache of its own in the "
                "catalog."
            ) from error
        except OSError as error:
            raise self._unusable("opened", error) from error
        try:
            self._open()
            yield self
        finally:
            self._close()
            lock.release()

    def get(self, key: str) -> Completion | None:
        """The completion kept under ``key``, or None."""
        return self._completions.get(key)

    def append(self, key: str, origin: str, completion: Completion) -> None:
        """Keep a completion; once this returns, a kill or a power cut does not lose it.

        Raises:
            InputError: if the disk is full or the file cannot be written.
        """
        line = _Line(key=key, origin=origin, completion=completion).model_dump_json(ensure_ascii=True) + "\n"
        with self._lock:
            assert self._descriptor is not None
            try:
                self._write(line.encode())
            except OSError as error:
                raise self._unusable("written", error) from error
            self._completions[key] = completion

    def _write(self, line: bytes) -> None:
        assert self._descriptor is not None
        start = os.lseek(self._descriptor, 0, os.SEEK_END)
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except OSError:
            os.ftruncate(self._descriptor, start)  # half a line in the middle would damage the file
            raise
        os.fsync(self._descriptor)

    def _open(self) -> None:
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unusable("opened", error) from error
        self._descriptor = descriptor
        end = self._read()
        os.ftruncate(descriptor, end)

    def _read(self) -> int:
        """Fill the table; returns the offset behind the last whole line."""
        self._completions = {}
        end = 0
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                try:
                    entry = _Line.model_validate_json(line)
                except ValidationError as error:
                    raise InputError(
                        f"{self.path}, line {number} is damaged; delete that line (its call is then asked again)."
                    ) from error
                self._completions.setdefault(entry.key, entry.completion)
        return end

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _unusable(self, what: str, error: OSError) -> InputError:
        return InputError(
            f"{self.path} cannot be {what} ({error.strerror}); check folder, rights and the space left, and run again."
        )
