"""Settings of a trial by dotted key, laid over the parameters of an experiment."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from med_lora.errors import InputError, nearest
from med_lora.parameters import (
    EvaluationParams,
    HardwareParams,
    ModelParams,
    Parameters,
    ProjectParams,
    PromptParams,
    TrainingParams,
)
from med_lora.parameters.tree import leaves
from med_lora.parameters.trials import Setting

SECTIONS = ("model", "prompt", "training", "evaluation")
# The catalog loads the base model once for all trials.
_FIXED = frozenset({"model.id", "model.revision"})
_MAX_NAME = 120  # characters; file systems end at 255, and datasets add an ending


class TrialParams(Parameters):
    """What one training and its measurement need of an experiment's parameters."""

    model: ModelParams
    prompt: PromptParams
    training: TrainingParams
    evaluation: EvaluationParams
    hardware: HardwareParams

    @classmethod
    def of(cls, parameters: ProjectParams) -> TrialParams:
        """The part of ``parameters`` that trials know."""
        return cls(**{name: getattr(parameters, name) for name in cls.model_fields})


def apply_settings(parameters: TrialParams, settings: Mapping[str, Setting]) -> TrialParams:
    """``parameters`` with ``settings`` laid over them, checked as a whole.

    Machine, corpora and data engineering stay as the experiment has them: only trials on the same pairs and the same
    machine can be compared by a figure.

    Args:
        parameters: of the experiment.
        settings: value by key, such as ``training.lora.r``; below model, prompt, training and evaluation.

    Raises:
        InputError: for an unknown key (with the nearest one), or a value that the parameters do not allow.
    """
    tree = parameters.model_dump()
    for key, value in settings.items():
        _check_key(key, parameters)
        *path, last = key.split(".")
        place = tree
        for part in path:
            place = place[part]
        place[last] = value
    try:
        settled = TrialParams.model_validate(tree)
    except ValidationError as error:
        raise InputError(_explain(error, settings)) from error
    if settled.training.method == "none":
        raise InputError(
            "training.method is none, and trials of a sweep or search are trained on pairs; set it to lora or full, or "
            "leave sweep.grid and search.space empty."
        )
    return settled


def read_setting(parameters: TrialParams, key: str) -> Any:
    """The value at a dotted key.

    Raises:
        InputError: for a key that ``apply_settings`` does not know.
    """
    _check_key(key, parameters)
    value: Any = parameters
    for part in key.split("."):
        value = getattr(value, part)
    return value


def name_of(settings: Mapping[str, Setting], keys: Collection[str] | None = None) -> str:
    """A short name of the settings for files and namespaces, such as ``r_16__dropout_0_25``.

    Args:
        settings: value by key.
        keys: of all trials that need different names; those of ``settings`` if None. Each is cut to its shortest
            ending, in whole parts, that no other has.
    """
    among = settings.keys() if keys is None else keys
    name = "__".join(f"{_shorten(key, among)}_{_word(value)}" for key, value in settings.items())
    return name if len(name) <= _MAX_NAME else f"{name[:_MAX_NAME]}-{_digest(name)}"


def _check_key(key: str, parameters: TrialParams) -> None:
    section = key.partition(".")[0]
    if key in _FIXED:
        raise InputError(f"{key} cannot be a setting of a trial, since all share one base model; set it for the run.")
    if section in ProjectParams.model_fields and section not in SECTIONS:
        raise InputError(
            f"{key} cannot be a setting of a trial: only trials on the same pairs and machine can be compared; take "
            f"settings of {', '.join(SECTIONS)}."
        )
    known = dict(leaves(parameters.model_dump(include=set(SECTIONS))))
    if key not in known:
        raise InputError(f"sweeps and searches know no setting {key}{nearest(key, known.keys() - _FIXED)}")


def _explain(error: ValidationError, settings: Mapping[str, Setting]) -> str:
    faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
    given = ", ".join(f"{key}={value!r}" for key, value in settings.items())
    return f"The settings {given} do not go together: {'; '.join(faults)}."


def _shorten(key: str, among: Collection[str]) -> str:
    parts = key.split(".")
    for start in range(len(parts) - 1, -1, -1):
        ending = parts[start:]
        if not any(other != key and other.split(".")[-len(ending) :] == ending for other in among):
            return "_".join(ending)
    return "_".join(parts)


def _word(value: Setting) -> str:
    text = str(value).lower() if isinstance(value, bool) or value is None else str(value)
    if not isinstance(value, str):
        return text.replace(".", "_")
    word = re.sub(r"[^A-Za-z0-9-]+", "_", text).strip("_")[:24]
    return word if word == text else f"{word}-{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:8]
