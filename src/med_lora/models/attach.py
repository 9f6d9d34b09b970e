"""A saved adapter on the base model it was trained on, and on no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from med_lora.datasets.base_model import BaseModel
from med_lora.errors import InputError
from med_lora.provenance import RECORD_FILE

if TYPE_CHECKING:
    from peft import PeftModel


def attach_saved(model: Any, adapter_folder: Path, base_model: BaseModel, *, trainable: bool = False) -> PeftModel:
    """The model with the adapter of ``adapter_folder``.

    Args:
        model: ``base_model`` as ``load_model`` loaded it.
        adapter_folder: what training saved, its record included.
        base_model: handle of the model.
        trainable: the adapter's weights are trained further; else they are frozen too.

    Raises:
        InputError: if the adapter was trained on another base model or tokenizer, or nothing is known of its origin.
    """
    from peft import PeftModel

    check_origin(adapter_folder, base_model)
    attached = PeftModel.from_pretrained(model, str(adapter_folder), is_trainable=trainable)
    return attached if trainable else attached.eval()


def check_origin(adapter_folder: Path, base_model: BaseModel) -> dict[str, Any]:
    """The record in an adapter's folder, if it was trained on this base model with this tokenizer.

    An adapter of another base of equal shape would attach without a word. Folders are compared by the SHA-256 of their
    files, hub models by id and commit.

    Raises:
        InputError: that names what differs, or that nothing is known of the adapter's origin.
    """
    file = adapter_folder / RECORD_FILE
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        base = record["base_model"]
        trained_on = (base["source"], base["revision"], base["sha256"])
        tokenizer = record["tokenizer_sha256"]
    except FileNotFoundError as error:
        raise InputError(f"{file} is missing, so the adapter's origin is unknown; train it again.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise unknown_origin(adapter_folder) from error
    if not _same_base(trained_on, base_model):
        given = _name(base_model.source, base_model.revision, base_model.sha256)
        raise InputError(
            f"The adapter in {adapter_folder} was trained on {_name(*trained_on)} and not on this run's model, {given};"
            " set model.id to the former or train again."
        )
    if tokenizer != base_model.tokenizer_sha256():
        raise InputError(
            f"The adapter in {adapter_folder} was trained with another tokenizer than the one of {base_model.source}, "
            "so its tokens would mean other text; set model.id to the model it was trained on, or train again."
        )
    return dict(record)


def unknown_origin(adapter_folder: Path) -> InputError:
    """The error of a record that says too little, as one of an earlier version does."""
    return InputError(f"{adapter_folder / RECORD_FILE} does not tell the adapter's origin; train it again.")


def _same_base(trained_on: tuple[str, str | None, str | None], base_model: BaseModel) -> bool:
    if base_model.sha256 is not None:
        return trained_on[2] == base_model.sha256
    return trained_on == (base_model.source, base_model.revision, None)


def _name(source: str, revision: str | None, sha256: str | None) -> str:
    if sha256 is not None:
        return f"{source} (sha256 {sha256[:12]})"
    return f"{source} (commit {revision})"
