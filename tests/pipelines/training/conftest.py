"""A base model on disk, and a short way to train it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets import Pretrained, WorkFolder
from med_lora.datasets.base_model import BaseModel
from tests.pipelines.training.recipes import PROMPT, TRAINING, Split, save_base
from tests.recipes import hardware, model_params

Trained = tuple[Pretrained, pd.DataFrame]


@pytest.fixture
def base_model(tokenizer: Any, tmp_path: Path) -> BaseModel:
    return save_base(tmp_path / "base", tokenizer)


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return WorkFolder(folder)


@pytest.fixture
def train(base_model: BaseModel, work: WorkFolder) -> Callable[..., Trained]:
    """``train_adapter`` on eight pairs, with what a test changes."""
    from med_lora.pipelines.training.nodes import train_adapter

    def run(**changes: Any) -> Trained:
        given = {
            "base_model": base_model,
            "train": Split(8),
            "validation": Split(4),
            "prompt": PROMPT,
            "model": model_params(),
            "training": TRAINING,
            "hardware": hardware(),
            "checkpoints": work,
        }
        return train_adapter(**(given | changes))

    return run
