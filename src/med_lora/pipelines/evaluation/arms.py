"""An arm as a model ready to be asked: the base model, alone or with an adapter attached."""

from __future__ import annotations

import json
from typing import Any

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.hardware import prepare_device
from med_lora.parameters import HardwareParams, PromptParams
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.provenance import RECORD_FILE, describe_origin


def load_arm(base_model: BaseModel, adapter: PretrainedFolder | None, hardware: HardwareParams) -> Any:
    """The model of an arm on its device, in evaluation mode.

    Weights are fp32 on a CPU, where batches must not change an answer, and of the environment's precision on a GPU.

    Raises:
        InputError: if the machine lacks the device.
    """
    import torch

    device = prepare_device(hardware)
    types = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    model: Any = base_model.model(torch.float32 if hardware.device == "cpu" else types[hardware.precision])
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter.path))
    return model.to(device).eval()


def check_adapter(
    adapter: PretrainedFolder, base_model: BaseModel, train: Split, prompt: PromptParams
) -> PretrainedFolder:
    """The adapter itself, if it was trained on this base model, on these training pairs and with this prompt.

    An adapter of another base of equal shape would attach without a word, and one of another split may have been
    trained on test pairs. Folders are compared by the SHA-256 of their files, hub models by id and commit.

    Raises:
        InputError: that names what differs, or that nothing is known of the adapter's origin.
    """
    file = adapter.path / RECORD_FILE
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        base = record["base_model"]
        trained_on = (base["source"], base["revision"], base["sha256"])
        asked_with, pairs = record["prompt"], record["train_sha256"]
        asked_with = {key: asked_with[key] for key in ("template", "system", "sha256")}
    except FileNotFoundError as error:
        raise InputError(f"{file} is missing, so the adapter's origin is unknown; train it again.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} does not tell the adapter's origin; train it again.") from error
    if not _same_base(trained_on, base_model):
        given = _name(base_model.source, base_model.revision, base_model.sha256)
        raise InputError(
            f"The adapter in {adapter.path} was trained on {_name(*trained_on)} and not on this run's model, {given}; "
            "set model.id to the former or train again."
        )
    expected = describe_origin(base_model, read_pairs(train, "train"), prompt)
    if pairs != expected["train_sha256"]:
        raise InputError(
            f"The adapter in {adapter.path} was trained on other pairs than this run's training split, so test pairs "
            "may be among them; train again, or load the split of its run with --load-versions."
        )
    _check_prompt(adapter, asked_with, expected["prompt"])
    return adapter


def _check_prompt(adapter: PretrainedFolder, trained_with: dict[str, Any], expected: dict[str, Any]) -> None:
    for key in ("template", "system"):
        if trained_with[key] != expected[key]:
            raise InputError(
                f"The adapter in {adapter.path} was trained with another prompt.{key}, {trained_with[key]!r}; set that "
                "one or train again."
            )
    if trained_with["sha256"] != expected["sha256"]:
        raise InputError(
            f"The adapter in {adapter.path} was trained when prompt.template {expected['template']!r} had another "
            "wording; train again, or use the version of this project that trained it."
        )


def _same_base(trained_on: tuple[str, str | None, str | None], base_model: BaseModel) -> bool:
    if base_model.sha256 is not None:
        return trained_on[2] == base_model.sha256
    return trained_on == (base_model.source, base_model.revision, None)


def _name(source: str, revision: str | None, sha256: str | None) -> str:
    if sha256 is not None:
        return f"{source} (sha256 {sha256[:12]})"
    return f"{source} (commit {revision})"
