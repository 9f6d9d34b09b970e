"""Type of the weights and the attention kernel, by purpose and machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.errors import InputError
from med_lora.models import load_model, weights_dtype
from med_lora.models.loading import check_attention
from tests.models.steps import cpu_precisions, distance, logits
from tests.recipes import hardware, model_params

CPU = hardware()


@pytest.mark.parametrize(
    ("changes", "purpose", "frozen", "expected"),
    [
        ({"precision": "bf16"}, "training", True, torch.float32),
        ({"precision": "fp16"}, "inference", True, torch.float32),
        ({"device": "cuda", "precision": "bf16"}, "training", True, torch.bfloat16),
        ({"device": "cuda", "precision": "fp16"}, "training", True, torch.float16),
        ({"device": "cuda", "precision": "fp32"}, "training", True, torch.float32),
        ({"device": "cuda", "precision": "bf16"}, "training", False, torch.float32),
        ({"device": "cuda", "precision": "fp16"}, "inference", True, torch.float16),
    ],
)
def test_weights_are_as_small_as_they_can_be(
    changes: dict[str, str], purpose: str, frozen: bool, expected: torch.dtype
) -> None:
    assert weights_dtype(hardware(**changes), purpose, frozen=frozen) == expected  # type: ignore[arg-type]


def test_a_model_for_inference_is_the_model_in_fp32_without_dropout(gpt2: BaseModel) -> None:
    model = load_model(gpt2, model_params(), hardware(precision=cpu_precisions()[-1]), purpose="inference")
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    assert not any(module.training for module in model.modules())
    assert torch.equal(logits(model), logits(gpt2.model(torch.float32)))


def test_the_attention_kernel_is_the_environments(llama: BaseModel) -> None:
    eager = load_model(llama, model_params(), hardware(attention="eager"), purpose="inference")
    sdpa = load_model(llama, model_params(), CPU, purpose="inference")
    assert (eager.config._attn_implementation, sdpa.config._attn_implementation) == ("eager", "sdpa")
    assert 0 <= distance(logits(eager), logits(sdpa)) < 1e-4


def test_flash_attention_where_it_cannot_run_is_one_sentence(llama: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    flash = hardware(attention="flash_attention_2")
    with pytest.raises(InputError, match="needs a GPU and 16 bits, and the environment asks for fp32 on cpu"):
        load_model(llama, model_params(), flash, purpose="training")
    gpu = hardware(attention="flash_attention_2", device="cuda", gpu="A100", precision="bf16")
    with pytest.raises(InputError, match="the package flash-attn is not usable here"):
        check_attention(gpu)
    monkeypatch.setattr("transformers.utils.import_utils.is_flash_attn_2_available", lambda: True)
    check_attention(gpu)


@pytest.mark.parametrize(
    ("changes", "purpose", "placed"),
    [
        ({}, "training", True),
        ({"processes": 2}, "training", True),
        ({"sharding": "fsdp"}, "training", True),
        ({"sharding": "fsdp"}, "inference", True),
        ({"sharding": "fsdp", "processes": 2}, "inference", True),
        ({"sharding": "fsdp", "processes": 2}, "training", False),
        ({"sharding": "fsdp", "machines": 2, "rendezvous": "first:29400"}, "training", False),
    ],
)
def test_a_model_that_is_sharded_is_not_put_on_a_card_as_a_whole(
    changes: dict[str, Any], purpose: Any, placed: bool, llama: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr("med_lora.models.loading.prepare_device", lambda _: torch.device("cuda", 1))
    monkeypatch.setattr(BaseModel, "model", lambda _, dtype, **options: given.update(options) or torch.nn.Module())
    machine = hardware(device="cuda", gpu="A100", precision="bf16", **changes)
    load_model(llama, model_params(), machine, purpose=purpose)
    assert given == ({"device_map": {"": "cuda:1"}} if placed else {})


def test_a_model_with_code_of_its_own_is_one_sentence(llama: BaseModel, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(llama.source, tmp_path / "foreign"))
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="needs code of its own, which is never run"):
        load_model(BaseModelDataset(id=str(folder)).load(), model_params(), CPU, purpose="training")
