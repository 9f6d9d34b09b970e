"""A base model on disk, a small split, and the parameters of a trial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.parameters import PromptParams
from med_lora.pipelines.training.job import Outcome, TrainingJob
from med_lora.trials.settings import TrialParams, apply_settings
from med_lora.trials.trial import Trial
from tests import recipes

TOPICS = ("gout", "asthma", "anaemia", "shingles")


@dataclass(frozen=True)
class Table:
    """A split as the catalog hands it over, without the datasets library."""

    frame: pd.DataFrame

    def to_pandas(self) -> pd.DataFrame:
        return self.frame.copy()


def split(count: int, start: int = 0) -> Table:
    numbers = range(start, start + count)
    return Table(
        pd.DataFrame(
            {
                "id": [f"t:{n:05d}" for n in numbers],
                "question": [f"what is {TOPICS[n % 4]} {n}?" for n in numbers],
                "answer": [f"{TOPICS[n % 4]} is an illness, the number {n} of the list." for n in numbers],
            }
        )
    )


def parameters(**settings: Any) -> TrialParams:
    """Two epochs of LoRA without dropout; ``settings`` by key, with ``__`` for a dot."""
    given = TrialParams(
        model=recipes.model_params(),
        prompt=PromptParams(template="plain", system=None),
        training=recipes.training(max_length=80, optimisation=recipes.optimisation(evaluations=2)),
        evaluation=recipes.evaluation(decoding=recipes.decoding(max_new_tokens=8), exclude=[]),
        hardware=recipes.hardware(),
    )
    return apply_settings(given, {key.replace("__", "."): value for key, value in settings.items()})


def outcome_of(job: TrainingJob) -> Outcome:
    """What a training of the job could leave; the validation loss falls with the rank of the adapter."""
    job.output.mkdir(parents=True)
    loss = 3.0 - job.training.lora.r / 100
    history = pd.DataFrame(
        [(0, 0.0, "validation_loss", 4.0), (1, 1.0, "train_loss", loss), (1, 1.0, "validation_loss", loss)],
        columns=["step", "epoch", "metric", "value"],
    )
    return Outcome(history, seconds=2.0, tokens=100, step=1, rows=len(job.train), trainable=10, parameters=100)


def trial(name: str = "r_4", objective: Any = "validation_loss", **settings: Any) -> Trial:
    return Trial(name, {"training.lora.r": 4}, parameters(**settings), objective, measured_length=80)


@pytest.fixture
def base_model(tiny_model: Any, tokenizer: Any, tmp_path: Path) -> BaseModel:
    folder = tmp_path / "base"
    tiny_model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return BaseModelDataset(id=str(folder), revision=None).load()
