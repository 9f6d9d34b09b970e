"""Token rows of unequal length in rectangular batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch


def batch_by_length(rows: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Indices of ``rows``, ``size`` at a time and of similar length, so that little is padded.

    The longest come first: a batch too large for the memory fails at once and not at the end. Rows of one length are
    ordered by what they hold, so that batches do not depend on the order of ``rows``.
    """
    order = sorted(range(len(rows)), key=lambda index: (-len(rows[index]), list(rows[index])))
    for start in range(0, len(order), size):
        yield order[start : start + size]


def pad(rows: Sequence[Sequence[int]], value: int, side: Literal["left", "right"]) -> torch.Tensor:
    """``rows`` as one int64 tensor [rows, longest], filled up with ``value``."""
    import torch

    longest = max(len(row) for row in rows)
    padding = [[value] * (longest - len(row)) for row in rows]
    if side == "left":
        return torch.tensor([fill + list(row) for fill, row in zip(padding, rows, strict=True)])
    return torch.tensor([list(row) + fill for fill, row in zip(padding, rows, strict=True)])
