"""``python -m med_lora ask`` as it is typed: help at once, one sentence where it cannot go on, plain text in a pipe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from med_lora.__main__ import main
from med_lora.ask import command
from med_lora.ask.command import NOTICE
from tests.projects import artifacts, copy_project, network_attempts, run_environment

from .replies import FOUR, GivenAnswers


@pytest.fixture
def asker(monkeypatch: pytest.MonkeyPatch) -> GivenAnswers:
    """In place of loaded models."""
    given = GivenAnswers(FOUR)
    monkeypatch.setattr(command, "_open", lambda *_: given)
    return given


def run(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(main, ["ask", *arguments], input=given)


def test_help_imports_nothing_that_takes_seconds(root: Path) -> None:
    code = (
        "import sys; from click.testing import CliRunner; from med_lora.__main__ import main;"
        "print(CliRunner().invoke(main, ['ask', '--help']).output);"
        "print(sorted({'torch', 'transformers', 'kedro', 'pandas', 'starlette', 'rich', 'numpy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert "--arms" in result.stdout
    assert "--web" in result.stdout
    assert result.stdout.strip().splitlines()[-1] == "[]"


def test_a_question_is_answered_once(asker: GivenAnswers) -> None:
    result = run("Why?")
    assert result.exit_code == 0
    assert asker.asked == ["Why?"]
    assert result.stdout.count(NOTICE) == 1
    assert "\x1b" not in result.output


def test_questions_are_answered_until_an_empty_line(asker: GivenAnswers) -> None:
    result = run(given="Why?\n faulty \nHow?\n\nnever\n")
    assert result.exit_code == 0
    assert asker.asked == ["Why?", "faulty", "How?"]
    assert "Error: The model's logits are not finite; train again." in result.stderr
    assert run(given="When?").exit_code == 0
    assert asker.asked[3:] == ["When?"]


def test_stopping_an_answer_does_not_end_the_questions(asker: GivenAnswers, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asker.ask

    def interrupted(question: str) -> Any:
        yield from asked(question)
        if question == "Why?":
            raise KeyboardInterrupt

    monkeypatch.setattr(asker, "ask", interrupted)
    result = run(given="Why?\nHow?\n")
    assert result.exit_code == 0
    assert "Stopped." in result.stderr
    assert asker.asked == ["Why?", "How?"]


def test_a_fault_of_the_only_question_is_the_end(asker: GivenAnswers) -> None:
    result = run("faulty")
    assert result.exit_code == 1
    assert result.stderr == "Error: The model's logits are not finite; train again.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--arms", "bas"], "--arms names 'bas', which is no arm; did you mean 'base'?"),
        (["--arms", " , "], "--arms names no arm; choose among base, tuned, base_rag, tuned_rag."),
        ([" "], "The question is empty; write one."),
        (["x" * 5000], "The question has 5000 characters; ask it in at most 4000."),
        (["Why?", "--web"], "A QUESTION is answered in the terminal; leave it out, or --web."),
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is_loaded(
    arguments: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_open", lambda *_: pytest.fail("loaded"))
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (1, f"Error: {sentence}\n")


def test_arms_answer_in_the_order_of_the_tables() -> None:
    assert command.read_arms("tuned_rag, base,base") == ("base", "tuned_rag")


def test_the_port_goes_to_the_page(asker: GivenAnswers, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    monkeypatch.setattr("med_lora.ask.server.serve", lambda *given, say: served.append(given))
    assert run("--web", "--port", "0").exit_code == 0
    assert served == [(asker, 0)]
    assert run("--web", "--port", "70000").exit_code == 2


REFUSED = {
    "--params=experiment=embeded": "did you mean 'embedded'",
    "--params=embedded": "must contain a key and a value separated by `=`",
    "--params=training.lora.rr=4": "unknown parameter training.lora.rr; did you mean 'r'",
    "--env=a10": "did you mean 'a100'",
    "--params=model.id=data/06_models/nowhere": "data/06_models/nowhere is not a folder with a config.json",
    "--arms=tuned": "The experiment embedded has no adapter yet; run `kedro run --params=experiment=embedded`",
    "elsewhere": "There is no med_lora project in",
}
IN_TURN = """
import json, os, pathlib, runpy, sys
options = sys.argv[1:]
sys.argv = ["ask", "ask", "What is a bone?", "--arms=base", "--params=evaluation.decoding.max_new_tokens=8"]
try:
    runpy.run_module("med_lora", run_name="__main__", alter_sys=True)
except SystemExit as end:
    code = end.code
from click.testing import CliRunner
from med_lora.__main__ import main
written = pathlib.Path("outcomes.json").absolute()
def ask(option):
    if option == "elsewhere":
        os.chdir("guard")
        option = "--arms=base"
    result = CliRunner().invoke(main, ["ask", "Why?", option])
    return [result.exit_code, result.stdout, result.stderr]
written.write_text(json.dumps({option: ask(option) for option in options}))
sys.exit(code)
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A project in which ``python -m med_lora ask`` was typed, then in the same process what cannot be asked.

    A process of its own, since Kedro keeps the project that it was started in.
    """
    project = copy_project(tmp_path_factory.mktemp("asked"))
    words = [sys.executable, "-c", IN_TURN, *REFUSED]
    environment = run_environment(project)
    return project, subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, check=False)


def test_the_base_model_answers_in_a_pipe(asked: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The default model of the repository needs no run to be asked."""
    project, result = asked
    assert result.returncode == 0, result.stderr
    first, *rest = result.stdout.splitlines()
    assert first == "base (cut at 8 tokens)"
    assert rest[-1] == NOTICE
    assert result.stderr == "Loading the models.\n"
    assert artifacts(project) == set()
    assert network_attempts(project) == ""


@pytest.mark.parametrize(("option", "sentence"), REFUSED.items())
def test_what_a_run_would_refuse_is_refused_in_one_sentence(
    asked: tuple[Path, subprocess.CompletedProcess[str]], option: str, sentence: str
) -> None:
    code, out, err = json.loads((asked[0] / "outcomes.json").read_text(encoding="utf-8"))[option]
    assert (code, out) == (1, "")
    loading, *fault = err.strip().splitlines()
    assert loading == "Loading the models."
    assert len(fault) == 1
    assert fault[0].startswith("Error: ")
    assert sentence in fault[0]
