"""Whole runs in a copied project, as a user starts them: to the report, and to one sentence where they must stop."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT

# a run that tries to reach another machine fails in the connecting call
NO_NETWORK = """
import socket
_connect = socket.socket.connect
def connect(self, address, *rest):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
        raise RuntimeError(f"network call to {address!r}")
    return _connect(self, address, *rest)
def getaddrinfo(host, *rest, **options):
    raise RuntimeError(f"name look-up of {host!r}")
socket.socket.connect = connect
socket.getaddrinfo = getaddrinfo
"""
SMALL = (
    "training.optimisation.epochs=1,training.lora.r=4,evaluation.max_new_tokens=12,evaluation.bootstrap_samples=500,"
    "data_engineering.split.train=60,data_engineering.split.validation=10,data_engineering.split.test=12"
)


def copy_project(target: Path) -> Path:
    for part in ("conf", "src", "data/01_raw/embedded", "data/06_models/embedded-base"):
        shutil.copytree(ROOT / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / part, target / part)
    (target / "guard").mkdir()
    (target / "guard" / "sitecustomize.py").write_text(NO_NETWORK)
    return target


def kedro(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MED_LORA", "KEDRO"))}
    # HF_HUB_OFFLINE would hide a call home, so the run gets none
    environment.pop("HF_HUB_OFFLINE", None)
    environment |= {"PYTHONPATH": f"{project / 'guard'}{os.pathsep}{project / 'src'}", "COLUMNS": "200", **variables}
    command = [sys.executable, "-m", "kedro", *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def artifacts(project: Path) -> set[Path]:
    """Every file that a run could have written."""
    kept = ("01_raw", "embedded-base")
    return {
        path
        for path in (project / "data").rglob("*")
        if path.is_file() and not any(part in path.parts for part in kept)
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A project in which the default pipeline has run once, small."""
    project = copy_project(tmp_path_factory.mktemp("finished"))
    result = kedro(project, "run", f"--params={SMALL}")
    assert result.returncode == 0, result.stderr[-3000:]
    return project, result


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path)


def newest(project: Path, pattern: str) -> Path:
    (found,) = (project / "data").glob(pattern)
    return max(found.iterdir())


