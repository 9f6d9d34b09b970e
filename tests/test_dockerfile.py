"""The Dockerfile: what it copies and installs, and its scripts as a shell runs them, with commands that only record."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from med_lora.metrics.wordnet import DEBIAN
from med_lora.runs.code import describe_code
from tests.conftest import ROOT
from tests.dockerfiles import is_ignored, read_instructions, read_patterns

INSTRUCTIONS = read_instructions((ROOT / "Dockerfile").read_text())
PATTERNS = read_patterns((ROOT / ".dockerignore").read_text())
SCRIPTS = [instruction.value for instruction in INSTRUCTIONS if instruction.name == "RUN"]
DEFAULTS = {
    name: value
    for instruction in INSTRUCTIONS
    if instruction.name == "ARG"
    for name, value in instruction.pairs().items()
}
COMMANDS = ("apt-get", "pip", "useradd", "install", "git", "rm")
LOCK = "requirements.lock"
TORCH = next(line for line in (ROOT / LOCK).read_text().splitlines() if line.startswith("torch=="))
Build = Callable[..., tuple[list[list[str]], subprocess.CompletedProcess[str] | None]]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Runs all scripts in order until one fails; returns the commands they ran, and the failed script."""
    commands, log = tmp_path / "bin", tmp_path / "log"
    commands.mkdir()
    for name in COMMANDS:
        command = commands / name
        command.write_text(f'#!/bin/sh\nprintf "%s\\037" {name} "$@" >> {log}\necho >> {log}\n')
        command.chmod(0o755)

    def run(**arguments: str) -> tuple[list[list[str]], subprocess.CompletedProcess[str] | None]:
        log.write_text("")
        failed = None
        for script in SCRIPTS:
            here = script.replace(f"/tmp/{LOCK}", str(ROOT / LOCK))
            environment = {"PATH": f"{commands}{os.pathsep}/usr/bin{os.pathsep}/bin", **DEFAULTS, **arguments}
            done = subprocess.run(["sh", "-c", here], env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                failed = done
                break
        return [line.split("\037")[:-1] for line in log.read_text().splitlines()], failed

    return run


def ran(commands: list[list[str]], name: str, first: str = "install") -> list[list[str]]:
    """The arguments behind ``name first`` of every such command."""
    return [command[2:] for command in commands if command[:2] == [name, first]]


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_every_script_is_valid_shell(shell: str, script: str) -> None:
    done = subprocess.run([shell, "-n", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_cpu_gets_the_wheel_of_pytorch_s_own_index(build: Build) -> None:
    commands, failed = build(DEVICE="cpu")
    assert failed is None
    torch, lock, project = ran(commands, "pip")
    assert torch == ["--no-deps", "--index-url", "https://download.pytorch.org/whl/cpu", TORCH]
    assert lock == ["--requirement", str(ROOT / LOCK)]
    assert project == ["--no-deps", "--no-build-isolation", "--editable", "."]


def test_cuda_gets_the_wheel_that_brings_its_libraries_and_a_compiler(build: Build) -> None:
    commands, failed = build(DEVICE="cuda")
    assert failed is None
    torch, lock, _ = ran(commands, "pip")
    assert torch == ["--constraint", str(ROOT / LOCK), TORCH]
    assert lock == ["--requirement", str(ROOT / LOCK)]
    (on_cuda,) = ran(commands, "apt-get")
    (on_cpu,) = ran(build(DEVICE="cpu")[0], "apt-get")
    assert {*on_cuda} - {*on_cpu} == {"gcc", "libc6-dev"}


@pytest.mark.parametrize(
    ("name", "value"), [("DEVICE", "gpu"), ("DEVICE", ""), ("DEVICE", "CUDA"), ("USER_ID", "0"), ("USER_ID", "me")]
)
def test_a_wrong_argument_ends_the_build_in_one_sentence(build: Build, name: str, value: str) -> None:
    commands, failed = build(**{name: value})
    assert failed is not None
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"{name} is '{value}'; build with ")
    assert len(failed.stderr.splitlines()) == 1
    assert name != "DEVICE" or not commands


def test_without_arguments_it_is_the_cpu_s_and_runs_as_a_user(build: Build) -> None:
    assert DEFAULTS == {"DEVICE": "cpu", "USER_ID": "1000"}
    assert build() == build(DEVICE="cpu", USER_ID="1000")
    (user,) = (instruction.value for instruction in INSTRUCTIONS if instruction.name == "USER")
    ((*options, name),) = [command[1:] for command in build(USER_ID="4711")[0] if command[0] == "useradd"]
    assert name == user
    assert options[options.index("--uid") + 1] == "4711"


def test_every_extra_of_the_image_is_in_the_lock() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {line.split("==")[0].lower() for line in (ROOT / LOCK).read_text().splitlines()}
    named = [*project["dependencies"], *project["optional-dependencies"]["retrieval"]]
    names = {requirement.replace("_", "-").lower() for requirement in named}
    missing = {name for name in names if not any(name.startswith(one) for one in locked)}
    assert not missing
    assert "setuptools" in locked  # the project is built without a second download


def test_wordnet_and_git_are_installed(build: Build) -> None:
    (packages,) = ran(build()[0], "apt-get")
    assert {"wordnet-base", "git", "--no-install-recommends"} <= {*packages}
    assert Path("/usr/share/wordnet") == DEBIAN  # where Debian's package lays it


def test_the_lock_is_installed_before_the_code_is_copied() -> None:
    places = {f"{name} {value}": place for place, (name, value) in enumerate(INSTRUCTIONS)}
    whole = places["COPY --chown=med_lora:med_lora . ."]
    assert places[f"COPY {LOCK} /tmp/{LOCK}"] < places[f"RUN pip install --requirement /tmp/{LOCK}"] < whole
    assert places["ARG USER_ID=1000"] > places[f"RUN pip install --requirement /tmp/{LOCK}"]
    assert places["USER med_lora"] > whole


def test_every_source_is_in_the_context() -> None:
    for instruction in INSTRUCTIONS:
        if instruction.name == "COPY":
            *sources, _ = [word for word in instruction.words() if not word.startswith("--")]
            for source in sources:
                assert (ROOT / source).exists()
                assert source == "." or not is_ignored(source, PATTERNS)


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout")
    return done.stdout.rstrip("\0").split("\0")


def test_nothing_that_git_tracks_is_left_out() -> None:
    """A run would take what is missing for a change of the code."""
    files = tracked()
    assert "data/06_models/embedded-base/model.safetensors" in files
    assert not [file for file in files if is_ignored(file, PATTERNS)]


@pytest.mark.parametrize(
    "path",
    [
        *("data/05_model_input/embedded/train/v/train/data.arrow", "data/06_models/embedded/adapter/v/adapter/a.bin"),
        *("data/01_raw/hospital/notes.csv", "data/07_model_output/judge_calls.jsonl", "runs/1/manifest.yml"),
        *(".venv/bin/python", "conf/local/credentials.yml", ".git/config", ".git/hooks/pre-commit", ".env", "a/.env"),
        *("src/med_lora/__pycache__/a.pyc", "src/med_lora.egg-info/PKG-INFO", ".mypy_cache/x", "build/lineage/a"),
    ],
)
def test_data_of_others_secrets_and_leftovers_stay_outside(path: str) -> None:
    assert is_ignored(path, PATTERNS)


def test_code_named_like_a_leftover_and_the_history_go_in() -> None:
    for path in ("src/med_lora/runs/code.py", ".git/HEAD", ".git/objects/pack/a.pack", "data/01_raw/embedded/a/b.json"):
        assert not is_ignored(path, PATTERNS)


def test_a_run_in_the_image_knows_its_commit(tmp_path: Path) -> None:
    """From a copy of what git keeps, less what the image leaves out."""
    source, image = tmp_path / "source", tmp_path / "image"
    source.mkdir()
    (source / "pyproject.toml").write_text("[project]\n")
    (source / ".gitignore").write_text("runs/\n")
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "First"]):
        subprocess.run(["git", *words], cwd=source, check=True)
    files = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
    for file in files:
        if not is_ignored(file.as_posix(), PATTERNS):
            (image / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / file, image / file)
    for empty in ("refs/tags", "objects/info"):
        (image / ".git" / empty).mkdir(parents=True, exist_ok=True)
    assert not (image / ".git/config").exists()
    code = describe_code(image)
    assert code["commit"] == describe_code(source)["commit"] is not None
    assert code["dirty"] is False


def test_volumes_are_folders_that_the_user_may_write_to(build: Build) -> None:
    (volumes,) = [instruction.words() for instruction in INSTRUCTIONS if instruction.name == "VOLUME"]
    (settings,) = [instruction.pairs() for instruction in INSTRUCTIONS if "HF_HOME" in instruction.value]
    (folder,) = (instruction.value for instruction in INSTRUCTIONS if instruction.name == "WORKDIR")
    made = [word for command in build()[0] if command[0] == "install" for word in command]
    assert volumes == [f"{folder}/data", f"{folder}/runs", settings["HF_HOME"]]
    assert {folder, f"{folder}/runs", settings["HF_HOME"]} <= {*made}


def test_alone_it_lists_the_pipelines() -> None:
    assert INSTRUCTIONS[-1].name == "CMD"
    assert INSTRUCTIONS[-1].words() == ["kedro", "registry", "list"]
