"""Commands of Kedro as forks of one process that has imported what they need: most of a short command is its imports.

Each is still a process of its own with its own folder, variables and network guard. What is read when a library is
imported (HF_HUB_OFFLINE, PYTHONHASHSEED, OMP_NUM_THREADS) is the server's, and so is the package: that of the
repository, whatever the project's ``src`` holds. Commands to which that matters are started with
``tests.projects.kedro``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

LIBRARIES = ("pandas", "pyarrow.parquet", "datasets", "scipy.stats", "torch", "transformers", "peft", "plotly.express")


class KedroServer:
    """Starts with the first command and ends with ``close``."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None

    def __call__(self, project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run ``kedro ARGUMENTS`` in the project, as :func:`tests.projects.kedro` does."""
        from tests.projects import run_environment

        if self._server is None:
            environment = run_environment(project) | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.kedro_server"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        outputs = [str(project.parent / f"{project.name}-{kind}.txt") for kind in ("stdout", "stderr")]
        asked = [str(project), list(arguments), run_environment(project, **variables), outputs]
        print(json.dumps(asked), file=self._server.stdin, flush=True)
        code = int(self._server.stdout.readline())
        texts = [Path(output).read_text() for output in outputs]
        for output in outputs:
            Path(output).unlink()
        return subprocess.CompletedProcess(["kedro", *arguments], code, *texts)

    def close(self) -> None:
        """End the server, if one was started."""
        if self._server is not None and self._server.stdin is not None:
            self._server.stdin.close()
            self._server.wait()


def serve() -> None:
    """Answer each line of standard input, a command, with its exit code."""
    import importlib

    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what is said during the imports
    for library in ("kedro.framework.cli", "med_lora.pipeline_registry", "med_lora.hooks", *LIBRARIES):
        importlib.import_module(library)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=replies, flush=True)
    os._exit(0)  # taking down what was imported takes seconds


def run(project: str, arguments: list[str], environment: dict[str, str], outputs: list[str]) -> None:
    """The command in this process, which it ends."""
    code: Any = 1
    try:
        os.chdir(project)
        os.environ.clear()
        os.environ.update(environment)
        time.tzset()
        for target, file in ((0, os.devnull), (1, outputs[0]), (2, outputs[1])):
            os.dup2(os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC), target)
        guard = Path(project) / "guard" / "sitecustomize.py"
        exec(compile(guard.read_text(), guard, "exec"), {"__file__": str(guard)})
        sys.argv = ["kedro", *arguments]
        from kedro.framework.cli import main

        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
        if isinstance(code, str):
            sys.stderr.write(f"{code}\n")
    except BaseException:  # shown as an interpreter would
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    serve()
