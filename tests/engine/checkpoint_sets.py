"""Checkpoints as the Trainer leaves them, without what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from med_lora.engine.checkpoints import Checkpoints

SETTINGS: dict[str, Any] = {"lora.r": 8, "optimisation.batches": "grouped", "train_sha256": "ab" * 32}
STATE = (
    "adapter_config.json",
    "adapter_model.safetensors",
    "best_weights.safetensors",
    "monitor.json",
    "optimizer.pt",
    "rng_state.pth",
    "scheduler.pt",
    "trainer_state.json",
)


def write(checkpoints: Checkpoints, step: int, names: tuple[str, ...] = STATE) -> Path:
    """A checkpoint as the Trainer leaves it; each file holds its own name and the step."""
    folder = checkpoints.folder / f"checkpoint-{step}"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{name} of step {step}")
    return folder


def sealed(checkpoints: Checkpoints, *steps: int) -> Path:
    """The last of the sealed checkpoints of these steps."""
    for step in steps:
        checkpoints.seal(write(checkpoints, step))
    return checkpoints.folder / f"checkpoint-{steps[-1]}"


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the project warned of; filelock's own messages appear where another test has lowered the root's level."""
    return [
        record.message
        for record in caplog.records
        if record.name.startswith("med_lora") and record.levelname == "WARNING"
    ]
