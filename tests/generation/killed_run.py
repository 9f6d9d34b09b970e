"""Run by test_answers_kept.py: answers of a saved model, in a process that kills itself in the middle of a batch.

usage: python -m tests.generation.killed_run MODEL_FOLDER JOURNAL_FOLDER BATCHES
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from med_lora.datasets.base_model import BaseModelDataset
from med_lora.datasets.work_folder import WorkFolder
from med_lora.generation import engine
from med_lora.generation.steps import TokenSteps
from med_lora.models.session import open_session
from med_lora.parameters import PromptParams
from med_lora.pipelines.evaluation.answers.generation import generate_answers
from tests import recipes


class Questions:
    """A test split of 20 questions of unequal length."""

    def to_pandas(self) -> pd.DataFrame:
        words = ["pain", "swelling", "fever", "cough", "rash", "dizziness", "fatigue", "nausea"]
        questions = [" ".join(words[(start + step) % 8] for step in range(1 + start % 13)) + "?" for start in range(20)]
        return pd.DataFrame({"id": [f"q{n}" for n in range(20)], "question": questions, "answer": "x"})


def answer(model: Path, journal: Path) -> pd.DataFrame:
    """Answers in batches of 3."""
    session = open_session(
        BaseModelDataset(id=str(model)).load(),
        recipes.model_params(),
        recipes.hardware(threads=1, inference_batch_size=3),
    )
    journal.mkdir(exist_ok=True)
    prompt = PromptParams(template="plain", system=None)
    return generate_answers(session, Questions(), prompt, recipes.evaluation(), WorkFolder(journal))


def main(model: str, journal: str, batches: str) -> None:
    next_token = TokenSteps.advance
    write = engine._BatchWriter.write
    begun: list[int] = []

    def begin(self: Any, number: int, *given: Any) -> Any:
        begun.append(number)
        return write(self, number, *given)

    def kill(self: Any) -> Any:
        if len(begun) > int(batches) and self._answers.shape[1] == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return next_token(self)

    engine._BatchWriter.write = begin  # type: ignore[method-assign]
    TokenSteps.advance = kill  # type: ignore[method-assign]
    answer(Path(model), Path(journal))


if __name__ == "__main__":
    main(*sys.argv[1:])
