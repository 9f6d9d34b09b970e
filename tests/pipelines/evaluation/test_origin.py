"""What training saved is evaluated only where it belongs, whatever the stages before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.parameters import PromptParams
from med_lora.pipelines.evaluation.origin import check_tuned, check_tuned_model
from med_lora.provenance import describe_origin
from tests.recipes import model_params

from .conftest import Table, write_record

MODEL = model_params()


START = PretrainedFolder(Path("domain_adapter"), "a" * 64)
OTHER = PretrainedFolder(Path("domain_adapter"), "b" * 64)


def trained(
    base_model: BaseModel, train: Table, prompt: PromptParams, folder: Path, start: str | None
) -> PretrainedFolder:
    write_record(folder, describe_origin(base_model, train.to_pandas(), prompt) | {"start_sha256": start})
    return PretrainedFolder(folder, "")


@pytest.mark.parametrize("start", [None, START])
def test_adapter_of_the_run_s_own_first_stage_is_accepted(
    start: PretrainedFolder | None, base_model: BaseModel, train_split: Table, prompt: PromptParams, tmp_path: Path
) -> None:
    adapter = trained(base_model, train_split, prompt, tmp_path, start and start.sha256)
    assert check_tuned(adapter, base_model, train_split, prompt, MODEL, start) is adapter


@pytest.mark.parametrize(
    ("went_on_with", "expected", "sentence"),
    [
        (START.sha256, None, "went on with an adapter of continued pre-training; set continued_pretraining"),
        (None, START, "did not go on with this run's adapter of continued pre-training"),
        (OTHER.sha256, START, "did not go on with this run's adapter of continued pre-training"),
    ],
)
def test_adapter_of_another_first_stage_is_refused(
    went_on_with: str | None,
    expected: PretrainedFolder | None,
    sentence: str,
    base_model: BaseModel,
    train_split: Table,
    prompt: PromptParams,
    tmp_path: Path,
) -> None:
    adapter = trained(base_model, train_split, prompt, tmp_path, went_on_with)
    with pytest.raises(InputError, match=sentence):
        check_tuned(adapter, base_model, train_split, prompt, MODEL, expected)


def test_whole_model_is_checked_and_becomes_the_arm_s_base(
    base_model: BaseModel, train_split: Table, prompt: PromptParams, tmp_path: Path
) -> None:
    base_model.model("float32").save_pretrained(tmp_path)
    base_model.tokenizer().save_pretrained(tmp_path)
    tuned = trained(base_model, train_split, prompt, tmp_path, None)
    assert check_tuned_model(tuned, base_model, train_split, prompt, MODEL).source == str(tmp_path)
    fewer = Table(train_split.to_pandas().iloc[1:])
    with pytest.raises(InputError, match="test pairs may be among them"):
        check_tuned_model(tuned, base_model, fewer, prompt, MODEL)


def test_an_adapter_of_other_weights_is_refused(
    adapter: PretrainedFolder, base_model: BaseModel, train_split: Table, prompt: PromptParams
) -> None:
    with pytest.raises(InputError, match="trained on a base model with quantisation 'none'"):
        check_tuned(adapter, base_model, train_split, prompt, model_params(quantisation="nf4"))
