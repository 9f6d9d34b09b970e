"""What a study says that it set, beside what a run has set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from med_lora.parameters import StudyParams
from med_lora.report_page.wording import shown_place

ALL_WEIGHTS = "all weights are trained"
NO_PAIRS = "nothing is trained on pairs"
FIRST_STAGE = "continued_pretraining.enabled"
LABELS = {
    "model.id": "base model",
    "model.quantisation": "quantisation",
    "corpora": "corpora",
    "data_engineering.split.mode": "split",
    "data_engineering.split.train": "training pairs asked for",
    "data_engineering.split.validation": "validation pairs",
    "data_engineering.split.test": "test questions",
    "prompt.template": "prompt template",
    "training.loss_on": "tokens in the loss",
    FIRST_STAGE: "continued pre-training first",
    "continued_pretraining.optimisation.epochs": "epochs",
    "continued_pretraining.optimisation.learning_rate": "learning rate",
    "continued_pretraining.optimisation.effective_batch_size": "batch size",
    "training.max_length": "longest sequence",
    "training.lora.r": "LoRA rank",
    "training.lora.alpha": "LoRA alpha",
    "training.lora.dropout": "LoRA dropout",
    "training.lora.target_modules": "LoRA target layers",
    "training.optimisation.epochs": "epochs",
    "training.optimisation.learning_rate": "learning rate",
    "training.optimisation.effective_batch_size": "batch size",
    "training.optimisation.warmup_ratio": "warm-up",
    "training.optimisation.max_grad_norm": "gradient clip",
    "evaluation.rouge_beta": "beta of ROUGE-L",
    "retrieval.enabled": "passages",
    "retrieval.method": "ranking of passages",
    "retrieval.store": "store of passages",
    "retrieval.encoder.id": "encoder of passages",
}
WRITTEN = "Pairs written by a language model"


@dataclass(frozen=True)
class StatedSetting:
    """One setting that a study states.

    Attributes:
        key: of this project's parameters.
        there: its value in the study.
        here: its value in the run.
        differs: whether the two are not the same.
    """

    key: str
    there: str
    here: str
    differs: bool

    @property
    def label(self) -> str:
        """What readers call the setting."""
        return LABELS.get(self.key, self.key)

    @property
    def clause(self) -> str:
        """The difference in words, without a semicolon, which separates clauses."""
        if self.here == NO_PAIRS:
            return "training on pairs there, on plain text alone here"
        if self.here == ALL_WEIGHTS:
            return "LoRA there, all weights here"
        return f"{self.label}: {self.there} there, {self.here} here".replace(";", ",")


def list_stated_settings(study: StudyParams, system: str, parameters: Mapping[str, Any]) -> list[StatedSetting]:
    """Every setting that the study states for ``system``, beside the run's; sections that are off are left out.

    A first stage that the run has and no study states is among them, since it changes every figure.

    Args:
        study: the study.
        system: one of its systems; "" for what all of them share.
        parameters: the run's whole parameter tree, of mappings or of parameter models.
    """
    stated = study.settings | study.systems.get(system, {})
    several = not system and len(study.systems) > 1
    if several:
        stated = {"model.id": list(study.systems)} | stated
    compared = []
    for key, there in stated.items():
        section = key.partition(".")[0]
        if not key.endswith(".enabled") and look_up(parameters, f"{section}.enabled") is False:
            continue
        if key == "corpora":
            here: Any = _titles(parameters)
            differs = not isinstance(there, list) or {str(title) for title in there} != set(here)
            compared.append(StatedSetting(key, _show(there, ", "), _show(here, ", "), differs))
        elif key.startswith("training.") and look_up(parameters, "training.method") == "none":
            compared.append(StatedSetting(key, _show(there, " or "), NO_PAIRS, True))
        elif key.startswith("training.lora.") and look_up(parameters, "training.method") == "full":
            compared.append(StatedSetting(key, _show(there, " or "), ALL_WEIGHTS, True))
        else:
            here = look_up(parameters, key)
            # one model under several names, but where they are those of several models
            name = there[0] if key.endswith(".id") and isinstance(there, list) and not several else there
            own = shown_place(here) if key.endswith(".id") and isinstance(here, str) else _show(here, ", ")
            compared.append(StatedSetting(key, _show(name, " or "), own, not _same(key, there, here)))
    if look_up(parameters, FIRST_STAGE) and FIRST_STAGE not in stated:
        compared.append(StatedSetting(FIRST_STAGE, "not stated", "yes", True))
    return compared


def look_up(parameters: Any, key: str) -> Any:
    """The value under a dotted key; None where there is none."""
    value = parameters
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
    return value


def _titles(parameters: Mapping[str, Any]) -> list[str]:
    names = look_up(parameters, "data_engineering.corpora") or []
    titles = [str(look_up(parameters, f"corpora.{name}.title")) for name in names]
    return titles + [WRITTEN] * (look_up(parameters, "data_engineering.question_generation") is not None)


def _same(key: str, there: Any, here: Any) -> bool:
    """Whether ``here`` is what the study states, or one of the values that it states."""
    accepted = there if isinstance(there, list) else [there]
    if key.endswith(".id"):
        return _bare_name(here) in {_bare_name(name) for name in accepted}
    return here in accepted


def _bare_name(model: Any) -> str:
    """A model's name without its publisher, its folder and its punctuation: ``llama27bchathf``."""
    return re.sub(r"[^a-z0-9]", "", str(model).rpartition("/")[2].lower()).removeprefix("meta")


def _show(value: Any, joint: str) -> str:
    if isinstance(value, list):
        return joint.join(_show(item, joint) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return "not set" if value is None else str(value)
