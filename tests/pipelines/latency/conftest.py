from __future__ import annotations

from tests.pipelines.evaluation.conftest import (  # noqa: F401
    adapter,
    base_model,
    hardware,
    model_folder,
    prompt,
    test_split,
    train_split,
)
