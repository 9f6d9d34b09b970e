"""The card of an adapter on a merged first stage names the model that the stage began with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.pipelines.stages import SavedModel
from med_lora.pipelines.training.card import write_card
from tests.hub_cards import find_faults, head_of
from tests.recipes import hardware, model_params

from .recipes import TRAINING

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("id", "revision", "named"),
    [
        ("some/model", COMMIT, f"`some/model` at commit `{COMMIT}`"),
        ("/home/somebody/models/mine", None, "`mine`"),
        ("data/06_models/embedded-base", None, "`embedded-base`"),
    ],
)
def test_card_names_the_model_that_the_first_stage_began_with(id: str, revision: str | None, named: str) -> None:
    folder = PretrainedFolder(Path("/runs/domain_model"), "0" * 64)
    base = SavedModel("/runs/domain_model", None, "1" * 64, folder)
    model: Any = model_params(id=id, revision=revision)
    job: Any = SimpleNamespace(base_model=base, model=model, training=TRAINING, hardware=hardware(), start=None)
    history = pd.DataFrame({"step": [0, 5], "metric": ["validation_loss"] * 2, "value": [2.0, 1.0]})
    outcome: Any = SimpleNamespace(trainable=1, parameters=9, tokens=8, step=5, rows=4, history=history)
    card = write_card(job, outcome, canaries=0)
    assert f"| first stage | continued pre-training of {named} on plain text, merged |" in card
    assert "/home/somebody" not in card
    assert "base_model" not in head_of(card)  # the merged model is none that the hub knows
    assert find_faults(card) == []
