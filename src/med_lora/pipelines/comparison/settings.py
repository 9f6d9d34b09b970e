"""What a run was set to, as far as its scores depend on it, and which of it differs among runs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from med_lora.datasets.runs import FinishedRun
from med_lora.parameters.tree import is_seed, leaves

Settings = dict[str, Any]
# All that scores depend on. Hardware, seeds, names and places of files are apart; intervals are computed anew.
_SECTIONS = ("model", "prompt", "data_engineering", "canaries", "continued_pretraining", "training", "evaluation")
_TRAINED = ("data_engineering", "canaries", "continued_pretraining", "training")  # of the run that trained
_WITHOUT_EFFECT = (
    "evaluation.bert_score",
    "evaluation.benchmarks",
    "evaluation.bootstrap_samples",
    "evaluation.confidence",
    "evaluation.embedding",
    "evaluation.endpoints",
    "evaluation.exclude",
    "evaluation.power",
    "data_engineering.report_examples",
    "training.epoch_answers",
    "training.optimisation.checkpoints",
)
TRAINING_PAIRS = "training pairs"  # by their hash: newer raw data change them where no parameter does
TRAINING_PASSAGES = "passages"  # likewise, where continued pre-training took place
BASE_WEIGHTS = "base weights"


def read_settings(run: FinishedRun) -> Settings:
    """Every setting with an effect on scores but seeds, by its dotted key, with short hashes of weights and pairs."""
    flat = _flatten_sections(run)
    settings = {key: value for key, value in flat.items() if not is_seed(key) and not key.startswith(_WITHOUT_EFFECT)}
    weights = (run.manifest["base_model"] or {}).get("sha256") or ""
    hashes = {BASE_WEIGHTS: weights[:8], TRAINING_PAIRS: run.training_sha256("train")[:8]}
    if settings.get("continued_pretraining.enabled"):
        hashes[TRAINING_PASSAGES] = run.training_sha256("passages")[:8]
    return settings | hashes


def read_seeds(run: FinishedRun) -> Settings:
    """The seeds of the sections that scores depend on."""
    flat = _flatten_sections(run)
    return {key: value for key, value in flat.items() if is_seed(key)}


def find_differing(all_settings: Iterable[Settings]) -> list[str]:
    """The keys that have more than one value, a missing one included, by name."""
    listed = list(all_settings)
    keys = {key for settings in listed for key in settings}
    return sorted(key for key in keys if len({repr(settings.get(key)) for settings in listed}) > 1)


def is_number(value: Any) -> bool:
    """Whether a setting can be an axis."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _flatten_sections(run: FinishedRun) -> Settings:
    given, trained = run.manifest["parameters"], run.training_manifest["parameters"]
    sections = {name: (trained if name in _TRAINED else given).get(name) for name in _SECTIONS}
    return {
        key: json.dumps(value, sort_keys=True) if isinstance(value, (list, dict)) else value
        for key, value in leaves(sections)
    }
