"""How an adapter names its base model: by its path, or by its folder alone where a run made that model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from med_lora.datasets import AdapterDataset, Pretrained
from med_lora.datasets.manifest import seal_folder


def named_base(base: Path, target: Path) -> str:
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


def test_model_of_a_folder_keeps_its_path(base_folder: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(base_folder, plain)
    (plain / "_SUCCESS").unlink(missing_ok=True)
    assert named_base(plain, tmp_path / "on_plain") == str(plain)
