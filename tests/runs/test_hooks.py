"""What lies in ``runs/`` after a command, a killed process and a fork."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog
from kedro.runner import ParallelRunner

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.hooks import ProjectHooks
from med_lora.runs.hooks import RunHooks
from med_lora.settings import CONFIG_LOADER_ARGS
from tests.conftest import ROOT
from tests.runs.sessions import RUN, begin_record, chain, read, run_pipeline

KILLED = """
import sys, time
from pathlib import Path
from kedro.io import DataCatalog, Version
from kedro.pipeline import Pipeline, node
from kedro_datasets.text import TextDataset
from tests.runs.sessions import RUN, chain, run_pipeline

project = Path(sys.argv[1])
file = project / "pairs.txt"

def wait(value):
    print("waiting", flush=True)
    time.sleep(600)

nodes = [*chain("raw", "pairs").nodes, node(wait, "pairs", "scores", name="wait")]
catalog = DataCatalog({
    "raw": TextDataset(filepath=str(project / "raw.txt")),
    "pairs": TextDataset(filepath=str(file), version=Version(None, RUN)),
})
run_pipeline(project, Pipeline(nodes), catalog)
"""
SETTINGS = """
from med_lora.config_loader import ExperimentConfigLoader
from med_lora.runs.hooks import RunHooks

HOOKS = (RunHooks(),)
CONFIG_LOADER_CLASS = ExperimentConfigLoader
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "cpu"}
"""
REGISTRY = """
from kedro.pipeline import Pipeline, node

def write(raw: str, template: str, rate: float) -> str:
    return f"{raw} {template!r} {rate!r}"

def register_pipelines():
    inputs = ["raw", "params:prompt.template", "params:rate"]
    return {"__default__": Pipeline([node(write, inputs, "pairs", name="write")]), "other": Pipeline([])}
"""
FILES = {
    "pyproject.toml": '[tool.kedro]\npackage_name = "tiny"\nproject_name = "tiny"\nkedro_init_version = "1.7.0"\n',
    ".telemetry": "consent: false\n",
    "src/tiny/__init__.py": "",
    "src/tiny/settings.py": SETTINGS,
    "src/tiny/pipeline_registry.py": REGISTRY,
    "conf/base/globals.yml": "hardware: {device: cpu}\n",
    "conf/cpu/globals.yml": "{}\n",
    "conf/gpu/globals.yml": "{}\n",
    "conf/base/parameters.yml": (
        "hardware: ${globals:hardware}\nrerun_of: null\nrate: 2e-4\nprompt: {template: plain, system: null}\n"
    ),
    "conf/base/catalog.yml": (
        "experiment_settings: {type: MemoryDataset, data: {}}\n"
        "raw: {type: text.TextDataset, filepath: data/raw.txt}\n"
        "pairs: {type: text.TextDataset, filepath: data/pairs.txt, versioned: true}\n"
    ),
    "conf/experiments/embedded.yml": "{}\n",
    "conf/experiments/mine.yml": 'prompt: {template: "Q: {question}\\nA:"}\n',
    "data/raw.txt": "raw text",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one node, the hooks and the configuration loader."""
    for name, content in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return tmp_path


