"""Started as a script: what each ``kedro run`` would come to, up to the first node, in one process for all of them.

Reads a JSON list of [arguments, variables] from the standard input, and writes, as its last line, a JSON list of
[nodes, error]: the nodes that would run, or the sentence by which the command ended.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.project import run
from kedro.framework.startup import bootstrap_project
from kedro.runner import SequentialRunner
from omegaconf import OmegaConf


class Reached(BaseException):
    """The checks are passed: Kedro hands the nodes to its runner. No Exception, or the run's hooks would see one."""

    def __init__(self, nodes: list[str]) -> None:
        super().__init__()
        self.nodes = nodes


def stop(_: Any, pipeline: Any, *__: Any) -> None:
    """Stands in for the runner's loop over the nodes; that inputs are in the catalog it has checked by then."""
    raise Reached([node.name for node in pipeline.nodes])


def remember(load: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``OmegaConf.load`` that parses no text twice: it is a third of a command's time, and most files are the same."""
    seen: dict[str, bytes] = {}

    def remembered(file: Any) -> Any:
        text = file.read() if hasattr(file, "read") else Path(file).read_text(encoding="utf-8")
        if text not in seen:
            seen[text] = pickle.dumps(load(io.StringIO(text)))
        return pickle.loads(seen[text])

    return remembered


def try_command(arguments: list[str], variables: dict[str, str]) -> tuple[list[str], str]:
    """Nodes that ``kedro run ARGUMENTS`` would run, and the sentence that it ended with instead."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        run.main(arguments, prog_name="run", standalone_mode=False)
    except Reached as reached:
        return reached.nodes, ""
    except click.ClickException as error:
        return [], error.format_message()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return [], "it ran"


def main() -> None:
    """Try the commands of the standard input."""
    bootstrap_project(Path.cwd())
    SequentialRunner._run = stop
    OmegaConf.load = staticmethod(remember(OmegaConf.load))
    with contextlib.redirect_stdout(io.StringIO()):
        found = [try_command(*command) for command in json.load(sys.stdin)]
    sys.stdout.write(f"\n{json.dumps(found)}")  # below what was logged before


if __name__ == "__main__":
    main()
