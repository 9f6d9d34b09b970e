"""Long texts in windows, each token of them once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

WINDOW = 1024  # tokens seen at once at most: what GPT-2 has, and little memory for logits


class Window(NamedTuple):
    """Part of a text that goes through the model at once.

    Attributes:
        ids: its tokens.
        scored: how many of them, at its end, count here; the others are context, and count in an earlier window.
    """

    ids: Sequence[int]
    scored: int


def sliding_windows(ids: Sequence[int], window: int, stride: int) -> list[Window]:
    """A text cut so that each token but the first counts once, with at least ``window - stride`` tokens before it.

    Only tokens of the first window have fewer, since the text begins there (after the recipe of the transformers
    documentation, "Perplexity of fixed-length models").

    Args:
        ids: tokens; the first is context alone.
        window: tokens of a window at most.
        stride: tokens by which a window goes beyond the one before.

    Raises:
        ValueError: unless 0 < stride < window.
    """
    if not 0 < stride < window:
        raise ValueError(f"a stride of {stride} does not suit a window of {window} tokens")
    windows, done = [], 1
    while done < len(ids):
        end = min(len(ids), max(window, done + stride))
        windows.append(Window(ids[max(0, end - window) : end], end - done))
        done = end
    return windows
