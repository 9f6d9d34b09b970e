"""How far the answers of a model are, and how long the rest takes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self


class Pace:
    """Time left, from the batches done.

    Batches with the longest prompts come first, so the seconds of an average batch would overstate the rest. Reading
    is counted by prompt token; writing takes about the same time in every batch, since each goes on until its longest
    answer ends.
    """

    def __init__(self) -> None:
        """Nothing is done yet."""
        self.new_tokens = 0
        self._batches = 0
        self._prompt_tokens = 0
        self._reading = 0.0
        self._writing = 0.0

    def add(self, prompt_tokens: int, new_tokens: int, reading: float, writing: float) -> None:
        """Count a batch: its prompt tokens with padding, its answers' tokens, and the seconds that each part took."""
        self.new_tokens += new_tokens
        self._batches += 1
        self._prompt_tokens += prompt_tokens
        self._reading += reading
        self._writing += writing

    @property
    def tokens_per_second(self) -> float:
        """Answer tokens a second so far."""
        seconds = self._reading + self._writing
        return self.new_tokens / seconds if seconds > 0 else 0.0

    def left(self, prompt_tokens: int, batches: int) -> float:
        """Seconds that so many prompt tokens in so many batches take; 0 before the first batch."""
        if not self._batches:
            return 0.0
        return self._reading / self._prompt_tokens * prompt_tokens + self._writing / self._batches * batches


class AnswerBar(AbstractContextManager["AnswerBar"]):
    """A progress bar over answers with tokens a second and time left; silent where no terminal shows it."""

    def __init__(self, sizes: Sequence[int], prompt_tokens: Sequence[int]) -> None:
        """Describe the batches.

        Args:
            sizes: rows of each batch.
            prompt_tokens: of each batch, with padding.
        """
        from tqdm import tqdm

        self._sizes = dict(enumerate(sizes))
        self._prompt_tokens = dict(enumerate(prompt_tokens))
        self._pace = Pace()
        layout = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
        self._bar = tqdm(total=sum(sizes), desc="answers", unit="answer", disable=None, bar_format=layout)

    def skip(self, number: int) -> None:
        """Count a batch that an earlier run finished."""
        del self._prompt_tokens[number]
        self._bar.update(self._sizes[number])

    def add(self, number: int, new_tokens: int, reading: float, writing: float) -> None:
        """Count a batch of this run; seconds as :meth:`Pace.add` takes them."""
        self._pace.add(self._prompt_tokens.pop(number), new_tokens, reading, writing)
        left = self._pace.left(sum(self._prompt_tokens.values()), len(self._prompt_tokens))
        shown = self._bar.format_interval(left)
        self._bar.set_postfix_str(f"{self._pace.tokens_per_second:.0f} tokens/s, {shown} left", refresh=False)
        self._bar.update(self._sizes[number])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
