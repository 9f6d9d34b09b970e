"""An arm as a model ready to be asked: the base model, alone or with an adapter attached."""

from __future__ import annotations

import json
from typing import Any

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.hardware import prepare_device
from med_lora.parameters import HardwareParams

IDENTITY_FILE = "med_lora.json"


def load_arm(base_model: BaseModel, adapter: PretrainedFolder | None, hardware: HardwareParams) -> Any:
    """The model of an arm on its device, in evaluation mode.

    Weights are fp32 on a CPU, where batches must not change an answer, and of the environment's precision on a GPU.

    Raises:
        InputError: if the machine lacks the device, or the adapter was not trained on exactly this base model.
    """
    import torch

    device = prepare_device(hardware)
    if adapter is not None:
        check_adapter(adapter, base_model)
    types = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    model: Any = base_model.model(torch.float32 if hardware.device == "cpu" else types[hardware.precision])
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter.path))
    return model.to(device).eval()


def check_adapter(adapter: PretrainedFolder, base_model: BaseModel) -> None:
    """Refuse an adapter of another base model: one of equal shape would attach without a word.

    Folders are compared by the SHA-256 of their files, hub models by id and commit.
    """
    file = adapter.path / IDENTITY_FILE
    try:
        record = json.loads(file.read_text(encoding="utf-8"))["base_model"]
        trained_on = (record["source"], record["revision"], record["sha256"])
    except FileNotFoundError as error:
        raise InputError(f"{file} is missing, so the adapter's base model is unknown; train it again.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} does not name the adapter's base model; train it again.") from error
    if base_model.sha256 is not None:
        same = trained_on[2] == base_model.sha256
    else:
        same = trained_on == (base_model.source, base_model.revision, None)
    if not same:
        given = _name(base_model.source, base_model.revision, base_model.sha256)
        raise InputError(
            f"The adapter in {adapter.path} was trained on {_name(*trained_on)} and not on this run's model, {given}; "
            "set model.id to the former or train again."
        )


def context_length(model: Any) -> int | None:
    """Positions the model was built for, or None where its configuration sets no limit."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def _name(source: str, revision: str | None, sha256: str | None) -> str:
    if sha256 is not None:
        return f"{source} (sha256 {sha256[:12]})"
    return f"{source} (commit {revision})"
