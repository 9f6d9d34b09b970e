"""Runs code cells of notebooks as Jupyter would, without a server: ``python -m tests.notebook_shell JOBS RESULTS``.

JOBS is a JSON file, a list of jobs that are run one after another, each in a namespace of its own:

- notebook: path; cwd: folder in which it is started; settings: values by name, which replace those assigned in the
  notebook's cells; evaluate: expressions by name, evaluated at the end.

RESULTS is written as a list: shown (everything that the cells printed or displayed, figures as JSON); error (the text
that stands in place of a traceback; "" where all cells ran), type (of the exception) and cells (how many ran); values
(those of ``evaluate``, where all cells ran).
"""

from __future__ import annotations

import ast
import json
import os
import sys
from pathlib import Path
from typing import Any


def set_values(source: str, settings: dict[str, Any]) -> str:
    """The source of a cell with other values assigned to the given names."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in settings:
            lines[node.lineno - 1] = f"{node.targets[0].id} = {settings[node.targets[0].id]!r}"
    return "\n".join(lines)


def run(shell: Any, job: dict[str, Any]) -> dict[str, Any]:
    from IPython.utils.capture import capture_output

    cells = [cell for cell in json.loads(Path(job["notebook"]).read_text())["cells"] if cell["cell_type"] == "code"]
    shell.reset(new_session=True)
    os.chdir(job["cwd"])
    shown, done, failed = "", 0, None
    for cell in cells:
        with capture_output() as captured:
            result = shell.run_cell(set_values("".join(cell["source"]), job["settings"]), silent=False)
        shown += captured.stdout + captured.stderr
        shown += "".join(str(value) for output in captured.outputs for value in output.data.values())
        failed = result.error_before_exec or result.error_in_exec
        if failed is not None:
            break
        done += 1
    values = {} if failed else {name: shell.ev(expression) for name, expression in job["evaluate"].items()}
    type_of = type(failed).__name__ if failed else ""
    error = captured.stdout + captured.stderr if failed else ""
    return {"shown": shown, "error": error, "type": type_of, "cells": done, "values": values}


def main() -> None:
    from IPython.core.interactiveshell import InteractiveShell
    from plotly.basedatatypes import BaseFigure

    jobs, results = map(Path, sys.argv[1:])
    results = results.absolute()
    shell = InteractiveShell.instance()
    # what plotly shows itself depends on where it is
    shell.display_formatter.ipython_display_formatter.for_type(
        BaseFigure, lambda figure: sys.stdout.write(figure.to_json())
    )
    results.write_text(json.dumps([run(shell, job) for job in json.loads(jobs.read_text())], default=str))


if __name__ == "__main__":
    main()
