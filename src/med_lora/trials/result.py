"""What came of a trial, and how it is stored."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from med_lora.datasets.manifest import flush_to_disk
from med_lora.parameters.trials import Objective, Setting
from med_lora.trials.objective import Direction

RESULT_FILE = "trial.json"
HISTORY_FILE = "history.csv"
HISTORY_COLUMNS = ["step", "epoch", "metric", "value"]


def _no_history() -> pd.DataFrame:
    return pd.DataFrame(columns=HISTORY_COLUMNS)


@dataclass(frozen=True)
class TrialResult:
    """What came of a trial.

    Attributes:
        name: of the trial.
        settings: what sets it apart from the others, by key.
        state: finished; pruned by its watch; or failed, as ``reason`` says. Only a finished one has figures.
        objective: figure by which trials are ranked.
        direction: which values of it are better.
        value: of the objective; None unless finished.
        figures: all that was measured, by name; losses in nats an answer token.
        pairs: validation pairs behind the figures.
        seconds: wall-clock time of the training loop; None unless finished.
        tokens: passed through the model in training; None unless finished.
        reason: why it failed, in one sentence.
        history: columns step, epoch, metric, value.
    """

    name: str
    settings: dict[str, Setting]
    state: Literal["finished", "failed", "pruned"]
    objective: Objective
    direction: Direction
    value: float | None
    figures: dict[str, float]
    pairs: int
    seconds: float | None = None
    tokens: int | None = None
    reason: str = ""
    history: pd.DataFrame = field(default_factory=_no_history, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Everything but the history, as JSON values."""
        return {of.name: getattr(self, of.name) for of in fields(self) if of.name != "history"}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], history: pd.DataFrame | None = None) -> TrialResult:
        """The inverse of ``to_json``."""
        return cls(**values) if history is None else cls(**values, history=history)


def store_result(folder: Path, result: TrialResult, maker: Mapping[str, Any]) -> None:
    """Write the history and then ``trial.json``, whose presence says that both are complete.

    Args:
        folder: of the trial.
        result: what came of it.
        maker: all that decides the result, as JSON values.
    """
    _write(folder / HISTORY_FILE, result.history.to_csv(index=False))
    content = {"result": result.to_json(), "made_with": dict(maker)}
    _write(folder / RESULT_FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")


def read_result(folder: Path) -> tuple[TrialResult, dict[str, Any]] | None:
    """The stored result and what it was made with; None where there is none that can be read."""
    try:
        content = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
        history = pd.read_csv(folder / HISTORY_FILE, float_precision="round_trip")
        return TrialResult.from_json(content["result"], history), content["made_with"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _write(file: Path, text: str) -> None:
    """Replace ``file`` at once, after its content has reached the disk."""
    file.parent.mkdir(parents=True, exist_ok=True)
    staged = file.with_name(f".{file.name}")
    staged.write_text(text, encoding="utf-8")
    flush_to_disk(staged)
    os.replace(staged, file)
    flush_to_disk(file.parent)
