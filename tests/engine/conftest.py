"""What the tests of the engine share."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(scope="session", autouse=True)
def _libraries_left_alone_by_the_collector() -> None:
    """Every run of the Trainer collects garbage, half a second of which would go through the libraries' objects."""
    import peft  # noqa: F401
    import trl.trainer.sft_trainer  # noqa: F401

    gc.collect()
    gc.freeze()
