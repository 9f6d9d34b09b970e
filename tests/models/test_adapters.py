"""A fresh adapter: on which layers, of which kind, and what must not move."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from med_lora.datasets.base_model import BaseModel
from med_lora.errors import InputError
from med_lora.models import attach_adapter, checksums, load_model
from med_lora.models.initialisation import save_adapter
from med_lora.models.targets import resolve_targets
from tests.models.steps import distance, logits, take_step
from tests.recipes import hardware, lora, model_params

CPU = hardware()


def load(base: BaseModel, quantisation: str = "none") -> Any:
    return load_model(base, model_params(quantisation=quantisation), CPU, purpose="training")


def from_config(name: str) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    if name == "opt":
        sizes |= {"ffn_dim": 32, "word_embed_proj_dim": 16}
    config = AutoConfig.for_model(name, **sizes, vocab_size=40, max_position_embeddings=32, pad_token_id=0)
    return AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize(
    ("name", "attention", "feed_forward"),
    [
        ("gpt_neox", ["dense", "query_key_value"], ["dense_4h_to_h", "dense_h_to_4h"]),
        ("phi", ["dense", "k_proj", "q_proj", "v_proj"], ["fc1", "fc2"]),
        ("phi3", ["o_proj", "qkv_proj"], ["down_proj", "gate_up_proj"]),
        ("qwen2", ["k_proj", "o_proj", "q_proj", "v_proj"], ["down_proj", "gate_proj", "up_proj"]),
        ("opt", ["k_proj", "out_proj", "q_proj", "v_proj"], ["fc1", "fc2"]),
    ],
)
def test_layers_are_found_by_structure_in_models_of_any_naming(
    name: str, attention: list[str], feed_forward: list[str]
) -> None:
    model = from_config(name)
    assert resolve_targets(model, "attention") == attention
    found = resolve_targets(model, "attention-mlp")
    assert set(feed_forward) <= set(found)
    assert found == resolve_targets(model, "all-linear")
    assert not any("head" in end or "embed_out" in end for end in found)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_all_linear_is_what_peft_understands_by_it(family: str, request: pytest.FixtureRequest) -> None:
    from peft import LoraConfig, get_peft_model

    base = request.getfixturevalue(family)
    torch.manual_seed(0)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", fan_in_fan_out=family == "gpt2")
    expected = get_peft_model(load(base), config)
    torch.manual_seed(0)
    found = attach_adapter(load(base), lora()).state_dict()
    assert all(torch.equal(value, found[name]) for name, value in expected.state_dict().items())
    assert expected.state_dict().keys() == found.keys()


def test_names_that_do_not_exist_are_told_with_those_that_do(llama: BaseModel) -> None:
    model = load(llama)
    exist = "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj"
    with pytest.raises(InputError, match=rf"'q_prj'.* \(they are {exist}\); did you mean 'q_proj'\?"):
        attach_adapter(model, lora(target_modules=["k_proj", "q_prj"]))
    with pytest.raises(InputError, match=rf"'lm_head'.* \(they are {exist}\); name one of them"):
        attach_adapter(model, lora(target_modules=["lm_head"]))
    with pytest.raises(InputError, match=f"is an empty list; .*: {exist}"):
        attach_adapter(model, lora(target_modules=[]))


@pytest.mark.parametrize("quantisation", ["none", "int8", "nf4"])
def test_a_list_of_names_works_on_layers_of_every_kind(quantisation: str, gpt2: BaseModel) -> None:
    model = attach_adapter(load(gpt2, quantisation), lora(target_modules=["c_attn", "mlp.c_proj"]))
    adapted = {key.split(".lora_A")[0].split(".h.")[1] for key in model.state_dict() if ".lora_A." in key}
    assert adapted == {f"{layer}.{name}" for layer in (0, 1) for name in ("attn.c_attn", "mlp.c_proj")}


def test_only_adapter_weights_ask_for_gradients(tiny_model: Any) -> None:
    model = attach_adapter(tiny_model, lora())
    assert all(("lora_" in name) == value.requires_grad for name, value in model.named_parameters())


def test_checksums_notice_any_moved_weight_and_count_tied_ones_once(gpt2: BaseModel) -> None:
    model: Any = attach_adapter(load(gpt2), lora())
    before = checksums(model)
    assert len(before) == len({value.data_ptr() for value in model.parameters() if not value.requires_grad})
    frozen = {name: value for name, value in model.named_parameters() if not value.requires_grad}
    for name, value in frozen.items():
        flat = value.data.view(-1)
        place = int((flat != flat[0]).nonzero()[0]) if bool((flat != flat[0]).any()) else 0
        kept = flat.clone()
        flat[0], flat[place] = kept[place] + (1 if place == 0 else 0), kept[0] + (1 if place == 0 else 0)
        assert [key for key, digest in checksums(model).items() if digest != before[key]] == [name]
        flat.copy_(kept)
    assert checksums(model) == before


def test_checksums_of_a_sharded_model_are_of_this_process_part(tmp_path: Path) -> None:
    import torch.distributed as distributed
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    layer = torch.nn.Linear(4, 6).requires_grad_(False)
    expected = checksums(layer)
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        layer.weight = torch.nn.Parameter(distribute_tensor(layer.weight, mesh, [Shard(0)]), requires_grad=False)
        assert checksums(layer) == expected
        layer.weight.to_local()[0, 0] += 1  # type: ignore[operator]
        assert checksums(layer) != expected
    finally:
        distributed.destroy_process_group()


def test_rslora_scales_by_the_root_of_the_rank(llama: BaseModel) -> None:
    model = attach_adapter(load(llama), lora(r=16, alpha=8, use_rslora=True))
    layer: Any = model.get_base_model().model.layers[0].mlp.up_proj  # type: ignore[union-attr]
    assert layer.scaling["default"] == 2.0


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("quantisation", ["none", "nf4"])
def test_dora_trains_a_magnitude_and_begins_at_the_base(
    family: str, quantisation: str, request: pytest.FixtureRequest
) -> None:
    base = request.getfixturevalue(family)
    plain = logits(load(base, quantisation))
    model = attach_adapter(load(base, quantisation), lora(use_dora=True))
    assert distance(logits(model), plain) < 1e-4
    magnitudes = {name: value.detach().clone() for name, value in model.named_parameters() if "magnitude" in name}
    assert magnitudes
    frozen = checksums(model)
    losses = [take_step(model) for _ in range(3)]
    assert losses[2] < losses[0]
    assert checksums(model) == frozen
    assert all(not torch.equal(value, magnitudes[name]) for name, value in model.named_parameters() if "magni" in name)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("rslora", [False, True])
def test_pissa_is_saved_as_plain_lora_over_the_original_base(
    family: str, rslora: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    from peft import PeftModel

    base = request.getfixturevalue(family)
    plain, original = logits(load(base)), load(base)
    model = attach_adapter(load(base), lora(initialisation="pissa", use_rslora=rslora))
    assert distance(logits(model), plain) < 1e-4
    residual = model.get_base_model().state_dict()
    assert any(
        not torch.equal(value, residual[name.replace(".weight", ".base_layer.weight")])
        for name, value in original.state_dict().items()
        if name.replace(".weight", ".base_layer.weight") in residual
    )
    frozen = checksums(model)
    take_step(model)
    assert checksums(model) == frozen
    trained = logits(model)
    assert distance(trained, plain) > 1e-2
    save_adapter(model, tmp_path)
    saved = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (saved["r"], saved["init_lora_weights"], saved["use_rslora"]) == (8, True, False)
    assert torch.equal(logits(model), trained)  # saving changes nothing of the model
    attached = PeftModel.from_pretrained(load(base), str(tmp_path))
    assert distance(logits(attached), trained) < 1e-4


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_loftq_makes_up_for_part_of_what_nf4_loses(family: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    from peft import PeftModel

    base = request.getfixturevalue(family)
    plain = logits(base.model("float32"))
    quantised = logits(load(base, "nf4"))
    errors = []
    for rank in (4, 16, 32):  # 32 is the width of the model: nothing is lost any more
        model = attach_adapter(load(base, "nf4"), lora(r=rank, alpha=8, initialisation="loftq"), base)
        errors.append(distance(logits(model), plain))
    assert distance(quantised, plain) > errors[1] > errors[2]
    assert errors[2] < 1e-3
    frozen = checksums(model)
    take_step(model)
    assert checksums(model) == frozen
    save_adapter(model, tmp_path)
    attached = PeftModel.from_pretrained(load(base, "nf4"), str(tmp_path))
    assert distance(logits(attached), logits(model)) < 1e-6


@pytest.mark.parametrize(
    ("quantisation", "changes", "message"),
    [
        ("nf4", {"initialisation": "pissa"}, "is pissa, which changes the base weights"),
        ("none", {"initialisation": "loftq"}, r"is loftq, .*; set model\.quantisation to nf4"),
        ("int8", {"initialisation": "loftq"}, r"is loftq, .*; set model\.quantisation to nf4"),
        ("none", {"initialisation": "pissa", "use_dora": True}, "is pissa, which does not go with .*use_dora"),
        ("int8", {"use_dora": True}, "use_dora does not work on 8-bit weights on a CPU"),
    ],
)
def test_variants_that_do_not_go_together_are_refused(
    quantisation: str, changes: dict[str, Any], message: str, llama: BaseModel
) -> None:
    with pytest.raises(InputError, match=message):
        attach_adapter(load(llama, quantisation), lora(**changes), llama)
