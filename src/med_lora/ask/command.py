"""The command ``ask``; whatever takes seconds to import waits until a question can be answered."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from med_lora.arms import ARMS
from med_lora.errors import InputError, nearest

if TYPE_CHECKING:
    from med_lora.ask.arms import Asker

NOTICE = "A research tool: what it says is no medical advice and may be wrong."
DEFAULT_PORT = 8765


@click.command()
@click.argument("question", required=False)
@click.option("--env", "-e", help="Environment of conf/, as of the run whose models are asked.")
@click.option("--params", default="", help="Parameters, as `kedro run` takes them: experiment=NAME,...")
@click.option("--arms", default=",".join(ARMS), show_default=True, help="Which of the arms answer.")
@click.option("--web", is_flag=True, help="Ask on a page of this machine, at 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="Of the page.")
def ask(question: str | None, env: str | None, params: str, arms: str, web: bool, port: int) -> None:
    """Ask the base and the tuned model, each without and with passages.

    With QUESTION it answers once; without, it asks for questions until an empty line.
    """
    try:
        chosen = read_arms(arms)
        if question is not None:
            if web:
                raise InputError("A QUESTION is answered in the terminal; leave it out, or --web.")
            from med_lora.ask.arms import check_question

            question = check_question(question)  # before anything is loaded
        if web:
            _serve(_open(env, params, chosen), port)
        elif question is not None:
            _answer(_open(env, params, chosen), question)
        else:
            asker = _open(env, params, chosen)
            for line in _questions():
                _answer_in_turn(asker, line)
    except InputError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)


def read_arms(given: str) -> tuple[str, ...]:
    """Names of arms that are separated by commas, each once and in the order of the tables.

    Raises:
        InputError: for an unknown name, or none.
    """
    names = [name.strip() for name in given.split(",") if name.strip()]
    for name in names:
        if name not in ARMS:
            raise InputError(f"--arms names {name!r}, which is no arm{nearest(name, ARMS)}")
    if not names:
        raise InputError(f"--arms names no arm; choose among {', '.join(ARMS)}.")
    return tuple(arm for arm in ARMS if arm in names)


def _open(env: str | None, params: str, arms: tuple[str, ...]) -> Asker:
    from med_lora.project import open_project, read_params

    click.echo("Loading the models.", err=True)
    project = open_project(Path.cwd(), env, read_params(params))

    from med_lora.ask.arms import open_asker

    return open_asker(project, arms, say=lambda line: click.echo(line, err=True))


def _serve(asker: Asker, port: int) -> None:
    from med_lora.ask.server import serve

    serve(asker, port, say=click.echo)


def _answer(asker: Asker, question: str) -> None:
    from rich.console import Console

    from med_lora.ask.terminal import show

    show(asker.ask(question), asker.arms, Console())


def _answer_in_turn(asker: Asker, question: str) -> None:
    """One of several: neither a fault of the question nor Ctrl-C, which stops its answer, ends the others."""
    try:
        _answer(asker, question)
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
    except InputError as error:
        click.echo(f"Error: {error}", err=True)


def _questions() -> Iterator[str]:
    """Lines until an empty one or the end of the input."""
    shown = "Question (an empty line ends): " if sys.stdin.isatty() else ""
    while True:
        try:
            line = input(shown).strip()
        except (EOFError, KeyboardInterrupt):
            return
        if not line:
            return
        yield line
