"""Adapters are attached to the base model they were trained on, and to no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.parameters import HardwareParams, PromptParams
from med_lora.pipelines.evaluation.arms import check_adapter, load_arm
from med_lora.provenance import describe_origin

from .conftest import Table, write_record

HUB = BaseModel(source="org/model", revision="a" * 40, sha256=None)
LOCAL = BaseModel(source="models/tiny", revision=None, sha256="b" * 64)


@pytest.mark.parametrize(
    ("trained_on", "asked"),
    [
        (HUB, HUB),
        (LOCAL, LOCAL),
        (LOCAL, replace(LOCAL, source="elsewhere/tiny")),  # a moved folder is the same model
    ],
)
def test_adapter_of_the_same_origin_is_accepted(
    trained_on: BaseModel, asked: BaseModel, train_split: Table, prompt: PromptParams, tmp_path: Path
) -> None:
    write_record(tmp_path, describe_origin(trained_on, train_split.to_pandas(), prompt))
    adapter = PretrainedFolder(tmp_path, "")
    assert check_adapter(adapter, asked, train_split, prompt) is adapter


@pytest.mark.parametrize(
    ("trained_on", "asked"),
    [
        (LOCAL, replace(LOCAL, sha256="c" * 64)),
        (HUB, replace(HUB, revision="c" * 40)),
        (HUB, replace(HUB, source="org/other")),
        (HUB, LOCAL),
        (LOCAL, HUB),
        (replace(LOCAL, source=HUB.source), HUB),
    ],
)
def test_adapter_of_another_base_is_refused(
    trained_on: BaseModel, asked: BaseModel, train_split: Table, prompt: PromptParams, tmp_path: Path
) -> None:
    write_record(tmp_path, describe_origin(trained_on, train_split.to_pandas(), prompt))
    with pytest.raises(InputError, match="was trained on"):
        check_adapter(PretrainedFolder(tmp_path, ""), asked, train_split, prompt)


@pytest.mark.parametrize("column", ["id", "question", "answer"])
def test_adapter_of_other_training_pairs_is_refused(
    column: str, train_split: Table, prompt: PromptParams, tmp_path: Path
) -> None:
    changed = train_split.to_pandas()
    changed.loc[1, column] += "x"
    write_record(tmp_path, describe_origin(LOCAL, changed, prompt))
    with pytest.raises(InputError, match="test pairs may be among them"):
        check_adapter(PretrainedFolder(tmp_path, ""), LOCAL, train_split, prompt)


def test_the_order_of_the_training_pairs_is_no_difference(
    train_split: Table, prompt: PromptParams, tmp_path: Path
) -> None:
    write_record(tmp_path, describe_origin(LOCAL, train_split.to_pandas().iloc[::-1], prompt))
    check_adapter(PretrainedFolder(tmp_path, ""), LOCAL, train_split, prompt)


def test_adapter_of_another_prompt_is_refused(train_split: Table, prompt: PromptParams, tmp_path: Path) -> None:
    write_record(tmp_path, describe_origin(LOCAL, train_split.to_pandas(), PromptParams(template="Q: {question}")))
    with pytest.raises(InputError, match=r"another prompt\.template"):
        check_adapter(PretrainedFolder(tmp_path, ""), LOCAL, train_split, prompt)


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"base_model": null}', '{"base_model": {"source": "x"}}'])
def test_adapter_of_unknown_origin_is_refused(
    content: str | None, train_split: Table, prompt: PromptParams, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "med_lora.json").write_text(content)
    with pytest.raises(InputError, match=r"med_lora\.json (is missing|does not tell)"):
        check_adapter(PretrainedFolder(tmp_path, ""), LOCAL, train_split, prompt)


def test_an_arm_is_fp32_on_a_cpu_and_never_drops_out(
    base_model: BaseModel, adapter: PretrainedFolder, hardware: HardwareParams
) -> None:
    model = load_arm(base_model, adapter, hardware.model_copy(update={"precision": "fp16"}))
    assert {str(weight.dtype) for weight in model.parameters()} == {"torch.float32"}
    assert not any(module.training for module in model.modules())
