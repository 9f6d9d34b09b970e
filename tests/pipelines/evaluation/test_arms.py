"""Adapters are attached to the base model they were trained on, and to no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.parameters import HardwareParams
from med_lora.pipelines.evaluation.arms import check_adapter, load_arm

from .conftest import write_record

HUB = BaseModel(source="org/model", revision="a" * 40, sha256=None)
LOCAL = BaseModel(source="models/tiny", revision=None, sha256="b" * 64)


def identity(model: BaseModel) -> dict[str, Any]:
    return {"source": model.source, "revision": model.revision, "sha256": model.sha256}


@pytest.mark.parametrize(
    ("trained_on", "asked"),
    [
        (HUB, HUB),
        (LOCAL, LOCAL),
        (LOCAL, replace(LOCAL, source="elsewhere/tiny")),  # a moved folder is the same model
    ],
)
def test_adapter_of_the_same_base_is_accepted(trained_on: BaseModel, asked: BaseModel, tmp_path: Path) -> None:
    write_record(tmp_path, identity(trained_on))
    check_adapter(PretrainedFolder(tmp_path, ""), asked)


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
def test_adapter_of_another_base_is_refused(trained_on: BaseModel, asked: BaseModel, tmp_path: Path) -> None:
    write_record(tmp_path, identity(trained_on))
    with pytest.raises(InputError, match="was trained on"):
        check_adapter(PretrainedFolder(tmp_path, ""), asked)


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"base_model": null}', '{"base_model": {"source": "x"}}'])
def test_adapter_of_an_unknown_base_is_refused(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "med_lora.json").write_text(content)
    with pytest.raises(InputError, match=r"med_lora\.json (is missing|does not name)"):
        check_adapter(PretrainedFolder(tmp_path, ""), LOCAL)


def test_a_foreign_adapter_is_not_loaded(
    base_model: BaseModel, adapter: PretrainedFolder, hardware: HardwareParams
) -> None:
    with pytest.raises(InputError, match="was trained on"):
        load_arm(replace(base_model, sha256="0" * 64), adapter, hardware)


def test_an_arm_is_fp32_on_a_cpu_and_never_drops_out(
    base_model: BaseModel, adapter: PretrainedFolder, hardware: HardwareParams
) -> None:
    model = load_arm(base_model, adapter, hardware.model_copy(update={"precision": "fp16"}))
    assert {str(weight.dtype) for weight in model.parameters()} == {"torch.float32"}
    assert not any(module.training for module in model.modules())
