"""The time left is counted by what a batch costs."""

from __future__ import annotations

import io
import sys

import pytest

from med_lora.generation.progress import AnswerBar, Pace


def test_time_left_is_exact_where_reading_goes_by_the_token_and_writing_by_the_batch() -> None:
    """Longest first: the mean of the batches done would say 2 * 7 s."""
    pace = Pace()
    pace.add(prompt_tokens=1000, new_tokens=60, reading=10.0, writing=2.0)
    pace.add(prompt_tokens=200, new_tokens=40, reading=2.0, writing=2.0)
    assert pace.left(prompt_tokens=100, batches=2) == pytest.approx(1.0 + 4.0)
    assert pace.tokens_per_second == pytest.approx(100 / 16)


def test_nothing_is_said_before_the_first_batch() -> None:
    assert (Pace().left(100, 3), Pace().tokens_per_second) == (0.0, 0.0)


def test_the_bar_shows_tokens_a_second_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    with AnswerBar([4, 4, 2], [400, 200, 50]) as bar:
        bar.skip(0)
        bar.add(1, new_tokens=100, reading=4.0, writing=6.0)
    assert "10 tokens/s, 00:07 left" in shown.getvalue()
    assert "8/10" in shown.getvalue()


def test_the_bar_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with AnswerBar([1], [1]) as bar:
        bar.add(0, new_tokens=1, reading=1.0, writing=1.0)
    assert capsys.readouterr() == ("", "")
