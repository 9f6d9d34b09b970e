"""Commands in a copied project, as a user starts them: most must stop with one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from med_lora.pipelines.data_engineering.sources import DEFAULT_SOURCES
from med_lora.pipelines.evaluation.pipeline import Measures
from med_lora.pipelines.retrieval.pipeline import RetrievalPlan
from med_lora.pipelines.stages import Stages
from med_lora.pipelines.tracks import Tracks
from tests.kedro_server import KedroServer
from tests.projects import artifacts, kedro, network_attempts, newest, run_environment


def test_the_network_guard_notices_an_attempt(project: Path) -> None:
    code = "import urllib.request as r\ntry: r.urlopen('http://example.org')\nexcept OSError: pass"
    subprocess.run([sys.executable, "-c", code], env=run_environment(project), check=True)
    assert "example.org" in network_attempts(project)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "--params=experiment=embeded"], "did you mean 'embedded'"),
        (["run", "--env=a10"], "did you mean 'a100'"),
        (["run", "--pipelines=trainning"], "did you mean 'training'"),
        (["run", "--params=trainning.lora.r=4"], "did you mean 'training'"),
        (["run", "--params=training.lora.rr=4"], "unknown parameter training.lora.rr; did you mean 'r'"),
    ],
)
def test_wrong_name_ends_in_one_sentence_and_writes_nothing(
    project: Path, arguments: list[str], sentence: str, forked_kedro: KedroServer
) -> None:
    check_sentence(forked_kedro(project, *arguments), sentence)
    assert artifacts(project) == set()


def test_missing_model_ends_in_one_sentence(project: Path) -> None:
    check_sentence(kedro(project, "run", "--params=model.id=data/06_models/nowhere"), "data/06_models/nowhere")


def check_sentence(result: subprocess.CompletedProcess[str], sentence: str) -> None:
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert sentence in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("spelling", ["--pipeline=training", "--pipelines=training"])
def test_missing_gpu_is_one_sentence_that_names_the_cpu(
    project: Path, spelling: str, forked_kedro: KedroServer
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    result = forked_kedro(project, "run", spelling, "--env=a100")
    assert result.returncode == 1
    assert "A100" in result.stderr.splitlines()[-1]
    assert "--env=cpu" in result.stderr
    assert "Traceback" not in result.stderr
    assert artifacts(project) == set()


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
    known = (
        "comparison data_engineering data_report evaluation latency merging power pretraining reporting search sweep "
    )
    known += "training"
    assert names == str(["__default__", *known.split()])
    assert heavy == "[]"


@pytest.mark.parametrize(
    ("stages", "engine"),
    [
        (Stages(canaries=True), "transformers"),
        (Stages("full"), "openai"),
        (Stages(handover="adapter"), "openai"),
        (Stages(handover="merged"), "transformers"),
    ],
)
def test_every_node_has_resolvable_hints(
    stages: Stages, engine: Literal["transformers", "openai"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kedro validates typed parameters only where all hints of a signature resolve."""
    import typing

    from med_lora import pipeline_registry
    from med_lora.pipeline_registry import register_pipelines

    measures = Measures(engine=engine, bert_score=True, embedding=True)
    sources = DEFAULT_SOURCES._replace(benchmarks=("pubmedqa",))
    tracks = Tracks(RetrievalPlan(), judge="remote" if engine == "openai" else "base", sheets=True, ratings=True)
    plan = pipeline_registry.Plan(sources, stages, measures, tracks, ("r_4", "r_8"))
    monkeypatch.setattr(pipeline_registry, "_plan", plan)
    for name, pipeline in register_pipelines().items():
        for node in pipeline.nodes:
            assert "return" in typing.get_type_hints(node.func), f"{name}: {node.name}"


def test_pretraining_makes_a_model_that_transformers_loads(
    project: Path, tmp_path: Path, forked_kedro: KedroServer
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    raw = tmp_path / "raw"
    (raw / "general").mkdir(parents=True)
    chapter = (
        "# One\n\n"
        + "The river flows past the old town and its many boats to the sea, and the people live from it. " * 30
    )
    (raw / "general" / "town.md").write_text("\n".join([chapter] * 40))
    (project / "conf/experiments/tiny.yml").write_text(
        "pretraining:\n  corpus: [town.md]\n  block_length: 64\n  samples: [The river]\n  validation_fraction: 0.1\n"
        "  architecture: {vocabulary: 300, hidden_size: 16, layers: 1, heads: 1, intermediate_size: 16}\n"
        "  optimisation: {epochs: 1, evaluations: 1}\n"
    )
    arguments = ["run", "--pipelines=pretraining", "--params=experiment=tiny,description=a test"]
    result = forked_kedro(project, *arguments, MED_LORA_RAW=str(raw))
    assert result.returncode == 0, result.stderr[-2000:]
    folder = newest(project, "06_models/tiny/pretrained_model") / "pretrained_model"
    assert AutoModelForCausalLM.from_pretrained(folder).config.hidden_size == 16
    assert AutoTokenizer.from_pretrained(folder).decode([0]) == "<|endoftext|>"


def test_pretraining_without_its_corpus_is_one_sentence(project: Path, forked_kedro: KedroServer) -> None:
    result = forked_kedro(project, "run", "--pipelines=pretraining")
    assert result.returncode == 1
    assert "data/01_raw/general does not exist" in " ".join(result.stderr.split("Error: ")[-1].split())
