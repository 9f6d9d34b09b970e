"""8 and 4 bits, on a CPU: what is quantised, that it stays as it is, and what is refused."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

import med_lora.models.quantisation as quantisation
from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.errors import InputError
from med_lora.models import attach_adapter, attach_saved, checksums, load_model
from med_lora.models.initialisation import save_adapter
from med_lora.models.targets import linear_layers
from med_lora.provenance import RECORD_FILE, describe_base
from tests.models.steps import IDS, cpu_precisions, distance, logits, take_step
from tests.recipes import hardware, lora, model_params

CPU = hardware()
FIRST = {
    "llama": "base_model.model.model.layers.0.self_attn.q_proj.base_layer",
    "gpt2": "base_model.model.transformer.h.0.attn.c_attn.base_layer",
}


def load(base: BaseModel, kind: str, **changes: Any) -> Any:
    return load_model(base, model_params(quantisation=kind), hardware(**changes), purpose="training")


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize(("kind", "stored", "loss"), [("int8", torch.int8, 0.01), ("nf4", torch.uint8, 0.1)])
def test_all_linear_layers_but_the_head_are_quantised_and_nearly_the_same(
    family: str, kind: str, stored: torch.dtype, loss: float, request: pytest.FixtureRequest
) -> None:
    from peft.utils.integrations import dequantize_module_weight

    base = request.getfixturevalue(family)
    model, plain = load(base, kind), base.model("float32")
    layers, originals = linear_layers(model), linear_layers(plain)
    assert {layer.weight.dtype for layer in layers.values()} == {stored}
    assert set(layers) == set(originals)
    assert model.get_output_embeddings().weight.dtype == torch.float32
    assert distance(logits(model), logits(plain)) > 0
    for name, layer in layers.items():
        original = originals[name].weight.T if family == "gpt2" else originals[name].weight  # its Conv1D is [in, out]
        lost = dequantize_module_weight(layer).detach() - original.detach()
        assert float(lost.norm() / original.detach().norm()) < loss


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("kind", ["int8", "nf4"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_adapter_learns_on_quantised_weights_that_do_not_move(
    family: str, kind: str, precision: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if precision not in cpu_precisions():
        pytest.skip("this CPU has no bf16 instructions")
    base = request.getfixturevalue(family)
    model = attach_adapter(load(base, kind, precision=precision), lora())
    frozen = checksums(model)
    assert f"{FIRST[family]}.weight" in frozen
    assert (f"{FIRST[family]}.SCB" in frozen) == (kind == "int8")
    dtype = torch.bfloat16 if precision == "bf16" else None
    losses = [take_step(model, dtype=dtype) for _ in range(3)]
    assert losses[2] < losses[0]
    assert checksums(model) == frozen
    assert {value.dtype for value in model.parameters() if value.requires_grad} == {torch.float32}
    save_adapter(model, tmp_path)
    (tmp_path / RECORD_FILE).write_text(json.dumps(describe_base(base, kind)))
    evaluated = load_model(base, model_params(quantisation=kind), CPU, purpose="inference")
    attached = attach_saved(evaluated, tmp_path, base)
    assert distance(logits(attached), logits(model)) < (1e-6 if dtype is None else 0.2)


@pytest.mark.parametrize("kind", ["int8", "nf4"])
def test_checksums_notice_a_moved_scale(kind: str, llama: BaseModel) -> None:
    model = attach_adapter(load(llama, kind), lora())
    before = checksums(model)
    layer = model.get_base_model().model.layers[0].mlp.up_proj.get_base_layer()
    scale = layer.weight.SCB if kind == "int8" else layer.weight.quant_state.absmax
    scale += 1
    assert [name.rpartition(".")[0] for name, value in checksums(model).items() if value != before[name]] == [
        "base_model.model.model.layers.0.mlp.up_proj.base_layer"
    ]


@pytest.mark.parametrize("width", [16, 48, 64, 96, 100, 352])
@pytest.mark.parametrize("rows", [1, 3, 32])
def test_4_bits_are_right_for_rows_of_any_width(rows: int, width: int) -> None:
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    quantisation.mend_dequantisation()
    weight = torch.randn(rows, width, generator=torch.Generator().manual_seed(0))
    packed, state = quantize_4bit(weight, quant_type="nf4", blocksize=64)
    found = dequantize_4bit(packed, state)
    assert found.shape == weight.shape
    scales = state.absmax.repeat_interleave(64)[: weight.numel()].view_as(weight)
    assert float(((found - weight).abs() / scales).max()) < 0.16  # half of the widest gap between two levels


def gradients(model: Any) -> list[torch.Tensor]:
    model.train()
    model(input_ids=IDS, labels=IDS, use_cache=False).loss.backward()
    return [value.grad.clone() for value in model.parameters() if value.requires_grad]


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_validation_in_between_leaves_nf4_gradients_as_they_are(family: str, request: pytest.FixtureRequest) -> None:
    base = request.getfixturevalue(family)
    expected, found = [], []
    for validated, result in ((False, expected), (True, found)):
        torch.manual_seed(0)
        model = attach_adapter(load(base, "nf4"), lora())
        for value in model.parameters():
            if value.requires_grad:
                torch.nn.init.normal_(value, std=0.1)
        if validated:
            logits(model)
        result += gradients(model)
    assert all(torch.equal(first, second) for first, second in zip(expected, found, strict=True))


def test_double_quantisation_and_the_arithmetic_follow_the_settings(llama: BaseModel) -> None:
    layer = load(llama, "nf4").model.layers[0].mlp.up_proj
    assert layer.weight.quant_state.nested
    assert layer.weight.quant_state.quant_type == "nf4"
    assert layer.compute_dtype == torch.float32
    options = quantisation.quantisation_options("nf4", torch.bfloat16, torch.float16, hardware(sharding="fsdp"))
    assert options["quantization_config"].bnb_4bit_compute_dtype == torch.float16
    assert options["quantization_config"].bnb_4bit_quant_storage == torch.uint8
    sharded = hardware(sharding="fsdp", device="cuda", gpu="H100")
    options = quantisation.quantisation_options("nf4", torch.bfloat16, torch.bfloat16, sharded)
    assert options["quantization_config"].bnb_4bit_quant_storage == torch.bfloat16


@pytest.mark.parametrize("kind", ["int8", "nf4"])
def test_quantised_weights_cannot_be_trained_themselves(kind: str, llama: BaseModel) -> None:
    with pytest.raises(InputError, match=f"quantisation is {kind} and training.method is full"):
        load_model(llama, model_params(quantisation=kind), CPU, purpose="training", frozen=False)


def quantised_checkpoint(base: BaseModel, folder: Path, method: str) -> BaseModel:
    shutil.copytree(base.source, folder)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": method, "bits": 4}
    (folder / "config.json").write_text(json.dumps(config))
    return BaseModelDataset(id=str(folder)).load()


@pytest.mark.parametrize("kind", ["none", "int8", "nf4"])
def test_a_checkpoint_that_is_quantised_already_is_not_quantised_again(
    kind: str, llama: BaseModel, tmp_path: Path
) -> None:
    gptq = quantised_checkpoint(llama, tmp_path / "gptq", "gptq")
    with pytest.raises(InputError, match=rf"already quantised \(gptq\) and model\.quantisation is {kind}; set .* gptq"):
        load(gptq, kind)
    other = quantised_checkpoint(llama, tmp_path / "awq", "awq")
    with pytest.raises(InputError, match=r"already quantised \(awq\) .*; choose its unquantised original"):
        load(other, kind)


def test_gptq_needs_a_checkpoint_of_its_own_and_the_extra(
    llama: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"is no GPTQ checkpoint \(its config\.json has no"):
        load(llama, "gptq")
    checkpoint = quantised_checkpoint(llama, tmp_path / "gptq", "gptq")
    monkeypatch.setattr(quantisation, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs gptqmodel and optimum; install .* requirements-gptq\.lock"):
        load(checkpoint, "gptq")
    monkeypatch.setattr(quantisation, "find_spec", lambda name: name)
    quantisation.check_quantisation(checkpoint, "gptq", CPU, frozen=True)
    config = quantisation.quantisation_options("gptq", torch.float32, torch.float32, CPU)["quantization_config"]
    assert (config.bits, config.backend) == (4, "gptq_torch")


@pytest.mark.skipif(find_spec("gptqmodel") is None or find_spec("optimum") is None, reason="the extra gptq is missing")
def test_an_adapter_learns_on_a_gptq_checkpoint(llama: BaseModel, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, GPTQConfig

    from tests.prompts.families import TEXT

    tokenizer = llama.tokenizer()
    config = GPTQConfig(bits=4, group_size=16, dataset=TEXT, tokenizer=tokenizer, backend="gptq_torch", model_seqlen=32)
    made = AutoModelForCausalLM.from_pretrained(llama.source, quantization_config=config, dtype=torch.float32)
    made.save_pretrained(tmp_path / "gptq")
    tokenizer.save_pretrained(tmp_path / "gptq")
    base = BaseModelDataset(id=str(tmp_path / "gptq")).load()
    model = attach_adapter(load(base, "gptq"), lora())
    frozen = checksums(model)
    assert any(name.endswith(".qweight") for name in frozen)
    losses = [take_step(model) for _ in range(3)]
    assert losses[2] < losses[0]
    assert checksums(model) == frozen


def test_a_gpu_needs_a_wheel_for_it_and_8_bits_a_chip_for_them(
    llama: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = hardware(device="cuda", gpu="V100", precision="fp16")
    with pytest.raises(InputError, match="bitsandbytes has no library for CUDA"):
        quantisation.check_quantisation(llama, "nf4", gpu, frozen=True)
    monkeypatch.setattr("bitsandbytes.cextension.lib.compiled_with_cuda", True, raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla V100-SXM2-16GB")
    quantisation.check_quantisation(llama, "nf4", gpu, frozen=True)
    with pytest.raises(InputError, match="Tesla V100-SXM2-16GB has no 8-bit matrix instructions"):
        quantisation.check_quantisation(llama, "int8", gpu, frozen=True)
