"""The compared runs as a table: what each is called, was set to and ran on, and which of them are the same."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.datasets.runs import FinishedRun, FinishedRuns
from med_lora.pipelines.comparison.settings import BASE_WEIGHTS, find_differing, read_seeds, read_settings
from med_lora.pipelines.comparison.tables import restore_texts

RUN_COLUMNS = [
    *("run", "label", "name", "experiment", "started", "model", "quantisation", "method", "rank", "epochs"),
    *("machine", "test_set", "base", "tokenizer", "configuration", "same_as", "repeated_on"),
    *("train_seconds", "joules", "training_run", "note"),
]
_BASE_SECTIONS = ("model.", "prompt.", "evaluation.", BASE_WEIGHTS)

LABEL_SETTINGS = 3
# Settings that a label names first where they differ.
_LABELLED = ("model.id", "model.quantisation", "training.method", "training.lora.r", "training.optimisation.epochs")


def describe_runs(runs: FinishedRuns) -> pd.DataFrame:
    """One row a run, oldest first.

    Two runs that have the same settings and seeds, hardware apart, and equal hashes of their scores and losses, are one
    result: the later is kept in the tables of machines and times alone (``same_as`` names the earlier). Where the
    hashes differ both count, and ``note`` says that the machine, the versions or chance made the difference.

    Returns:
        run (id), label (as :func:`label_runs` gives it), name, experiment, started, model
        (last part of its id), quantisation, method, rank and epochs (NaN without a LoRA), machine, test_set (a
        letter for equal test pairs), base (a number for equal base models asked alike about equal pairs), tokenizer
        (a letter for equal ones), configuration (a number for equal settings and seeds), same_as (id of an identical
        earlier run), repeated_on (machines of the runs that are identical to this one), train_seconds (of the node that
        trained, NaN where another run did), joules (of the whole run, NaN where it could not be read), training_run (""
        where this run trained), note.
    """
    of_runs = list(runs.runs)
    labels = label_runs(of_runs)
    tests = _letter([run.sha256("test") or f"unknown test pairs of {run.id}" for run in of_runs])
    tokenizers = _letter([(run.manifest["base_model"] or {}).get("tokenizer_sha256") or run.id for run in of_runs])
    keys, bases = [_key(run) for run in of_runs], _number([_base_key(run) for run in of_runs])
    rows = [
        _describe(run)
        | {"label": labels[run.id], "test_set": test, "tokenizer": tokenizer, "base": base, "configuration": number}
        for run, test, tokenizer, base, number in zip(of_runs, tests, tokenizers, bases, _number(keys), strict=True)
    ]
    for place, row in enumerate(rows):
        row |= _find_same(of_runs, keys, place)
    machines = {row["run"]: row["machine"] for row in rows}
    for row in rows:
        row["repeated_on"] = ", ".join(machines[other["run"]] for other in rows if other["same_as"] == row["run"])
    return pd.DataFrame(rows, columns=RUN_COLUMNS)


def label_runs(runs: Sequence[FinishedRun]) -> dict[str, str]:
    """What a run is called in tables and figures: its name, or its experiment, some settings that differ, and its time.

    The experiment is left out where all are of one and some setting differs.
    The time (UTC) is added where the rest names an earlier run.
    """
    all_settings = {run.id: read_settings(run) for run in runs}
    differing = find_differing(all_settings.values())
    named = [key for key in _LABELLED if key in differing]
    named += [key for key in differing if key.startswith("training.") and key not in named]
    of_several = len({run.manifest["experiment"] for run in runs}) > 1
    labels = {}
    for run in runs:
        own = all_settings[run.id]
        settings = [_say_setting(key, own.get(key)) for key in named[:LABEL_SETTINGS]]
        parts = [*([run.manifest["experiment"]] if of_several or not any(settings) else []), *filter(None, settings)]
        labels[run.id] = run.name or " ".join(parts)
    taken = list(labels.values())
    return {
        run: label if label not in taken[:place] else f"{label} ({run[5:19]})"
        for place, (run, label) in enumerate(labels.items())
    }


def _say_setting(key: str, value: Any) -> str:
    """A setting in a label: a model or method by its name alone, and no word where weights are not quantised."""
    if key in ("model.id", "training.method"):
        return str(value).rstrip("/").split("/")[-1]
    if key == "model.quantisation":
        return "" if value == "none" else str(value)
    return f"{key.split('.')[-1]} {value}"


def read_distinct(compared_runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that are a result of their own."""
    table = restore_texts(compared_runs)
    return table[table["same_as"] == ""]


def _describe(run: FinishedRun) -> dict[str, Any]:
    given = run.manifest["parameters"]
    trained_with = run.training_manifest["parameters"]
    method = trained_with["training"]["method"]
    recipe = trained_with["continued_pretraining" if method == "none" else "training"]
    base = run.manifest["base_model"] or {}
    trained, weights = run.run.maker(run.history), run.find(run.tuned)
    energy = (run.manifest["energy"] or {}).get("joules")
    return {
        "run": run.id,
        "name": run.name,
        "experiment": run.manifest["experiment"],
        "started": run.manifest["started"],
        "model": str(base.get("id") or given["model"]["id"]).rstrip("/").split("/")[-1],
        "quantisation": given["model"]["quantisation"],
        "method": "plain text alone" if method == "none" else method,
        "rank": math.nan if method == "full" else recipe["lora"]["r"],
        "epochs": recipe["optimisation"]["epochs"],
        "machine": run.manifest["machine"]["kind"],
        "train_seconds": trained["seconds"] if trained else math.nan,
        "joules": math.nan if energy is None else energy,
        "training_run": "" if trained else str((weights or {}).get("run") or "unknown"),
        "note": "",
    }


def _key(run: FinishedRun) -> str:
    """Equal for runs that should give the same scores."""
    return json.dumps([read_settings(run), read_seeds(run), run.sha256("test")], sort_keys=True, default=str)


def _base_key(run: FinishedRun) -> str:
    """Equal for runs whose base models should give the same scores."""
    settings = {key: value for key, value in read_settings(run).items() if key.startswith(_BASE_SECTIONS)}
    seeds = {key: value for key, value in read_seeds(run).items() if key.startswith(_BASE_SECTIONS)}
    return json.dumps([settings, seeds, run.sha256("test") or run.id], sort_keys=True, default=str)


def _find_same(runs: Sequence[FinishedRun], keys: Sequence[str], place: int) -> dict[str, Any]:
    """The earliest run with these results, or the remark that an earlier one has others under the same settings."""
    earlier = [run for run, key in zip(runs[:place], keys, strict=False) if key == keys[place]]
    for other in earlier:
        if all(other.sha256(name) == runs[place].sha256(name) for name in ("scores", "base_losses", "tuned_losses")):
            return {"same_as": other.id}
    note = f"settings and seeds are those of {earlier[0].id}, and its scores or losses are not" if earlier else ""
    return {"same_as": "", "note": note}


def _number(values: Sequence[str]) -> list[int]:
    """A number from 1 for each distinct value, in the order of appearance."""
    known = list(dict.fromkeys(values))
    return [1 + known.index(value) for value in values]


def _letter(values: Sequence[str]) -> list[str]:
    """A letter for each distinct value, in the order of appearance: A, B, ..., Z, AA."""
    known = list(dict.fromkeys(values))
    return ["A" * (known.index(value) // 26) + chr(ord("A") + known.index(value) % 26) for value in values]
