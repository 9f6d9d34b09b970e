"""What training saved is compared with the run that evaluates or merges it."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.models.attach import check_origin, unknown_origin
from med_lora.parameters import ModelParams, PromptParams
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.pipelines.stages import as_base_model
from med_lora.provenance import RECORD_FILE, describe_origin, hash_passages


def check_tuned(
    tuned: PretrainedFolder,
    base_model: BaseModel,
    train: Split,
    prompt: PromptParams,
    model: ModelParams,
    start: PretrainedFolder | None = None,
) -> PretrainedFolder:
    """``tuned`` itself, if it comes from this base model, quantised alike, these pairs, this prompt and first stage.

    Args:
        tuned: adapter, or whole model.
        base_model: what its training started from: the experiment's base model, or that with the first stage merged.
        train: pairs it should have been trained on.
        prompt: prompt it should have been trained with.
        model: its quantisation is that of the weights it should have been trained on.
        start: adapter of continued pre-training that it should have gone on with; None for none.

    Raises:
        InputError: that names what differs, or that nothing is known of its origin.
    """
    check_adapter(tuned, base_model, train, prompt)
    record = json.loads((tuned.path / RECORD_FILE).read_text(encoding="utf-8"))
    _check_quantisation(tuned, record, model)
    expected = None if start is None else start.sha256
    if record.get("start_sha256") != expected:
        trained = "did not go on with" if start else "went on with"
        which = "this run's" if start else "an"
        raise InputError(
            f"The training of {tuned.path} {trained} {which} adapter of continued pre-training; set "
            "continued_pretraining as it was then, or train again."
        )
    return tuned


def check_tuned_model(
    tuned: PretrainedFolder, base_model: BaseModel, train: Split, prompt: PromptParams, model: ModelParams
) -> BaseModel:
    """A whole tuned model as the handle that an arm loads, checked as :func:`check_tuned` does."""
    return as_base_model(check_tuned(tuned, base_model, train, prompt, model))


def check_domain_adapter(
    tuned: PretrainedFolder, base_model: BaseModel, passages: pd.DataFrame, model: ModelParams
) -> PretrainedFolder:
    """``tuned`` itself, if continued pre-training made it from this base model, quantised alike, and these passages.

    For ``training.method: none``. The prompt is no part of its origin, since passages are trained on as they stand, and
    neither are the training pairs: it saw none. What a pair says may still stand in the passages.

    Args:
        tuned: adapter of continued pre-training.
        base_model: the experiment's.
        passages: columns id, text; all of them, those held out for the validation loss included.
        model: its quantisation is that of the weights it should have been trained on.

    Raises:
        InputError: that names what differs, or that nothing is known of its origin.
    """
    record = check_origin(tuned.path, base_model)
    if not {"passages_sha256", "quantisation"} <= record.keys():
        raise unknown_origin(tuned.path)
    _check_quantisation(tuned, record, model)
    check_passages(tuned, passages)
    return tuned


def check_passages(adapter: PretrainedFolder, passages: pd.DataFrame) -> None:
    """Raise an InputError if an adapter of continued pre-training was trained on other ``passages``."""
    record = json.loads((adapter.path / RECORD_FILE).read_text(encoding="utf-8"))
    if record.get("passages_sha256") != hash_passages(passages):
        raise InputError(
            f"The adapter in {adapter.path} was trained on other passages than this run's; run the pipeline "
            "continued_pretraining again, or load the passages of its run with --load-versions."
        )


def _check_quantisation(tuned: PretrainedFolder, record: dict[str, Any], model: ModelParams) -> None:
    if record["quantisation"] != model.quantisation:
        raise InputError(
            f"{tuned.path} was trained on a base model with quantisation {record['quantisation']!r}; set "
            "model.quantisation to that, or train again."
        )


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
