"""The pipeline `merging`: from what training saved to a folder that needs neither peft nor this project."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset

from med_lora.datasets import PretrainedDataset
from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.parameters import MergingParams, PromptParams
from med_lora.pipelines.merging.pipeline import create_pipeline
from med_lora.pipelines.stages import Stages
from med_lora.provenance import describe_origin
from tests import recipes
from tests.pipelines.training.recipes import save_base

PROMPT = PromptParams(template="plain", system=None)


class Split:
    def __init__(self, count: int) -> None:
        rows = [(f"t:{number}", f"what is gout {number}?", f"a painful toe {number}.") for number in range(count)]
        self.frame = pd.DataFrame(rows, columns=["id", "question", "answer"])

    def to_pandas(self) -> pd.DataFrame:
        return self.frame.copy()


TRAIN = Split(6)


@pytest.fixture(scope="module")
def base_model(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    base = save_base(tmp_path_factory.mktemp("model") / "base", tokenizer)
    (Path(base.source) / "README.md").write_text("---\nlicense: cc-by-sa-4.0\n---\n")
    return base


@pytest.fixture
def adapter(base_model: BaseModel, tmp_path: Path) -> PretrainedFolder:
    return save_adapter(base_model, tmp_path / "adapter")


@pytest.fixture(scope="module")
def merged(base_model: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> DataCatalog:
    """The catalog after a run."""
    folder = tmp_path_factory.mktemp("merged")
    return run(base_model, save_adapter(base_model, folder / "adapter"), folder)


def save_adapter(base_model: BaseModel, folder: Path) -> PretrainedFolder:
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", init_lora_weights=False)
    get_peft_model(base_model.model("float32"), config).save_pretrained(str(folder))
    record = describe_origin(base_model, TRAIN.to_pandas(), PROMPT) | {"start_sha256": None}
    (folder / "med_lora.json").write_text(json.dumps(record))
    return PretrainedFolder(folder, "c" * 64)


def run(base_model: BaseModel, adapter: PretrainedFolder, folder: Path, **changes: Any) -> DataCatalog:
    values = {
        "base_model": base_model,
        "adapter": adapter,
        "train": TRAIN,
        "validation": Split(6),
        "params:prompt": PROMPT,
        "params:model": recipes.model_params(),
        "params:hardware": recipes.hardware(),
        "params:merging": MergingParams(dtype="bf16", tolerance=1e-3),
    }
    kept = {
        "merged_model": PretrainedDataset(filepath=str(folder / "merged_model")),
        "merge_check": JSONDataset(filepath=str(folder / "merge_check.json")),
        "checked_adapter": MemoryDataset(copy_mode="assign"),
    }
    given = {name: MemoryDataset(value, copy_mode="assign") for name, value in (values | changes).items()}
    catalog = DataCatalog(kept | given)
    SequentialRunner().run(create_pipeline(), catalog)
    return catalog


def test_folder_loads_with_transformers_alone(
    base_model: BaseModel, merged: DataCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    folder = merged.load("merged_model").path
    monkeypatch.setitem(sys.modules, "peft", None)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    assert model.dtype == torch.bfloat16
    ids = AutoTokenizer.from_pretrained(folder)("what is gout?", return_tensors="pt")["input_ids"]
    assert model.generate(ids, max_new_tokens=3, do_sample=False).shape[1] > ids.shape[1]
    assert GenerationConfig.from_pretrained(folder).eos_token_id == base_model.tokenizer().eos_token_id


def test_card_says_what_was_merged_and_how_far_it_agrees(base_model: BaseModel, merged: DataCatalog) -> None:
    from huggingface_hub import ModelCard

    folder, check = merged.load("merged_model").path, merged.load("merge_check")
    card = ModelCard.load(folder / "README.md")
    assert (card.data.base_model, card.data.license) == (None, "cc-by-sa-4.0")  # a folder is not on the hub
    assert card.data.library_name == "transformers"
    for part in (f"`{'c' * 64}`", f"`{base_model.sha256}`", f"{check['after_cast']['largest_difference']:.1e} nats"):
        assert part in card.text
    assert (check["rows"], check["after_cast"]["largest_difference"] > 0) == (4, True)
    assert "| base weights | as they were given |" in card.text
    assert "painful" not in card.text


def test_card_of_a_quantised_base_says_so(base_model: BaseModel, adapter: PretrainedFolder, tmp_path: Path) -> None:
    record = describe_origin(base_model, TRAIN.to_pandas(), PROMPT, "nf4") | {"start_sha256": None}
    (adapter.path / "med_lora.json").write_text(json.dumps(record))
    catalog = run(base_model, adapter, tmp_path, **{"params:model": recipes.model_params(quantisation="nf4")})
    assert "dequantised from the bits" in (catalog.load("merged_model").path / "README.md").read_text()


def test_equal_inputs_give_equal_bytes_wherever_they_lie(
    base_model: BaseModel, adapter: PretrainedFolder, merged: DataCatalog, tmp_path: Path
) -> None:
    moved = BaseModelDataset(id=str(shutil.copytree(base_model.source, tmp_path / "elsewhere" / "base"))).load()
    again = run(moved, adapter, tmp_path).load("merged_model")
    assert merged.load("merged_model").sha256 == again.sha256


def test_adapter_of_other_pairs_is_not_merged(base_model: BaseModel, adapter: PretrainedFolder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="trained on other pairs"):
        run(base_model, adapter, tmp_path, train=Split(5))
    assert not (tmp_path / "merged_model").exists()


def test_merge_that_disagrees_saves_nothing(
    base_model: BaseModel, adapter: PretrainedFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft.tuners.lora import LoraModel

    monkeypatch.setattr(LoraModel, "merge_and_unload", lambda self: self.unload())
    with pytest.raises(InputError, match="more than merging"):
        run(base_model, adapter, tmp_path)
    assert not (tmp_path / "merged_model").exists()
    assert not (tmp_path / "merge_check.json").exists()


def test_without_validation_pairs_there_is_nothing_to_compare_on(
    base_model: BaseModel, adapter: PretrainedFolder, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="validation split is empty"):
        run(base_model, adapter, tmp_path, validation=Split(0))


def test_nothing_is_merged_after_full_fine_tuning() -> None:
    assert create_pipeline(Stages("full")).nodes == []
