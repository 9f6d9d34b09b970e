"""A base model is read once, and an adapter leaves no trace on it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.models import session as session_module
from med_lora.models.session import ModelSession, open_session
from med_lora.parameters import PromptParams
from med_lora.provenance import RECORD_FILE, describe_origin
from tests import recipes

IDS = torch.tensor([[5, 9, 12, 7, 30, 41]])
VARIANTS: dict[str, dict[str, Any]] = {
    "lora": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "all_linear": {"target_modules": "all-linear"},
    "whole_head": {"modules_to_save": ["lm_head"]},
}


@pytest.fixture
def save_adapter(llama: BaseModel, tmp_path: Path) -> Callable[..., PretrainedFolder]:
    """Saves an adapter of random weights with the record that training leaves, by name."""
    import pandas as pd
    from peft import LoraConfig, get_peft_model

    def save(name: str, seed: int = 1, base_model: BaseModel = llama, **settings: Any) -> PretrainedFolder:
        torch.manual_seed(seed)
        given = {"target_modules": ["q_proj", "v_proj"], "r": 4, "init_lora_weights": False} | settings
        model = get_peft_model(base_model.model("float32"), LoraConfig(task_type="CAUSAL_LM", **given))
        for key, value in model.named_parameters():
            if "modules_to_save" in key:
                torch.nn.init.normal_(value, std=0.2)
        folder = tmp_path / name
        model.save_pretrained(str(folder))
        pairs = pd.DataFrame({"id": ["a"], "question": ["q"], "answer": ["a"]})
        origin = describe_origin(base_model, pairs, PromptParams(template="plain", system=None))
        (folder / RECORD_FILE).write_text(json.dumps(origin))
        return PretrainedFolder(folder, name)

    return save


@pytest.fixture
def session(llama: BaseModel) -> ModelSession:
    return open_session(llama, recipes.model_params(), recipes.hardware(threads=1))


def logits(session: ModelSession, adapter: PretrainedFolder | None) -> torch.Tensor:
    with session.arm(adapter) as model, torch.inference_mode():
        return model(IDS).logits


@pytest.mark.parametrize("variant", VARIANTS)
def test_base_logits_are_bit_for_bit_those_without_an_adapter(
    variant: str, llama: BaseModel, session: ModelSession, save_adapter: Callable[..., PretrainedFolder]
) -> None:
    from peft import PeftModel

    adapter = save_adapter(variant, **VARIANTS[variant])
    with torch.inference_mode():
        untouched = llama.model("float32").eval()(IDS).logits
        apart = PeftModel.from_pretrained(llama.model("float32"), str(adapter.path)).eval()(IDS).logits
    tuned = logits(session, adapter)
    assert torch.equal(logits(session, None), untouched)
    assert torch.equal(tuned, apart)
    assert torch.equal(logits(session, adapter), apart)
    assert torch.equal(logits(session, None), untouched)
    assert not torch.equal(tuned, untouched)


def test_a_trained_pissa_adapter_leaves_the_base_alone(llama: BaseModel, session: ModelSession, tmp_path: Path) -> None:
    """PiSSA takes its beginning out of the base weights; what is saved must not do so again when it is attached."""
    from med_lora.models.adapters import attach_adapter
    from med_lora.models.initialisation import save_adapter

    tuned = attach_adapter(llama.model("float32"), recipes.lora(initialisation="pissa"))
    with torch.no_grad():
        for key, value in tuned.named_parameters():
            if "lora_B" in key:
                value.add_(0.1)
    save_adapter(tuned, tmp_path)
    record = {
        "base_model": {"source": llama.source, "revision": None, "sha256": llama.sha256},
        "tokenizer_sha256": llama.tokenizer_sha256(),
    }
    (tmp_path / RECORD_FILE).write_text(json.dumps(record))
    untouched = logits(session, None)
    changed = logits(session, PretrainedFolder(tmp_path, "pissa"))
    assert torch.equal(logits(session, None), untouched)
    with torch.inference_mode():
        torch.testing.assert_close(changed, tuned.eval()(IDS).logits, rtol=1e-4, atol=1e-4)


def test_another_adapter_takes_the_place_of_the_first(
    llama: BaseModel, session: ModelSession, save_adapter: Callable[..., PretrainedFolder]
) -> None:
    first, second = save_adapter("first", modules_to_save=["lm_head"]), save_adapter("second", seed=2, use_dora=True)
    fresh = logits(open_session(llama, session.model, session.hardware), second)
    untouched, of_first = logits(session, None), logits(session, first)
    assert torch.equal(logits(session, second), fresh)
    assert torch.equal(logits(session, first), of_first)
    assert torch.equal(logits(session, None), untouched)


def test_weights_and_tokenizer_are_read_once_and_not_before_they_are_asked_for(
    session: ModelSession, save_adapter: Callable[..., PretrainedFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []
    load = session_module.load_model
    monkeypatch.setattr(session_module, "load_model", lambda *given, **named: loads.append(1) or load(*given, **named))
    first, second = save_adapter("first"), save_adapter("second", seed=2)
    assert session.tokenizer() is session.tokenizer()
    assert loads == []
    for adapter in (None, first, None, second, first, None):
        logits(session, adapter)
    assert loads == [1]


def test_an_arm_never_drops_out_and_is_fp32_on_a_cpu(
    session: ModelSession, save_adapter: Callable[..., PretrainedFolder]
) -> None:
    adapter = save_adapter("dropping", lora_dropout=0.5)
    for given in (None, adapter, None, adapter):
        with session.arm(given) as model:
            assert not any(module.training for module in model.modules())
            assert {str(weight.dtype) for weight in model.parameters()} == {f"torch.{session.dtype}"}
    assert session.dtype == "float32"


@pytest.mark.parametrize(("quantisation", "stored"), [("int8", "torch.int8"), ("nf4", "torch.uint8")])
def test_a_quantised_base_is_the_same_with_the_adapter_switched_off(
    quantisation: str, stored: str, llama: BaseModel, save_adapter: Callable[..., PretrainedFolder]
) -> None:
    session = open_session(llama, recipes.model_params(quantisation=quantisation), recipes.hardware(threads=1))
    untouched = logits(session, None)
    tuned = logits(session, save_adapter("adapter"))
    assert torch.equal(logits(session, None), untouched)
    assert not torch.equal(tuned, untouched)
    with session.arm(None) as model:
        assert stored in {str(weight.dtype) for weight in model.parameters()}


def test_the_adapter_of_another_base_is_refused_before_weights_are_read(
    llama: BaseModel, save_adapter: Callable[..., PretrainedFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "load_model", lambda *given, **named: pytest.fail("weights were read"))
    other = open_session(replace(llama, sha256="c" * 64), recipes.model_params(), recipes.hardware())
    adapter = save_adapter("a")
    with pytest.raises(InputError, match=r"was trained on .* and not on this run"), other.arm(adapter):
        pass


@pytest.mark.parametrize("lost", ["adapter_config.json", "adapter_model.safetensors", RECORD_FILE])
def test_an_adapter_without_its_files_is_one_sentence(
    lost: str, session: ModelSession, save_adapter: Callable[..., PretrainedFolder]
) -> None:
    adapter = save_adapter("torn")
    (adapter.path / lost).unlink()
    with pytest.raises(InputError, match=lost.replace(".", r"\.")) as caught, session.arm(adapter):
        pass
    assert str(caught.value).count(". ") == 0
    logits(session, None)


def test_a_failed_attachment_leaves_a_session_that_works(
    session: ModelSession, save_adapter: Callable[..., PretrainedFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    from med_lora.models import attach

    adapter, untouched = save_adapter("adapter"), logits(session, None)

    def attach_half(model: Any, *given: Any, **named: Any) -> Any:
        attach.attach_saved(model, *given, **named)
        raise RuntimeError("size mismatch")

    with monkeypatch.context() as patch:
        patch.setattr(session_module, "attach_saved", attach_half)
        with pytest.raises(RuntimeError, match="size mismatch"):
            logits(session, adapter)
    assert torch.equal(logits(session, None), untouched)


def test_one_arm_at_a_time(session: ModelSession, save_adapter: Callable[..., PretrainedFolder]) -> None:
    adapter = save_adapter("adapter")
    expected = {name: logits(session, given) for name, given in (("base", None), ("tuned", adapter))}
    with session.arm(None), pytest.raises(RuntimeError, match="one arm at a time"), session.arm(adapter):
        pass
    found: list[bool] = []

    def ask(name: str, given: PretrainedFolder | None) -> None:
        for _ in range(10):
            found.append(torch.equal(logits(session, given), expected[name]))

    threads = [threading.Thread(target=ask, args=given) for given in (("base", None), ("tuned", adapter))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 20
