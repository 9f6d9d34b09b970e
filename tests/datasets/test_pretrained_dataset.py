"""Models and adapters in folders: what is written, what is refused, and that peft alone can load them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch
from kedro.io import DataCatalog, Version
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from med_lora.datasets import AdapterDataset, Pretrained, PretrainedDataset
from med_lora.datasets.manifest import seal_folder
from med_lora.errors import InputError

IDS = torch.tensor([[3, 4, 5, 6, 7]])


@pytest.fixture
def base(base_folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(base_folder)


@pytest.fixture
def adapted(base: Any) -> Any:
    """A LoRA adapter that changes the output."""
    torch.manual_seed(1)
    config = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj", "v_proj", "up_proj", "down_proj"])
    model = get_peft_model(base, config).eval()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    return model


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        output: torch.Tensor = model(input_ids=IDS).logits
    return output


@pytest.mark.parametrize("version", [None, Version(None, "v1")], ids=["plain", "versioned"])
@pytest.mark.parametrize("where", ["local", "memory"])
def test_peft_loads_what_was_saved(
    where: str,
    version: Version | None,
    adapted: Any,
    base_folder: Path,
    tmp_path: Path,
    memory: fsspec.AbstractFileSystem,
) -> None:
    filepath = "memory:///models/adapter" if where == "memory" else str(tmp_path / "adapter")
    dataset = AdapterDataset(filepath=filepath, version=version)
    dataset.save(Pretrained(adapted, files={"README.md": "Ours.\n", "notes/recipe.yml": "steps: 3\n"}))
    handle = dataset.load()
    fresh = AutoModelForCausalLM.from_pretrained(base_folder)
    loaded = PeftModel.from_pretrained(fresh, handle.path)
    assert torch.equal(logits(loaded), logits(adapted))
    with loaded.disable_adapter():
        assert not torch.equal(logits(loaded), logits(adapted))
    assert (handle.path / "README.md").read_text() == "Ours.\n"
    assert (handle.path / "notes/recipe.yml").read_text() == "steps: 3\n"
    config = json.loads((handle.path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == base_folder.name
    assert config["target_modules"] == ["down_proj", "q_proj", "up_proj", "v_proj"]


def test_the_card_of_peft_stays_when_none_is_given(adapted: Any, tmp_path: Path) -> None:
    dataset = AdapterDataset(filepath=tmp_path / "adapter")
    dataset.save(Pretrained(adapted))
    assert "library_name: peft" in (dataset.load().path / "README.md").read_text()


def test_a_whole_model_with_its_tokenizer_comes_back(base: Any, base_folder: Path, tmp_path: Path) -> None:
    catalog = DataCatalog.from_config(
        {"model": {"type": "med_lora.datasets.PretrainedDataset", "filepath": str(tmp_path / "model")}}
    )
    catalog.save("model", Pretrained(base, AutoTokenizer.from_pretrained(base_folder)))
    handle = catalog.load("model")
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(handle.path)), logits(base))
    assert AutoTokenizer.from_pretrained(handle.path)("what helps")["input_ids"] == [3, 4]
    assert not list(handle.path.rglob("*.bin"))


CREATE_ADAPTER = """
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
from med_lora.datasets import AdapterDataset, Pretrained

def create(base, folder):
    torch.manual_seed(0)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj"]
    config = LoraConfig(r=2, target_modules=targets, exclude_modules=["up_proj", "down_proj"])
    stored = AdapterDataset(filepath=folder)
    stored.save(Pretrained(get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)))
    return stored.load().sha256
"""


def test_equal_adapters_have_equal_folders_in_every_process(
    base_folder: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    script = f"import sys\n{CREATE_ADAPTER}\nsys.stdout.write(create(sys.argv[1], sys.argv[2]))"
    result = subprocess.run(
        [sys.executable, "-c", script, str(base_folder), str(tmp_path / "there")],
        env={**environment, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    names: dict[str, Any] = {}
    exec(CREATE_ADAPTER, names)
    assert names["create"](str(base_folder), tmp_path / "here") == result.stdout


def test_a_model_without_safetensors_is_refused(tmp_path: Path) -> None:
    class Pickler:
        def save_pretrained(self, save_directory: str) -> None:
            Path(save_directory, "pytorch_model.bin").touch()

    with pytest.raises(InputError, match=r"wrote no \.safetensors file"):
        PretrainedDataset(filepath=tmp_path / "model").save(Pretrained(Pickler()))
    assert list(tmp_path.iterdir()) == []


def test_safetensors_are_asked_for_where_there_is_a_choice(tmp_path: Path) -> None:
    class Either:
        def save_pretrained(self, save_directory: str, safe_serialization: bool = False) -> None:
            Path(save_directory, "model.safetensors" if safe_serialization else "model.bin").touch()

    PretrainedDataset(filepath=tmp_path / "model").save(Pretrained(Either()))
    assert (tmp_path / "model" / "model.safetensors").exists()


@pytest.mark.parametrize("name", ["../outside.md", "/outside.md", "_SUCCESS", ""])
def test_files_stay_inside_the_folder(name: str, artifact: Any, tmp_path: Path) -> None:
    data = Pretrained(artifact("text").model, files={name: "x"})
    with pytest.raises(InputError, match="cannot hold a file named"):
        PretrainedDataset(filepath=tmp_path / "models" / "model").save(data)
    assert not list(tmp_path.rglob("outside.md"))


def test_other_types_are_refused(adapted: Any, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="saves a Pretrained, not a PeftModelForCausalLM"):
        AdapterDataset(filepath=tmp_path / "adapter").save(adapted)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_that_are_not_finite_are_not_saved(
    adapted: Any, tmp_path: Path, value: float, dtype: torch.dtype
) -> None:
    adapted.to(dtype)
    next(p for n, p in adapted.named_parameters() if "lora_A" in n).data[0, 0] = value
    with pytest.raises(InputError, match="holds values that are not finite in base_model"):
        AdapterDataset(filepath=tmp_path / "adapter").save(Pretrained(adapted))
    assert list(tmp_path.iterdir()) == []


def test_a_plain_model_is_no_adapter(base: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no adapter_config\.json, so it is no adapter"):
        AdapterDataset(filepath=tmp_path / "adapter").save(Pretrained(base))


def test_an_adapter_of_another_name_is_refused(base: Any, tmp_path: Path) -> None:
    model = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"]), adapter_name="other")
    with pytest.raises(InputError, match=r"has no adapter_config\.json"):
        AdapterDataset(filepath=tmp_path / "adapter").save(Pretrained(model))


def change_weights(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        file = folder / "adapter_model.safetensors"
        save_file(change(load_file(file)), file)

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change_weights(lambda _: {}), "holds no weights"),
        (change_weights(lambda _: {"empty": torch.zeros(0)}), "holds no weights"),
        (change_weights(lambda all_: {name: tensor / 0 for name, tensor in all_.items()}), "not finite"),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b""), "is not a safetensors file"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "has no adapter_model.safetensors"),
        (lambda folder: (folder / "adapter_config.json").unlink(), "has no adapter_config.json"),
    ],
    ids=["no tensors", "empty tensor", "not finite", "empty file", "no weights", "no configuration"],
)
def test_loading_checks_the_adapter_even_if_its_manifest_agrees(
    adapted: Any, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    dataset = AdapterDataset(filepath=tmp_path / "adapter")
    dataset.save(Pretrained(adapted))
    damage(tmp_path / "adapter")
    with pytest.raises(InputError, match=r"instead of|has changed|is missing"):
        dataset.load()
    seal_folder(tmp_path / "adapter")
    with pytest.raises(InputError, match=message):
        dataset.load()
