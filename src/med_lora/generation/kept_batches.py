"""The batches of answers that a run has finished, kept in a journal for the run that goes on from there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from med_lora.errors import InputError
from med_lora.journal import Journal


class Batch(BaseModel):
    """A finished batch.

    Attributes:
        number: its place in the order in which batches are generated, from 0.
        tokens: of each row what it answered, without the token that ended it.
        ended: of each row whether such a token came.
        seconds: of wall time.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    number: int
    tokens: list[list[int]]
    ended: list[bool]
    seconds: float


class KeptBatches:
    """A journal with one line a batch, in a file that is named after all that decides the answers.

    Whole batches are kept and not single answers: in 16 bits an answer depends on the rows it was computed with, so
    those of a run that goes on have to be the same as in one go.
    """

    def __init__(self, folder: Path, decisive: Mapping[str, Any]) -> None:
        """Name the file.

        Args:
            folder: of the journals of one arm.
            decisive: JSON values that decide the answers: model, adapter, prompts, decoding, batch size, versions.
        """
        text = json.dumps(decisive, sort_keys=True, ensure_ascii=True, allow_nan=False)
        key = hashlib.sha256(text.encode()).hexdigest()
        self._journal = Journal(folder / f"{key[:32]}.jsonl", Batch)

    @contextmanager
    def opened(self, sizes: Sequence[int]) -> Iterator[dict[int, Batch]]:
        """The finished batches by number; the journal is this run's until the block ends.

        Args:
            sizes: rows of each batch.

        Raises:
            InputError: if another run uses the journal, or it cannot be read or written.
        """
        with self._journal.opened() as batches:
            for line, batch in enumerate(batches, start=1):
                fits = 0 <= batch.number < len(sizes) and sizes[batch.number] == len(batch.tokens) == len(batch.ended)
                if not fits:
                    raise InputError(
                        f"{self._journal.path}, line {line} holds no batch of this run; delete that line (its answers "
                        "are then generated again)."
                    )
            yield {batch.number: batch for batch in batches}

    def append(self, batch: Batch) -> None:
        """Keep a batch; once this returns, a kill does not lose it.

        Raises:
            InputError: if the disk is full or the file cannot be written.
        """
        self._journal.append(batch)


def discard_batches(folder: Path) -> None:
    """Delete all journals in ``folder``, those of other settings too.

    Raises:
        InputError: if another run uses one.
    """
    for file in sorted(folder.glob("*.jsonl")):
        Journal(file, Batch).discard()
