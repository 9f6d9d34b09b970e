"""Every command of README and docs: it parses, its pipelines exist, and in the slow tests it runs."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import click
import pytest
import yaml

from tests.conftest import ROOT
from tests.docs_commands import Command, read_commands
from tests.docs_project import block_of, prepare_project, return_sheets
from tests.projects import run_environment

COMMANDS = read_commands()
# What the text around a command says that it needs.
ADDED = {
    "--pipelines=continued_pretraining": "continued_pretraining.enabled=true,continued_pretraining.handover=merged",
    "people.rated=true": "judge.enabled=true",
}
CARRIED = ("embedded", "mine", "my_corpus")  # experiments on what the repository carries, or the tests write
FOREIGN = {
    "curl": "asks a server that is not there",
    "docker build": "needs Docker",
    "docker run": "needs Docker",
    "hf auth": "needs an account of the hub",
    "jupyter": "needs the extra notebook; tests/test_notebooks.py runs the cells",
    "llama-server": "a program of llama.cpp, and serves until it is stopped",
    "mlflow": "a program of the full MLflow, and serves until it is stopped",
    "ollama": "a program of its own",
    "python convert_hf_to_gguf.py": "a script of llama.cpp",
    "python convert_lora_to_gguf.py": "a script of llama.cpp",
    "python -m http.server": "serves until it is stopped",
    "source": "changes the shell it is typed in",
    "transformers": "serves until it is stopped",
    "vllm": "needs a GPU, and serves until it is stopped",
}
NOT_RUN = {
    "pip": "needs a package index",
    "make run": "installs first; then it is `kedro run`",
    "make test": "these tests",
    "make check": "these tests",
    "make slow": "these tests",
    "make drill": "trains a hundred times",
    "make lock": "needs a package index",
    "make embedded-base": "takes an hour",
    "make clean": "removes what the other commands have made",
    "make rehearse": "takes minutes; tests/rehearsal runs the smallest form of each",
    "make viz": "serves until it is stopped",
    "make ask ARGS=--web": "serves until it is stopped",
    "kedro viz run": "serves until it is stopped",
    "python -m med_lora lineage --view": "serves until it is stopped",
    "python -m med_lora rehearse": "takes minutes; tests/rehearsal runs the smallest form of each",
}


def name_of(command: Command) -> str:
    return f"{command.page}: {' '.join(command.words)}"


def begins(command: Command, names: dict[str, str]) -> str:
    """The reason for the command, "" where none of the names begins it."""
    text = " ".join(command.words)
    return next((why for name, why in names.items() if f"{text} ".startswith(f"{name} ")), "")


def is_gpu(command: Command) -> bool:
    env = command.option("--env", "-e")
    if not env or command.words[:2] != ("kedro", "run"):
        return False
    file = ROOT / "conf" / env / "globals.yml"
    machine = block_of("extending.md", "yaml globals") if env == "l40s" else file.read_text(encoding="utf-8")
    device: str = yaml.safe_load(machine)["hardware"]["device"]
    return device == "cuda"


@functools.cache
def dry_run(command: Command) -> subprocess.CompletedProcess[str]:
    """What make would do for it."""
    words = ["make", "--dry-run", "VENV=.", *command.words[1:]]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def expand(command: Command) -> list[Command]:
    """What make would start for it, less the installation."""
    lines = [line for line in dry_run(command).stdout.splitlines() if re.match(r"\./bin/(kedro|python) ", line)]
    words = [shlex.split(line) for line in lines]
    return [Command(command.page, (Path(program).name, *rest)) for program, *rest in words]


def started(*program: str) -> list[Command]:
    """Commands of a program, those among them that make starts."""
    made = [each for command in COMMANDS if command.words[0] == "make" for each in expand(command)]
    return [command for command in [*COMMANDS, *made] if command.words[: len(program)] == program]


def test_no_command_is_unknown() -> None:
    known = {"kedro", "make", "pip"}
    for command in COMMANDS:
        ours = command.words[0] in known or command.words[:3] == ("python", "-m", "med_lora")
        assert ours or begins(command, FOREIGN), name_of(command)
    assert len(started("kedro", "run")) > 20


@pytest.mark.parametrize("command", [each for each in COMMANDS if each.words[0] == "make"], ids=name_of)
def test_make_knows_the_target_and_its_variables(command: Command) -> None:
    assert dry_run(command).returncode == 0, dry_run(command).stderr
    known = re.findall(r"\$\((?:if \$\()?([A-Z]+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert {word.partition("=")[0] for word in command.words[2:]} <= {*known}


@pytest.mark.parametrize("command", started("pip"), ids=name_of)
def test_what_pip_installs_is_there(command: Command) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for word in command.words:
        if extra := re.fullmatch(r"\.\[(\w+)\]", word):
            assert extra[1] in project["optional-dependencies"]
        if word.endswith((".lock", ".txt")):
            assert (ROOT / word).is_file()


def parse_click(given: click.Command, words: list[str], parent: click.Context | None = None) -> click.Context:
    """The context of the innermost command, whose options and arguments click has accepted."""
    context = given.make_context(given.name, words, parent=parent)
    rest = [*context._protected_args, *context.args]
    if isinstance(given, click.Group) and rest:
        _, chosen, remaining = given.resolve_command(context, rest)
        assert chosen is not None
        return parse_click(chosen, remaining, context)
    return context


@pytest.mark.parametrize("command", started("python", "-m", "med_lora"), ids=name_of)
def test_med_lora_command_parses(command: Command) -> None:
    from med_lora.__main__ import main

    context = parse_click(main, [word.strip("$") for word in command.words[3:]])
    assert context.command is not main


@pytest.mark.parametrize("command", started("kedro", "viz"), ids=name_of)
def test_kedro_viz_command_parses(command: Command) -> None:
    from kedro_viz.launchers.cli.main import viz_cli

    assert parse_click(viz_cli, list(command.words[1:])).command.name == "run"


def added(command: Command) -> Command:
    """The command with what the text around it asks for."""
    for name, more in ADDED.items():
        if name in " ".join(command.words):
            given = command.option("--params")
            words = [word.replace(given, f"{given},{more}") if given else word for word in command.words]
            return replace(command, words=(*words, *([] if given else [f"--params={more}"])))
    return command


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[Command, tuple[list[str], str]]:
    """What every `kedro run` of the pages comes to before its first node."""
    project = prepare_project(tmp_path_factory.mktemp("commands"))
    commands = list(dict.fromkeys(started("kedro", "run")))
    asked = [(list(added(command).words[2:]), dict(command.variables)) for command in commands]
    script = [sys.executable, "-P", str(ROOT / "tests/docs_sessions.py")]
    environment = run_environment(project) | {"HF_HUB_OFFLINE": "1"}
    result = subprocess.run(
        script, input=json.dumps(asked), cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return dict(zip(commands, map(tuple, json.loads(result.stdout.splitlines()[-1])), strict=True))


@pytest.mark.parametrize("command", dict.fromkeys(started("kedro", "run")), ids=name_of)
def test_kedro_run_passes_every_check_before_its_first_node(
    command: Command, outcomes: dict[Command, tuple[list[str], str]]
) -> None:
    nodes, error = outcomes[command]
    if is_gpu(command) and error:
        assert "GPU" in error
        assert "\n" not in error
    elif command.option("--env") == "cpu_bf16" and error:
        assert "no bf16 instructions" in error
    else:
        assert error == ""
        assert nodes


def reason_not_run(command: Command) -> str:
    """Why the slow tests leave the command out; "" for one that they run."""
    if why := begins(command, FOREIGN) or begins(command, NOT_RUN):
        return why
    if is_gpu(command):
        return "ends with the sentence that the test above has seen"
    if command.params.get("experiment", "embedded") not in CARRIED:
        return "reads files of publishers, or a model of the hub"
    if "comparison.mlflow" in command.params:
        return "needs an extra that the tests do not install"
    return ""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project in which the commands run one after another, and a folder with programs for make."""
    made = prepare_project(tmp_path_factory.mktemp("run_commands"))
    programs = made / "programs/bin"
    programs.mkdir(parents=True)
    for name, module in {"kedro": "-m kedro", "python": ""}.items():
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {module} "$@"\n')
        program.chmod(0o755)
    (programs.parent / ".ready").touch()
    (made / "runs/RUN_ID/rerun.yml").unlink()
    (made / "runs/RUN_ID").rmdir()
    return made


RUN = [command for command in COMMANDS if not reason_not_run(command)]


@pytest.mark.slow
@pytest.mark.parametrize("command", RUN, ids=name_of)
def test_command_runs(command: Command, project: Path) -> None:
    """In the order of the pages, so that a command finds what the ones above it have made."""
    runs = sorted(path.name for path in (project / "runs").glob("*"))
    if "people.rated" in command.params:
        return_sheets(project)
    words = [word.replace("RUN_ID", runs[0]) if runs else word for word in added(command).words]
    variables = {"PATH": f"{project / 'programs/bin'}{os.pathsep}{os.environ['PATH']}", **dict(command.variables)}
    more = ["VENV=programs"] if words[0] == "make" else []
    result = subprocess.run(
        [*words, *more],
        cwd=project,
        env=run_environment(project) | variables,
        input="y\n\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