def kedro(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(project / "src"), str(ROOT / "src")])}
    command = [sys.executable, "-m", "kedro", *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def runs(project: Path) -> list[str]:
    return sorted(path.name for path in (project / "runs").glob("*"))


def test_run_is_repeated_by_its_file_after_everything_else_has_changed(project: Path) -> None:
    first = kedro(project, "run", "--env=gpu", "--params=experiment=mine,rate=1e-5")
    assert first.returncode == 0, first.stderr[-2000:]
    (original,) = runs(project)
    (project / "conf/experiments/mine.yml").unlink()
    (project / "conf/base/parameters.yml").write_text(FILES["conf/base/parameters.yml"].replace("plain", "other"))
    again = kedro(project, "run", f"--config=runs/{original}/rerun.yml")
    assert again.returncode == 0, again.stderr[-2000:]
    before, after = (read(project, run) for run in runs(project))
    assert (after["rerun_of"], after["env"]) == (original, "gpu")
    assert after["parameters"] == {**before["parameters"], "rerun_of": original}
    assert after["parameters"]["prompt"] == {"template": "Q: {question}\nA:", "system": None}
    assert after["outputs"][0]["sha256"] == before["outputs"][0]["sha256"]
    (project / "data" / "raw.txt").write_text("newer data")
    refused = kedro(project, "run", f"--config=runs/{original}/rerun.yml")
    assert refused.returncode == 1
    sentence = f"Error: raw: data/raw.txt was changed since run {original}"
    assert sentence in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr
    assert len(runs(project)) == 2


def test_command_that_runs_nothing_leaves_no_run(tmp_path: Path) -> None:
    manager = _create_hook_manager()
    manager.register(RunHooks())
    manager.hook.after_context_created(context=SimpleNamespace(config_loader={}, project_path=tmp_path))
    given: dict[str, Any] = {"conf_catalog": {}, "conf_creds": {}, "parameters": {}, "load_versions": {}}
    manager.hook.after_catalog_created(catalog=DataCatalog(), save_version=RUN, **given)
    assert runs(tmp_path) == []


def test_killed_run_leaves_a_manifest_that_says_running(tmp_path: Path) -> None:
    (tmp_path / "raw.txt").write_text("raw")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(line == "waiting\n" for line in process.stdout)
        process.send_signal(signal.SIGKILL)
    manifest = read(tmp_path)
    assert (manifest["status"], manifest["seconds"]) == ("running", None)
    assert [one["dataset"] for one in manifest["outputs"]] == ["pairs"]
    assert sorted(path.name for path in (tmp_path / "runs" / RUN).iterdir()) == ["manifest.json", "rerun.yml"]


def test_runner_that_leaves_no_record_is_refused(tmp_path: Path) -> None:
    runner = str(ParallelRunner())
    with pytest.raises(click.ClickException, match="leave --runner out, or take ThreadRunner"):
        run_pipeline(tmp_path, chain("raw", "pairs"), DataCatalog(), runner=runner)
    assert runs(tmp_path) == []


@pytest.fixture
def context(tmp_path: Path) -> Any:
    """That of a rerun of the default experiment."""
    tree = ExperimentConfigLoader(ROOT / "conf", "cpu", {}, **CONFIG_LOADER_ARGS)["parameters"]
    loader = ExperimentConfigLoader(ROOT / "conf", "cpu", {**tree, "rerun_of": RUN}, **CONFIG_LOADER_ARGS)
    return SimpleNamespace(config_loader=loader, project_path=tmp_path)


def test_rerun_has_the_settings_of_the_run_that_it_repeats(tmp_path: Path, context: Any) -> None:
    begin_record(tmp_path).finish()
    file = tmp_path / "runs" / RUN / "manifest.json"
    file.write_text(json.dumps({**read(tmp_path), "settings": {"training": {"seed": 3}}}))
    hooks, catalog = ProjectHooks(), DataCatalog()
    hooks.after_context_created(context)
    hooks.after_catalog_created(catalog)
    assert catalog.load("experiment_settings") == {"training": {"seed": 3}}


def test_rerun_of_a_run_that_left_no_manifest_is_one_sentence(context: Any) -> None:
    with pytest.raises(click.ClickException, match=f"^runs/{RUN}/manifest.json, which says .* is missing or damaged"):
        ProjectHooks().after_context_created(context)


def test_process_forked_from_a_run_leaves_its_record_alone(tmp_path: Path) -> None:
    hooks = RunHooks()
    hooks._record = begin_record(tmp_path)
    child = multiprocessing.get_context("fork").Process(target=hooks.after_pipeline_run)
    child.start()
    child.join()
    assert child.exitcode == 0
    assert read(tmp_path)["status"] == "running"
    hooks.after_pipeline_run()
    assert read(tmp_path)["status"] == "finished"
