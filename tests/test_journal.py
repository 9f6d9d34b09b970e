"""What is appended survives; what is torn, damaged, locked or unwritable is one sentence."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import filelock
import pytest
from pydantic import BaseModel, ConfigDict

from med_lora.errors import InputError
from med_lora.journal import Journal


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    number: int
    text: str = "swollen – knee"


@pytest.fixture
def journal(tmp_path: Path) -> Journal[Note]:
    return Journal(tmp_path / "deep" / "notes.jsonl", Note)


def write(journal: Journal[Note], *numbers: int) -> None:
    with journal.opened():
        for number in numbers:
            journal.append(Note(number=number))


def read(journal: Journal[Note]) -> list[int]:
    with journal.opened() as entries:
        return [entry.number for entry in entries]


def test_entries_come_back_in_order_and_later_runs_add_to_them(journal: Journal[Note]) -> None:
    assert read(journal) == []
    write(journal, 3, 1)
    write(journal, 2)
    with journal.opened() as entries:
        assert entries == [Note(number=number) for number in (3, 1, 2)]


def test_an_entry_is_on_the_disk_once_append_returns(journal: Journal[Note], monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    sync = os.fsync

    def count(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", count)
    with journal.opened():
        for number in (1, 2):
            journal.append(Note(number=number))
            assert synced[-1] == len(journal.path.read_bytes())
    assert len(synced) == 2


@pytest.mark.parametrize("left", [0, 1, 12, -2, -1])
def test_an_unfinished_last_line_is_cut_off(journal: Journal[Note], left: int) -> None:
    write(journal, 1, 2)
    whole = journal.path.read_bytes()
    first, second = whole.splitlines(keepends=True)
    journal.path.write_bytes(first + second[:left])
    assert read(journal) == [1]
    write(journal, 2)
    assert journal.path.read_bytes() == whole


@pytest.mark.parametrize("damage", [b"\0" * 30, b"{}", b'{"number": "1"}', b"\xff", b""])
def test_a_damaged_line_is_named_and_not_quoted(journal: Journal[Note], damage: bytes) -> None:
    write(journal, 1, 2)
    first, second = journal.path.read_bytes().splitlines(keepends=True)
    damaged = first + damage + b"\n" + second
    journal.path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"notes\.jsonl, line 2 is damaged; delete that line") as caught:
        read(journal)
    assert "knee" not in str(caught.value)
    assert caught.value.__suppress_context__  # the validator's error would quote the line
    assert journal.path.read_bytes() == damaged


def test_two_runs_do_not_share_a_journal(journal: Journal[Note]) -> None:
    other = Journal(journal.path, Note)
    with journal.opened():
        with pytest.raises(InputError, match=r"notes\.jsonl is in use by another run"), other.opened():
            pass
        with pytest.raises(InputError, match="in use by another run"):
            other.discard()
        journal.append(Note(number=1))
    assert read(other) == [1]


def test_the_lock_of_a_killed_process_is_free(journal: Journal[Note], root: Path) -> None:
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(root)!r})
from pathlib import Path
from med_lora.journal import Journal
from tests.test_journal import Note
journal = Journal(Path({str(journal.path)!r}), Note)
with journal.opened():
    journal.append(Note(number=1))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert read(journal) == [1]


def test_only_the_owner_may_read_it(journal: Journal[Note]) -> None:
    write(journal, 1)
    assert journal.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_is_one_sentence_and_costs_no_other_entry(
    journal: Journal[Note], call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    written: list[int] = []

    def fail(descriptor: int, data: bytes = b"") -> int:
        if call == "write" and not written:
            written.append(real(descriptor, data[:10]))
            return 10
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write(journal, 1)
    with journal.opened(), monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(InputError, match=r"notes\.jsonl cannot be written \(No space left"):
            journal.append(Note(number=2))
    assert read(journal) == [1]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be opened \(.+\); check folder"):
        read(Journal(tmp_path / "file" / "notes.jsonl", Note))


def test_threads_do_not_mix_their_lines(journal: Journal[Note]) -> None:
    with journal.opened():
        parts = [range(start, start + 20) for start in (0, 20, 40)]
        threads = [
            threading.Thread(target=lambda part=part: [journal.append(Note(number=number)) for number in part])
            for part in parts
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(read(journal)) == list(range(60))


def test_a_discarded_journal_leaves_nothing(journal: Journal[Note]) -> None:
    journal.discard()
    write(journal, 1)
    journal.discard()
    assert list(journal.path.parent.iterdir()) == []


def test_two_runs_that_end_together_may_both_discard(journal: Journal[Note], monkeypatch: pytest.MonkeyPatch) -> None:
    write(journal, 1)
    acquire = filelock.FileLock.acquire

    def let_the_other_go_first(lock: Any, *given: Any, **named: Any) -> Any:
        monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
        Journal(journal.path, Note).discard()
        return acquire(lock, *given, **named)

    monkeypatch.setattr(filelock.FileLock, "acquire", let_the_other_go_first)
    journal.discard()
    assert list(journal.path.parent.iterdir()) == []


def test_discarding_leaves_the_lock_of_a_run_that_has_begun_since(
    journal: Journal[Note], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(journal, 1)
    release = filelock.FileLock.release
    with ExitStack() as begun:

        def begin_at_once(lock: Any, *given: Any, **named: Any) -> None:
            release(lock, *given, **named)
            monkeypatch.setattr(filelock.FileLock, "release", release)
            begun.enter_context(Journal(journal.path, Note).opened())

        monkeypatch.setattr(filelock.FileLock, "release", begin_at_once)
        journal.discard()
        with pytest.raises(InputError, match="in use by another run"):
            read(journal)


def test_a_lock_file_that_was_deleted_before_it_was_locked_locks_nothing(
    journal: Journal[Note], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(journal, 1)
    lock = fcntl.flock

    def lock_late(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        Journal(journal.path, Note).discard()  # of a run that ends after this one has opened the file
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    with pytest.raises(InputError, match="in use by another run"):
        read(journal)
    assert read(journal) == []
