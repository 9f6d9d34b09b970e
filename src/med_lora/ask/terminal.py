"""Answers in a terminal: side by side while they grow, or as plain text where nobody watches."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import click

from med_lora.arms import RAG_ARMS
from med_lora.ask.arms import Reply, Sources
from med_lora.ask.command import NOTICE
from med_lora.ask.visible import visible
from med_lora.retrieval.context import ShownPassage

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_NARROWEST = 28  # characters of a column that can be read


class Board:
    """What is known of a question's answers."""

    def __init__(self, arms: Sequence[str]) -> None:
        """Wait for the answers of ``arms``."""
        self.arms = arms
        self.replies: dict[str, Reply] = {}
        self.passages: list[ShownPassage] | None = None

    def take(self, event: Sources | Reply) -> None:
        """Replace what an event makes out of date."""
        if isinstance(event, Sources):
            self.passages = event.passages
        else:
            self.replies[event.arm] = event

    def state(self, arm: str) -> str:
        """How far the arm's answer is, in a few words."""
        reply = self.replies.get(arm)
        if reply is None:
            return "waiting"
        if not reply.finish_reason:
            return f"writing, {reply.new_tokens} tokens"
        length = f"cut at {reply.new_tokens} tokens" if reply.finish_reason == "length" else "ended"
        cut = f"; the question lost its first {reply.prompt_cut} tokens" if reply.prompt_cut else ""
        return length + cut

    def text(self, arm: str) -> str:
        """The answer so far, safe to print."""
        reply = self.replies.get(arm)
        if reply is None:
            return ""
        return visible(reply.text) or ("(empty answer)" if reply.finish_reason else "")

    def sources(self, arm: str) -> list[str]:
        """What the answer rests on, and the passages that the arm was given, safe to print; none for other arms."""
        if arm not in RAG_ARMS or self.passages is None:
            return []
        if not self.passages:
            return ["No passage fits this question."]
        given = [
            f"[{shown.place}] {shown.citation or shown.passage}{' (shortened)' if shown.cut else ''}"
            for shown in self.passages
        ]
        basis = self.replies[arm].basis if arm in self.replies else ""
        return [visible(line) for line in (*filter(None, [basis]), "Passages given:", *given)]


def show(events: Generator[Sources | Reply, None, None], arms: Sequence[str], console: Console) -> None:
    """Print the answers as they come; ``events`` are closed at the end, however it comes."""
    board = Board(arms)
    with closing(events):
        if console.is_terminal:
            _show_live(events, board, console)
        else:
            _print_plain(events, board)


def _print_plain(events: Iterable[Sources | Reply], board: Board) -> None:
    """One arm below the other, each once it is whole."""
    for event in events:
        board.take(event)
        if isinstance(event, Reply) and event.finish_reason:
            lines = [f"{event.arm} ({board.state(event.arm)})", board.text(event.arm), *board.sources(event.arm)]
            click.echo("\n".join(lines) + "\n")
    click.echo(NOTICE)


def _show_live(events: Iterable[Sources | Reply], board: Board, console: Console) -> None:
    from rich.live import Live

    # what is too long for the screen is cut while it moves; the last picture scrolls and is whole
    with Live(_draw(board, console.width), console=console, transient=True, refresh_per_second=8) as live:
        for event in events:
            board.take(event)
            live.update(_draw(board, console.width))
    console.print(_draw(board, console.width))


def _draw(board: Board, width: int) -> RenderableType:
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    fitting = (number for number in (2, len(board.arms)) if number <= min(len(board.arms), width // _NARROWEST))
    columns = max(fitting, default=1)
    table = Table.grid(expand=True)
    for _ in range(columns):
        table.add_column(ratio=1)
    panels = []
    for arm in board.arms:
        # Text takes no markup: brackets in an answer are brackets; a word wider than the column is folded, not cut
        body = [Text(board.text(arm), overflow="fold")]
        if sources := board.sources(arm):
            body.append(Text("\n" + "\n".join(sources), style="dim", overflow="fold"))
        panels.append(Panel(Group(*body), title=Text(arm), subtitle=Text(board.state(arm)), title_align="left"))
    for start in range(0, len(panels), columns):
        table.add_row(*panels[start : start + columns])
    return Group(table, Text(NOTICE, style="italic"))
