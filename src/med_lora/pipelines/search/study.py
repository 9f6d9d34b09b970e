"""The study of a search: one per experiment, data, base model, fixed settings and space."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from med_lora.parameters import SearchParams
from med_lora.pipelines.search.attempt import Ground
from med_lora.provenance import hash_pairs
from med_lora.trials.objective import direction_of

logger = logging.getLogger(__name__)

# names of what is noted beside a study or a trial in the database
EXPERIMENT, PARTS = "experiment", "parts"


def describe_study(ground: Ground) -> dict[str, str]:
    """A hash of each thing whose change makes trials incomparable, by the name that messages give it.

    The number of trials, the database and the machine are left out, but for the machine's precision.
    """
    search, parameters, base_model = ground.search, ground.parameters, ground.base_model
    settings = parameters.model_dump(include={"model", "prompt", "training"})
    settings["precision"] = parameters.hardware.precision
    if search.objective != "validation_loss":
        settings["evaluation"] = {"decoding": parameters.evaluation.decoding.model_dump()}
    for key in search.space:
        _remove(settings, key.split("."))
    parts: dict[str, Any] = {
        "pairs": [hash_pairs(split.to_pandas()) for split in (ground.train, ground.validation)],
        # a folder may move; a hub model is known by its commit
        "base model": [
            base_model.sha256 or base_model.source,
            base_model.revision,
            ground.start and ground.start.sha256,
        ],
        "fixed settings": settings,
        "search space": {key: space.model_dump() for key, space in search.space.items()},
        "search settings": search.model_dump(exclude={"space", "trials", "storage"}),
    }
    return {name: _hash(part) for name, part in parts.items()}


def open_study(storage: Any, experiment: str, search: SearchParams, parts: Mapping[str, str]) -> Any:
    """The ``optuna.Study`` of these ``parts``, new or with the trials it has, and a log line which of both."""
    import optuna

    name = f"{experiment}-{_hash(dict(parts))[:12]}"
    others = [study for study in storage.get_all_studies() if study.user_attrs.get(EXPERIMENT) == experiment]
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="minimize" if direction_of(search.objective) == "lower" else "maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=search.startup_trials),
        load_if_exists=True,
    )
    if any(other.study_name == name for other in others):
        logger.info("Search %s goes on.", name)
    else:
        _announce(name, others, parts)
        study.set_user_attr(PARTS, dict(parts))
        study.set_user_attr(EXPERIMENT, experiment)
    return study


def _announce(name: str, others: list[Any], parts: Mapping[str, str]) -> None:
    if not others:
        logger.info("Search %s starts.", name)
        return
    before = others[-1].user_attrs.get(PARTS, {})
    changed = [part for part in parts if before.get(part) != parts[part]]
    logger.warning(
        "Search %s starts from nothing: the %s changed since %s, whose trials stay in the database.",
        *(name, ", ".join(changed), others[-1].study_name),
    )


def _remove(tree: Any, path: list[str]) -> None:
    for part in path[:-1]:
        tree = tree.get(part, {})
    tree.pop(path[-1], None)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("utf-8")).hexdigest()
