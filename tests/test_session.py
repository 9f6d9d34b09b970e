"""Whole runs in a copied project, as a user starts them: to the report, and to one sentence where they must stop."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest

from med_lora.pipelines.data_engineering.sources import DEFAULT_SOURCES
from med_lora.pipelines.evaluation.pipeline import Measures
from med_lora.pipelines.stages import Stages
from tests.conftest import ROOT
from tests.projects import SMALL, artifacts, kedro, network_attempts, newest, run_environment

Finished = tuple[Path, subprocess.CompletedProcess[str]]


def test_default_run_ends_with_headline_and_report(finished: Finished) -> None:
    project, result = finished
    headline = json.loads((newest(project, "08_reporting/embedded/headline.json") / "headline.json").read_text())
    report = newest(project, "08_reporting/embedded/report.html") / "report.html"
    assert headline["sentence"] in result.stdout
    assert str(report) in result.stdout
    for word in ("perplexity", "ROUGE-L"):
        assert word in headline["sentence"]


def test_default_run_makes_every_artifact_once(finished: Finished) -> None:
    project, _ = finished
    for layer, names in {
        "03_primary": ["passages", "qa_pairs", "rejected_pairs"],
        "05_model_input": ["train", "validation", "test", "unused_pairs", "rendered_pairs"],
        "06_models": ["adapter"],
        "07_model_output": [
            "base_losses",
            "tuned_losses",
            "base_answers",
            "tuned_answers",
        ],
        "08_reporting": [
            "comparison.csv",
            "loss_curve.json",
            "perplexity_bars.json",
            "report.html",
            "data_report.html",
            "datasheet.md",
            "leakage.csv",
            "row_outcomes.csv",
            "training_history.csv",
        ],
    }.items():
        for name in names:
            versions = list((project / "data" / layer / "embedded" / name).iterdir())
            assert len(versions) == 1, f"{layer}/{name}"


def test_default_run_logs_no_record_text(finished: Finished) -> None:
    project, result = finished
    pairs = pd.concat(
        pd.read_parquet(path) for path in (project / "data/03_primary").glob("*/qa_pairs/*/qa_pairs/*.parquet")
    )
    log = result.stdout + result.stderr
    assert len(pairs) > 300
    assert not [identifier for identifier, answer in zip(pairs.id, pairs.answer, strict=True) if answer[:60] in log]


def test_default_run_reaches_for_no_other_machine(finished: Finished) -> None:
    project, _ = finished
    assert network_attempts(project) == ""


def test_the_network_guard_notices_an_attempt(project: Path) -> None:
    code = "import urllib.request as r\ntry: r.urlopen('http://example.org')\nexcept OSError: pass"
    subprocess.run([sys.executable, "-c", code], env=run_environment(project), check=True)
    assert "example.org" in network_attempts(project)


def test_adapter_loads_with_peft_alone(finished: Finished) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    project, _ = finished
    base = AutoModelForCausalLM.from_pretrained(project / "data/06_models/embedded-base")
    adapted = PeftModel.from_pretrained(base, newest(project, "06_models/embedded/adapter") / "adapter")
    assert adapted.peft_config["default"].r == 4


def test_same_command_gives_the_same_numbers(finished: Finished) -> None:
    project, _ = finished
    assert kedro(project, "run", f"--params={SMALL}").returncode == 0
    for pattern in (
        "05_model_input/embedded/test/*/test/data.arrow",
        "06_models/embedded/adapter/*/adapter/adapter_model.safetensors",
        "07_model_output/embedded/arm_texts/*/arm_texts/data.parquet",
        "08_reporting/embedded/comparison.csv/*/comparison.csv",
        "08_reporting/embedded/report.html/*/report.html",
        "08_reporting/embedded/data_report.html/*/data_report.html",
    ):
        first, second = sorted((project / "data").glob(pattern))
        assert first.read_bytes() == second.read_bytes(), pattern
    answers = sorted((project / "data").glob("07_model_output/embedded/tuned_answers/*/tuned_answers/data.parquet"))
    first, second = (pd.read_parquet(file).drop(columns="seconds") for file in answers)  # the clock's column
    assert first.equals(second)


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
    file = raw / "embedded/genmedgpt5k/chatdoctor5k.json"
    file.write_bytes(file.read_bytes()[:5000])


def wrong_columns(raw: Path) -> None:
    (raw / "embedded/genmedgpt5k/chatdoctor5k.json").write_text(
        '[{"instruction": "a", "question": "b", "answer": "c"}]'
    )


def empty_corpus(raw: Path) -> None:
    (raw / "embedded/genmedgpt5k/chatdoctor5k.json").write_text("[]")


def other_corpora(raw: Path) -> None:
    """The layout of the publishers' files, which the default experiment must not take for the embedded ones."""
    for folder in (raw / "embedded").iterdir():
        folder.rename(raw / folder.name)


@pytest.mark.parametrize("harm", [break_json, wrong_columns, empty_corpus, other_corpora])
def test_bad_input_names_the_file_and_keeps_the_previous_version(
    finished: Finished, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    project, _ = finished
    before = artifacts(project)
    raw = tmp_path / "raw"
    shutil.copytree(ROOT / "data/01_raw/embedded", raw / "embedded")
    harm(raw)
    result = kedro(project, "run", MED_LORA_RAW=str(raw))
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith("Error: ")
    sentence = result.stderr.split("Error: ")[-1].replace("\n", "")
    # records that are read and do not fit are told by the corpus's own name of the file
    place = "embedded/genmedgpt5k/chatdoctor5k.json" if harm is wrong_columns else str(raw)
    assert place in sentence
    assert harm is not other_corpora or "/raw/embedded/" in sentence.partition("does not exist")[0]
    # corpora that were read before the fault may have been parsed anew; nothing that is derived from all of them is
    assert not [path for path in artifacts(project) ^ before if "02_intermediate" not in path.parts]


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
    known = "data_engineering data_report evaluation latency merging power pretraining reporting search sweep training"
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
    plan = pipeline_registry.Plan(sources, stages, measures, ("r_4", "r_8"))
    monkeypatch.setattr(pipeline_registry, "_plan", plan)
    for name, pipeline in register_pipelines().items():
        for node in pipeline.nodes:
            assert "return" in typing.get_type_hints(node.func), f"{name}: {node.name}"


def test_pretraining_makes_a_model_that_transformers_loads(project: Path, tmp_path: Path) -> None:
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
    result = kedro(project, *arguments, MED_LORA_RAW=str(raw))
    assert result.returncode == 0, result.stderr[-2000:]
    folder = newest(project, "06_models/tiny/pretrained_model") / "pretrained_model"
    assert AutoModelForCausalLM.from_pretrained(folder).config.hidden_size == 16
    assert AutoTokenizer.from_pretrained(folder).decode([0]) == "<|endoftext|>"


def test_pretraining_without_its_corpus_is_one_sentence(project: Path) -> None:
    result = kedro(project, "run", "--pipelines=pretraining")
    assert result.returncode == 1
    assert "data/01_raw/general does not exist" in " ".join(result.stderr.split("Error: ")[-1].split())
