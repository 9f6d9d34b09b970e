"""Answers in a terminal: side by side, whole, with their sources, and unable to command it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import pytest

from med_lora.ask.command import NOTICE
from med_lora.ask.terminal import show
from med_lora.ask.visible import visible
from med_lora.retrieval.context import ShownPassage

from .replies import FOUR, GivenAnswers

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
HOSTILE = "a\x1b[2Jb\x1b]0;title\x07c\x9b31md\re\x08f\u202eg\x7f [bold]h[/bold] \\[i]"
SHOWN = r"a\x1b[2Jb\x1b]0;title\x07c\x9b31md\re\x08f\u202eg\x7f [bold]h[/bold] \[i]"


def in_terminal(answers: Mapping[str, str], width: int, **options: Any) -> str:
    """Everything that is written to a terminal of ``width`` columns, with its escape sequences."""
    from rich.console import Console

    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, height=20, color_system=None, legacy_windows=False)
    asker = GivenAnswers(answers, **options)
    show(asker.ask("Why?"), asker.arms, console)
    return file.getvalue()


def last_picture(written: str) -> str:
    """What stays on the screen: all that follows the last time the moving picture was erased."""
    return ESCAPE.sub("", written.split("\x1b[2K")[-1])


def test_plain_text_names_arms_ends_and_sources(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    asker = GivenAnswers(FOUR)
    show(asker.ask("Why?"), asker.arms, Console())
    given = "Rests: A Book, Joints, p. 3\nPassages given:\n[1] A Book, Joints, p. 3\n[2] training:a (shortened)"
    assert capsys.readouterr().out == (
        "base (cut at 2 tokens)\nIt [red]hurts[/red].\n\n"
        "tuned (ended; the question lost its first 3 tokens)\nSee a doctor.\n\n"
        f"base_rag (ended)\nRest [1] and ice.\n{given}\n\n"
        f"tuned_rag (ended)\nRest.\n{given}\n\n"
        f"{NOTICE}\n"
    )


def test_without_passages_nothing_is_said_to_rest_on_them(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    asker = GivenAnswers({"base_rag": "Rest."}, [])
    show(asker.ask("Why?"), asker.arms, Console())
    assert capsys.readouterr().out.startswith("base_rag (ended)\nRest.\nNo passage fits this question.\n\n")


@pytest.mark.parametrize(("width", "beside"), [(160, 4), (70, 2), (40, 1)])
def test_panels_stand_side_by_side_as_far_as_the_terminal_is_wide(width: int, beside: int) -> None:
    lines = last_picture(in_terminal(FOUR, width)).splitlines()
    assert max(map(len, lines)) <= width
    titles = [line for line in lines if line.startswith("╭")]
    assert [line.count("╭") for line in titles] == [beside] * (4 // beside)
    text = " ".join(lines)
    for part in ("[red]hurts[/red]", "cut at 2 tokens", "[1] A Book", "is no"):
        assert part in text


def test_answers_are_seen_while_they_grow() -> None:
    """Rich draws eight times a second at most, so the model takes its time here."""
    import time

    from rich.console import Console

    class Slow(GivenAnswers):
        def ask(self, question: str) -> Any:
            for event in super().ask(question):
                yield event
                time.sleep(0.15)

    file = io.StringIO()
    asker = Slow({"base": "one two three"})
    show(asker.ask("Why?"), asker.arms, Console(file=file, force_terminal=True, width=60))
    assert "writing, 1 tokens" in file.getvalue()


def test_an_answer_longer_than_the_screen_is_whole_in_the_end() -> None:
    answers = {"base": " ".join(f"word{number}" for number in range(300))}
    assert set(re.findall(r"word\d+", last_picture(in_terminal(answers, 60)))) == set(answers["base"].split())


def test_a_word_wider_than_its_column_is_whole() -> None:
    word = "".join(f"syllable{number}" for number in range(20))
    passages = [ShownPassage(1, "x", "", word, 3, cut=False)]
    picture = last_picture(in_terminal({"base": "a", "tuned_rag": word}, 60, passages=passages))
    right = [line[30:].strip("│╭╮╰╯─ ") for line in picture.splitlines()]
    assert "".join(right).count(word) == 3


@pytest.mark.parametrize("width", [None, 120], ids=["plain", "terminal"])
def test_what_a_model_or_a_book_writes_commands_no_terminal(
    width: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    passages = [ShownPassage(1, "x", HOSTILE, HOSTILE, 3, cut=False)]
    if width is None:
        asker = GivenAnswers({"base_rag": HOSTILE}, passages)
        show(asker.ask("Why?"), asker.arms, Console())
        written = capsys.readouterr().out
        assert written.count(SHOWN) == 3
    else:
        written = in_terminal({"base_rag": HOSTILE}, width, passages=passages)
        assert last_picture(written).count(SHOWN) == 3
    assert "\x1b[2J" not in written
    assert not set(ESCAPE.sub("", written)) & {"\x1b", "\x07", "\x9b", "\x08", "\u202e", "\x7f"}


def test_scripts_that_join_letters_stay_whole() -> None:
    for text in ("می‌خواهم", "👩‍⚕️ says\tso\nhere", "é ß 発熱", "soft\xadhyphen"):
        assert visible(text) == text


def test_an_empty_answer_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    asker = GivenAnswers({"base": ""})
    show(asker.ask("Why?"), asker.arms, Console())
    assert "(empty answer)" in capsys.readouterr().out


def test_whoever_stops_reading_stops_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    asker = GivenAnswers(FOUR)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("click.echo", interrupt)
    with pytest.raises(KeyboardInterrupt):
        show(asker.ask("Why?"), asker.arms, Console())
    assert asker.closed.is_set()
    assert asker.words == 2
