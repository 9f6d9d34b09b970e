"""How an adapter names its base model: by a path within the project, else by its folder alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from med_lora.datasets import AdapterDataset, Pretrained
from med_lora.datasets.manifest import seal_folder


def named_base(base: str | Path, target: Path) -> str:
    model = AutoModelForCausalLM.from_pretrained(base)
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"]))
    stored = AdapterDataset(filepath=target)
    stored.save(Pretrained(adapted))
    name: str = json.loads((stored.load().path / "adapter_config.json").read_text())["base_model_name_or_path"]
    return name


def test_model_that_a_run_made_is_named_without_the_version_in_its_path(base_folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "2026-11-20T03.14.00.123Z" / "domain_model"
    shutil.copytree(base_folder, made)
    seal_folder(made)
    assert named_base(made, tmp_path / "on_made") == "domain_model"


@pytest.mark.parametrize(
    ("given", "project", "named"),
    [
        ("{here}/models/plain", ".", "models/plain"),
        ("models/plain", ".", "models/plain"),
        ("{here}/models/plain", "elsewhere", "plain"),
        ("{here}/models/plain/", "models", "plain"),
    ],
)
def test_model_of_a_folder_is_named_without_a_path_of_this_machine(
    base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, project: str, named: str
) -> None:
    shutil.copytree(base_folder, tmp_path / "models" / "plain")
    (tmp_path / "models" / "plain" / "_SUCCESS").unlink(missing_ok=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / project)
    assert named_base(given.format(here=tmp_path), tmp_path / "adapter") == named


def test_adapter_whose_base_is_named_by_its_folder_is_loaded_on_the_base_that_is_given(
    base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert named_base(base_folder, tmp_path / "adapter") == base_folder.name
    model = AutoModelForCausalLM.from_pretrained(base_folder)
    adapted = PeftModel.from_pretrained(model, AdapterDataset(filepath=tmp_path / "adapter").load().path)
    assert adapted.merge_and_unload().config.model_type == model.config.model_type
