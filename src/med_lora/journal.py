"""What a long node has done so far, kept line by line, so that a run that was cut off goes on from there."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from med_lora.errors import InputError

Entry = TypeVar("Entry", bound=BaseModel)


class Journal(Generic[Entry]):
    """An append-only JSONL file of one run at a time; it may hold text of records, so only its owner may read it.

    A kill leaves at most one unfinished line, which reading skips and opening cuts off.

    Attributes:
        path: the file; beside it lies its lock.
    """

    def __init__(self, path: Path, entry: type[Entry]) -> None:
        """Name the file; ``entry`` is what each line is parsed and written by."""
        self.path = path
        self._entry = entry
        self._lock = threading.Lock()
        self._descriptor: int | None = None

    @contextmanager
    def opened(self) -> Iterator[list[Entry]]:
        """The entries so far; other processes are kept away, and :meth:`append` works, until the block ends.

        Raises:
            InputError: if another run uses the file, a line is damaged, or the file cannot be written.
        """
        with self._locked():
            try:
                self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise self._unusable("opened", error) from error
            try:
                entries, end = self._read()
                os.ftruncate(self._descriptor, end)
                yield entries
            finally:
                os.close(self._descriptor)
                self._descriptor = None

    def append(self, entry: Entry) -> None:
        """Keep an entry; once this returns, a kill or a power cut does not lose it. Threads may share the journal.

        Raises:
            InputError: if the disk is full or the file cannot be written.
        """
        line = entry.model_dump_json(ensure_ascii=True) + "\n"
        with self._lock:
            try:
                self._write(line.encode())
            except OSError as error:
                raise self._unusable("written", error) from error

    def discard(self) -> None:
        """Delete the file, if there is one.

        Raises:
            InputError: if another run uses it.
        """
        if self.path.is_file():
            with self._locked():
                self.path.unlink(missing_ok=True)  # another run may have ended in between
                # While it is held: later it may be that of a run which has begun since. Who has opened it before does
                # not get it either way: FileLock refuses a file that has lost its name.
                self._lock_file.unlink(missing_ok=True)

    @property
    def _lock_file(self) -> Path:
        return self.path.with_name(self.path.name + ".lock")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        lock = FileLock(self._lock_file, timeout=0)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise InputError(
                f"{self.path} is in use by another run; wait for its end, or give this run a path of its own in the "
                "catalog."
            ) from error
        except OSError as error:
            raise self._unusable("opened", error) from error
        try:
            yield
        finally:
            lock.release()

    def _write(self, line: bytes) -> None:
        assert self._descriptor is not None
        start = os.lseek(self._descriptor, 0, os.SEEK_END)
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, start)  # half a line in the middle would damage the file
            raise

    def _read(self) -> tuple[list[Entry], int]:
        """The entries, and the offset behind the last whole line."""
        entries: list[Entry] = []
        end = 0
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                try:
                    entries.append(self._entry.model_validate_json(line))
                except ValidationError:
                    # without the cause, which quotes what may be text of a record
                    raise InputError(
                        f"{self.path}, line {number} is damaged; delete that line (what it held is done again)."
                    ) from None
        return entries, end

    def _unusable(self, what: str, error: OSError) -> InputError:
        return InputError(
            f"{self.path} cannot be {what} ({error.strerror}); check folder, rights and the space left, and run again."
        )
