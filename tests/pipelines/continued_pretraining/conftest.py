"""A small project in memory: a base model on disk, passages, pairs, and the datasets that stages hand on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset

from med_lora.datasets import AdapterDataset, BaseModelDataset, PretrainedDataset
from med_lora.datasets.work_folder import WorkFolderDataset
from med_lora.parameters import ContinuedPretrainingParams, MergingParams, PromptParams
from tests import recipes
from tests.pipelines.training.recipes import save_base

PROSE = "The calf muscle lifts the heel, and the tendon behind it is the thickest of the body, which gout spares."
TOPICS = ("gout", "asthma", "anaemia", "shingles")


@dataclass(frozen=True)
class Split:
    """Pairs as the catalog hands them over."""

    frame: pd.DataFrame

    def to_pandas(self) -> pd.DataFrame:
        return self.frame.copy()


def pairs(count: int, name: str) -> Split:
    rows = [(f"{name}:{n:03d}", f"what is {TOPICS[n % 4]}?", f"{TOPICS[n % 4]} is illness {n}.") for n in range(count)]
    return Split(pd.DataFrame(rows, columns=["id", "question", "answer"]))


def make_passages() -> pd.DataFrame:
    rows = [
        (
            f"books:b/c{chapter}#{n:04d}",
            "books",
            "b",
            f"c{chapter}",
            0,
            "CC0-1.0",
            f"{PROSE} So says page {chapter}{n}.",
        )
        for chapter in range(5)
        for n in range(2)
    ]
    return pd.DataFrame(rows, columns=["id", "corpus", "book", "chapter", "page", "licence", "text"])


def first_stage(**changes: Any) -> ContinuedPretrainingParams:
    given = {
        "enabled": True,
        "block_length": 48,
        "validation_fraction": 0.2,
        "handover": "adapter",
        "lora": recipes.lora(),
        "optimisation": recipes.optimisation(learning_rate=5e-2, batches="random", epochs=1, evaluations=2),
    }
    return ContinuedPretrainingParams(**(given | changes))


@dataclass(frozen=True)
class Project:
    """A catalog of real datasets, and a runner."""

    folder: Path
    catalog: DataCatalog

    def run(self, pipeline: Any, **changes: Any) -> None:
        for name, value in changes.items():
            self.catalog[f"params:{name}"] = MemoryDataset(value, copy_mode="assign")
        SequentialRunner().run(pipeline, self.catalog)

    def load(self, name: str) -> Any:
        return self.catalog.load(name)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """So small a model only loses time by sharing its work out."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def project(tokenizer: Any, tmp_path: Path) -> Project:
    return make_project(tokenizer, tmp_path)


def make_project(tokenizer: Any, folder: Path) -> Project:
    """A new one in ``folder``."""
    save_base(folder / "base", tokenizer)
    values = {
        "passages": make_passages(),
        "train": pairs(12, "train"),
        "validation": pairs(4, "validation"),
        "params:prompt": PromptParams(template="plain", system=None),
        "params:model": recipes.model_params(),
        "params:training": recipes.training(optimisation=recipes.optimisation(epochs=1, evaluations=2)),
        "params:continued_pretraining": first_stage(),
        "params:hardware": recipes.hardware(),
        "params:merging": MergingParams(dtype="fp32", tolerance=1e-3),
    }
    kept: dict[str, Any] = {
        "base_model": BaseModelDataset(id=str(folder / "base")),
        "domain_adapter": AdapterDataset(filepath=str(folder / "domain_adapter")),
        "domain_model": PretrainedDataset(filepath=str(folder / "domain_model")),
        "adapter": AdapterDataset(filepath=str(folder / "adapter")),
        "tuned_model": PretrainedDataset(filepath=str(folder / "tuned_model")),
        "merged_model": PretrainedDataset(filepath=str(folder / "merged_model")),
        "domain_checkpoints": WorkFolderDataset(filepath=str(folder / "domain_checkpoints")),
        "training_checkpoints": WorkFolderDataset(filepath=str(folder / "training_checkpoints")),
    }
    handles = ("domain_base", "checked_adapter", "tuned_base")
    # files, since a run lets go of intermediate values in memory
    kept |= {
        name: CSVDataset(filepath=str(folder / f"{name}.csv"), save_args={"index": False})
        for name in ("domain_history", "training_history")
    }
    kept |= {name: JSONDataset(filepath=str(folder / f"{name}.json")) for name in ("domain_merge_check", "merge_check")}
    return Project(
        folder,
        DataCatalog(
            kept
            | {name: MemoryDataset(value, copy_mode="assign") for name, value in values.items()}
            | {name: MemoryDataset(copy_mode="assign") for name in handles}
        ),
    )