def test_default_run_ends_with_headline_and_report(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    project, result = finished
    headline = json.loads((newest(project, "08_reporting/embedded/headline.json") / "headline.json").read_text())
    report = newest(project, "08_reporting/embedded/report.html") / "report.html"
    assert headline["sentence"] in result.stdout
    assert str(report) in result.stdout
    for word in ("perplexity", "ROUGE-L"):
        assert word in headline["sentence"]


def test_default_run_makes_every_artifact_once(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    project, _ = finished
    for layer, names in {
        "05_model_input": ["train", "validation", "test"],
        "06_models": ["adapter"],
        "07_model_output": [
            "base_losses.parquet",
            "tuned_losses.parquet",
            "base_answers.parquet",
            "tuned_answers.parquet",
        ],
        "08_reporting": [
            "comparison.csv",
            "loss_curve.json",
            "perplexity_bars.json",
            "report.html",
            "training_history.csv",
        ],
    }.items():
        for name in names:
            versions = list((project / "data" / layer / "embedded" / name).iterdir())
            assert len(versions) == 1, f"{layer}/{name}"


def test_default_run_logs_no_record_text(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    project, result = finished
    pairs = pd.concat(
        pd.read_parquet(path) for path in (project / "data/03_primary").rglob("qa_pairs.parquet/*/*.parquet")
    )
    log = result.stdout + result.stderr
    assert len(pairs) > 300
    assert not [identifier for identifier, answer in zip(pairs.id, pairs.answer, strict=True) if answer[:60] in log]


def test_adapter_loads_with_peft_alone(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    project, _ = finished
    base = AutoModelForCausalLM.from_pretrained(project / "data/06_models/embedded-base")
    adapted = PeftModel.from_pretrained(base, newest(project, "06_models/embedded/adapter") / "adapter")
    assert adapted.peft_config["default"].r == 4


def test_same_command_gives_the_same_numbers(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    project, _ = finished
    assert kedro(project, "run", f"--params={SMALL}").returncode == 0
    for pattern in (
        "05_model_input/embedded/test/*/test/data.arrow",
        "06_models/embedded/adapter/*/adapter/adapter_model.safetensors",
        "07_model_output/embedded/tuned_answers.parquet/*/*.parquet",
        "08_reporting/embedded/comparison.csv/*/comparison.csv",
        "08_reporting/embedded/report.html/*/report.html",
    ):
        first, second = sorted((project / "data").glob(pattern))
        assert first.read_bytes() == second.read_bytes(), pattern


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "--params=experiment=embeded"], "did you mean 'embedded'"),
        (["run", "--env=a10"], "did you mean 'a100'"),
        (["run", "--pipelines=trainning"], "did you mean 'training'"),
        (["run", "--params=trainning.lora.r=4"], "did you mean 'training'"),
        (["run", "--params=training.lora.rr=4"], "unknown parameter training.lora.rr; did you mean 'r'"),
        (["run", "--params=model.id=data/06_models/nowhere"], "data/06_models/nowhere"),
    ],
)
def test_wrong_name_ends_in_one_sentence(project: Path, arguments: list[str], sentence: str) -> None:
    result = kedro(project, *arguments)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    assert sentence in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_typing_errors_write_nothing(project: Path) -> None:
    kedro(project, "run", "--params=training.lora.rr=4")
    assert artifacts(project) == set()


@pytest.mark.parametrize("spelling", ["--pipeline=training", "--pipelines=training"])
def test_missing_gpu_is_one_sentence_that_names_the_cpu(project: Path, spelling: str) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    result = kedro(project, "run", spelling, "--env=a100")
    assert result.returncode == 1
    assert "A100" in result.stderr.splitlines()[-1]
    assert "--env=cpu" in result.stderr
    assert "Traceback" not in result.stderr
    assert artifacts(project) == set()


def break_json(raw: Path) -> None:
    file = raw / "genmedgpt5k/chatdoctor5k.json"
    file.write_bytes(file.read_bytes()[:5000])


def wrong_columns(raw: Path) -> None:
    (raw / "genmedgpt5k/chatdoctor5k.json").write_text('[{"instruction": "a", "question": "b", "answer": "c"}]')


def empty_corpus(raw: Path) -> None:
    (raw / "genmedgpt5k/chatdoctor5k.json").write_text("[]")


@pytest.mark.parametrize("harm", [break_json, wrong_columns, empty_corpus, shutil.rmtree])
def test_bad_input_names_the_file_and_keeps_the_previous_version(
    finished: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path, harm: object
) -> None:
    project, _ = finished
    before = artifacts(project)
    raw = tmp_path / "raw"
    shutil.copytree(ROOT / "data/01_raw/embedded", raw)
    harm(raw)  # type: ignore[operator]
    result = kedro(project, "run", MED_LORA_RAW=str(raw))
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert str(raw) in result.stderr.split("Error: ")[-1].replace("\n", "")
    changed = {path for path in artifacts(project) ^ before if "02_intermediate" not in path.parts}
    assert changed == set()


def test_registry_lists_without_heavy_imports(project: Path) -> None:
    code = (
        "import sys; from kedro.framework.startup import bootstrap_project;"
        "from kedro.framework.project import pipelines;"
        "bootstrap_project('.'); print(sorted(pipelines));"
        "heavy = {'torch', 'transformers', 'trl', 'peft', 'datasets', 'torchmetrics', 'scipy', 'plotly'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    names, heavy = result.stdout.strip().splitlines()[-2:]
    assert names == "['__default__', 'data_engineering', 'evaluation', 'pretraining', 'reporting', 'training']"
    assert heavy == "[]"


def test_every_node_has_resolvable_hints() -> None:
    """Kedro validates typed parameters only where all hints of a signature resolve."""
    import typing

    from med_lora.pipeline_registry import register_pipelines

    for name, pipeline in register_pipelines().items():
        for node in pipeline.nodes:
            assert "return" in typing.get_type_hints(node.func), f"{name}: {node.name}"
