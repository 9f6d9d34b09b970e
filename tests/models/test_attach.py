"""A saved adapter goes on the base model and tokenizer it was trained with, and on no other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.errors import InputError
from med_lora.models import attach_adapter, attach_saved, load_model
from med_lora.models.attach import check_origin
from med_lora.models.initialisation import save_adapter
from med_lora.provenance import RECORD_FILE, describe_base
from tests.models.steps import logits, take_step
from tests.recipes import hardware, lora, model_params

CPU = hardware()


@pytest.fixture
def adapter(llama: BaseModel, tmp_path: Path) -> Path:
    """An adapter after one step, with the record that training leaves."""
    folder = tmp_path / "adapter"
    model = attach_adapter(load_model(llama, model_params(), CPU, purpose="training"), lora())
    take_step(model)
    save_adapter(model, folder)
    (folder / RECORD_FILE).write_text(json.dumps(describe_base(llama, "none")))
    return folder


def change_record(folder: Path, **changes: object) -> None:
    record = json.loads((folder / RECORD_FILE).read_text())
    kept = {key: value for key, value in (record | changes).items() if value is not None}
    (folder / RECORD_FILE).write_text(json.dumps(kept))


def test_an_adapter_goes_on_being_trained_where_it_stopped(llama: BaseModel, adapter: Path) -> None:
    attached = attach_saved(load_model(llama, model_params(), CPU, purpose="training"), adapter, llama, trainable=True)
    assert all(("lora_" in name) == value.requires_grad for name, value in attached.named_parameters())
    before = logits(attached)
    first, second = take_step(attached), take_step(attached)
    assert second < first
    assert not torch.equal(logits(attached), before)


def test_an_adapter_of_another_base_of_equal_shape_is_refused(llama: BaseModel, adapter: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(llama.source, twin)
    other = llama.model("float32")
    with torch.no_grad():
        other.get_input_embeddings().weight[0] += 1
    other.save_pretrained(twin)
    handle = BaseModelDataset(id=str(twin)).load()
    with pytest.raises(InputError, match=r"was trained on .* and not on this run's model, .*; set model\.id"):
        attach_saved(handle.model("float32"), adapter, handle)
    shutil.copytree(llama.source, tmp_path / "moved")  # the same files elsewhere are the same model
    moved = BaseModelDataset(id=str(tmp_path / "moved")).load()
    attach_saved(moved.model("float32"), adapter, moved)


def test_an_adapter_of_another_tokenizer_is_refused(llama: BaseModel, adapter: Path) -> None:
    change_record(adapter, tokenizer_sha256="0" * 64)
    with pytest.raises(InputError, match="was trained with another tokenizer"):
        attach_saved(llama.model("float32"), adapter, llama)


def test_a_record_from_before_the_tokenizer_was_noted_is_refused(llama: BaseModel, adapter: Path) -> None:
    change_record(adapter, tokenizer_sha256=None)
    with pytest.raises(InputError, match=r"does not tell the adapter's origin; train it again"):
        check_origin(adapter, llama)
    (adapter / RECORD_FILE).unlink()
    with pytest.raises(InputError, match=r"med_lora\.json is missing"):
        check_origin(adapter, llama)


def test_the_tokenizers_hash_is_of_what_decides_its_tokens(
    family_model: Callable[[str], BaseModel], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(family_model("llama3").source, tmp_path / "model"))
    handle = BaseModelDataset(id=str(folder)).load()
    before = handle.tokenizer_sha256()
    assert before != family_model("llama2").tokenizer_sha256()
    assert before == family_model("llama31").tokenizer_sha256()  # which differs by its chat template alone
    (folder / "README.md").write_text("not part of it")
    (folder / "model.safetensors").touch()
    assert BaseModelDataset(id=str(folder)).load().tokenizer_sha256() == before
    tokenizer = handle.tokenizer()
    tokenizer.add_tokens(["phlebotomy"])
    tokenizer.save_pretrained(folder)
    assert handle.tokenizer_sha256() != before


def test_a_hub_tokenizer_is_hashed_as_it_is_loaded(
    family_model: Callable[[str], BaseModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = {"a": family_model("llama3"), "b": family_model("llama31"), "c": family_model("llama2")}
    tokenizers = {name: base.tokenizer() for name, base in loaded.items()}
    monkeypatch.setattr(BaseModel, "tokenizer", lambda self: tokenizers[self.revision[0]])
    first, second, third = (BaseModel("org/model", name * 40, None).tokenizer_sha256() for name in loaded)
    assert first == second != third
    tokenizers["d"] = tokenizers["a"]
    tokenizers["d"](["a", "bb cc"], padding=True, truncation=True, max_length=2)  # leaves traces in the tokenizer
    assert BaseModel("org/model", "d" * 40, None).tokenizer_sha256() == first


def test_a_hub_model_at_its_commit_is_told_from_the_same_files_in_a_folder(
    llama: BaseModel, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "1" * 40
    snapshot = tmp_path / "cache" / "models--org--tiny" / "snapshots" / commit
    shutil.copytree(llama.source, snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    hub = BaseModelDataset(id="org/tiny", revision=commit).load()
    model = load_model(hub, model_params(id="org/tiny", revision=commit), CPU, purpose="inference")
    assert torch.equal(logits(model), logits(llama.model("float32")))
    with pytest.raises(
        InputError, match=rf"was trained on .* and not on this run's model, org/tiny \(commit {commit}\)"
    ):
        attach_saved(model, adapter, hub)
    (adapter / RECORD_FILE).write_text(json.dumps(describe_base(hub, "none")))
    attach_saved(model, adapter, hub)
    with pytest.raises(InputError, match=r"was trained on org/tiny \(commit 1+\) and not"):
        attach_saved(model, adapter, llama)
