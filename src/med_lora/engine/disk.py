"""A full disk, told in one sentence by whatever writes weights or checkpoints."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from med_lora.errors import InputError

PROBE_PREFIX = ".tmp-"
_PROBE_BYTES = 2**20
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def told_if_full(folder: Path, lost: str) -> Iterator[None]:
    """Around whatever writes into ``folder``, and nothing else: other errors pass as they are.

    Args:
        folder: an existing one on the disk that is written to.
        lost: what could not be saved and what to do, the sentence's end.

    Raises:
        InputError: if the disk is full.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, InputError) or not _is_disk_full(error, folder):
            raise
        raise InputError(f"The disk is full: {lost}.") from error


def _is_disk_full(error: Exception, folder: Path) -> bool:
    """Whether ``error`` comes from a full disk; safetensors says so in its text, and torch.save nowhere."""
    if getattr(error, "errno", None) in _FULL or os.strerror(errno.ENOSPC) in str(error):
        return True
    if not isinstance(error, RuntimeError):
        return False
    probe = folder / f"{PROBE_PREFIX}{os.getpid()}"
    try:
        with probe.open("wb") as stream:
            stream.write(bytes(_PROBE_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as failure:
        return failure.errno in _FULL
    finally:
        probe.unlink(missing_ok=True)
    return False
