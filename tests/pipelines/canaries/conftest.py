"""A small base model on disk."""

from __future__ import annotations

from typing import Any

import pytest

from med_lora.datasets.base_model import BaseModel
from tests.pipelines.training.recipes import save_base


@pytest.fixture(scope="session")
def base_model(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return save_base(tmp_path_factory.mktemp("canaries") / "base", tokenizer)
