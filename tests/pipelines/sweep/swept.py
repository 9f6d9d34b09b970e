"""A sweep over ranks without its trainings, run by itself: ``python -m tests.pipelines.sweep.swept BASE FOLDER KILL``.

Each training that begins adds its rank to ``FOLDER/trainings``; the one numbered KILL ends the process as a power cut
would.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.datasets.work_folder import WorkFolderDataset
from med_lora.parameters import SweepParams
from med_lora.pipelines.sweep import create_pipeline, nodes
from med_lora.pipelines.sweep.points import make_points
from med_lora.trials import trial
from med_lora.trials.settings import TrialParams
from tests.trials.conftest import outcome_of, parameters, split

RANKS = [2, 4, 8, 16]
ARTIFACTS = ("sweep_trials", "sweep_best", "sweep_histories", "sweep_figure", "sweep_losses_figure")


class Kept(MemoryDataset):
    """Holds its data after the last node that reads them."""

    def _release(self) -> None:
        pass


def catalog(sweep: SweepParams, given: TrialParams, base: str, work: Path) -> DataCatalog:
    """Inputs of a sweep over the tests' pairs; its artifacts stay in memory."""
    values: dict[str, Any] = {f"params:{name}": getattr(given, name) for name in TrialParams.model_fields}
    values |= {"params:sweep": sweep, "params:experiment": "mine", "train": split(12), "validation": split(5, 100)}
    values["experiment_settings"] = {"experiment": "mine", "description": "a test"}
    kept = {name: MemoryDataset(value, copy_mode="assign") for name, value in values.items()}
    outputs = {name: Kept() for name in ARTIFACTS}
    work_folder = WorkFolderDataset(filepath=str(work))
    return DataCatalog(
        {**kept, **outputs, "base_model": BaseModelDataset(id=base, revision=None), "sweep_work": work_folder}
    )


def run(sweep: SweepParams, given: TrialParams, base: str, work: Path) -> dict[str, Any]:
    """The artifacts of the sweep."""
    datasets = catalog(sweep, given, base, work)
    pipeline = create_pipeline([point.name for point in make_points(sweep, given)])
    SequentialRunner().run(pipeline, datasets)
    return {name: datasets.load(name) for name in ARTIFACTS}


def main(base: str, folder: str, kill: str) -> None:
    from transformers import PreTrainedTokenizerFast

    log = Path(folder) / "trainings"

    def train(job: Any) -> Any:
        with log.open("a") as file:
            file.write(f"{job.training.lora.r}\n")
        if len(log.read_text().split()) == int(kill):
            os.kill(os.getpid(), signal.SIGKILL)
        return outcome_of(job)

    trial.train_on_rank = train
    # AutoConfig and AutoTokenizer would import torch, for seconds, and nothing else here does
    nodes.check_trial = lambda *_: None
    BaseModel.tokenizer = lambda self: PreTrainedTokenizerFast.from_pretrained(self.source)
    grid = SweepParams(grid={"training.lora.r": [*RANKS]}, design="full", objective="validation_loss")
    run(grid, parameters(), base, Path(folder) / "work")


if __name__ == "__main__":
    logging.disable(logging.INFO)
    main(*sys.argv[1:])
