"""An arm as a model ready to be asked: the base model, alone or with an adapter attached."""

from __future__ import annotations

from typing import Any

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.models.attach import attach_saved, check_origin, unknown_origin
from med_lora.models.loading import load_model
from med_lora.parameters import HardwareParams, ModelParams, PromptParams
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.provenance import describe_origin


def load_arm(
    base_model: BaseModel,
    adapter: PretrainedFolder | None,
    hardware: HardwareParams,
    model: ModelParams,
) -> Any:
    """The model of an arm on its device, in evaluation mode, quantised as ``model`` says.

    Weights are fp32 on a CPU, where batches must not change an answer, and of the environment's precision on a GPU.

    Raises:
        InputError: if the machine lacks the device or what the quantisation needs, or the adapter is of another base.
    """
    loaded = load_model(base_model, model, hardware, purpose="inference")
    return loaded if adapter is None else attach_saved(loaded, adapter.path, base_model)


def check_adapter(
    adapter: PretrainedFolder, base_model: BaseModel, train: Split, prompt: PromptParams
) -> PretrainedFolder:
    """The adapter itself, if it was trained on this base model, on these training pairs and with this prompt.

    An adapter of another base of equal shape would attach without a word, and one of another split may have been
    trained on test pairs. Folders are compared by the SHA-256 of their files, hub models by id and commit.

    Raises:
        InputError: that names what differs, or that nothing is known of the adapter's origin.
    """
    record = check_origin(adapter.path, base_model)
    try:
        pairs = record["train_sha256"]
        asked_with = {key: record["prompt"][key] for key in ("template", "system", "sha256")}
    except (KeyError, TypeError) as error:
        raise unknown_origin(adapter.path) from error
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
