"""A project whose run is over: a tiny model, its adapter and its splits behind the catalog's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.parameters import HardwareParams, ProjectParams, PromptParams, parse_parameters
from med_lora.project import Project
from tests import recipes
from tests.conftest import ROOT
from tests.pipelines.evaluation.conftest import (  # noqa: F401
    Table,
    adapter,
    base_model,
    hardware,
    model_folder,
    prompt,
    test_split,
    train_split,
)


@pytest.fixture(scope="session")
def embedded() -> ProjectParams:
    """Parameters of the default experiment."""
    loader = ExperimentConfigLoader(ROOT / "conf", "cpu", {}, base_env="base", default_run_env="cpu")
    return parse_parameters(loader["parameters"])


@pytest.fixture
def passages() -> pd.DataFrame:
    """Pages of a book that answers no test question in its words."""
    texts = [
        "Gout comes from crystals of uric acid in a joint. It often begins in the great toe. It hurts.",
        "A dry cough often follows a cold. Warm drinks soothe the throat.",
        "Asthma narrows the airways of small children and of grown people. A spirometer measures it.",
    ]
    rows = [
        {"id": f"book:{page}", "book": "A [bold]Book[/bold]", "chapter": "Joints", "page": page, "text": text}
        for page, text in enumerate(texts, start=3)
    ]
    return pd.DataFrame(rows).assign(corpus="books", licence="CC0-1.0")


@pytest.fixture
def make_project(
    embedded: ProjectParams,
    base_model: BaseModel,  # noqa: F811
    adapter: PretrainedFolder,  # noqa: F811
    hardware: HardwareParams,  # noqa: F811
    prompt: PromptParams,  # noqa: F811
    test_split: Table,  # noqa: F811
    train_split: Table,  # noqa: F811
    passages: pd.DataFrame,
) -> Callable[..., Project]:
    """A project; datasets and parameters by name replace its own, and a dataset of None is missing."""
    saved: dict[str, Any] = {
        "base_model": base_model,
        "adapter": adapter,
        "test": test_split,
        "train": train_split,
        "passages": passages,
    }
    given = {
        "model": recipes.model_params(),
        "hardware": hardware,
        "prompt": prompt,
        "evaluation": recipes.evaluation(),
        "retrieval": recipes.retrieval(sources=["passages", "training_answers"], enabled=False, context_tokens=220),
    }

    def make(changes: dict[str, Any] | None = None, **parameters: Any) -> Project:
        datasets = {name: data for name, data in (saved | (changes or {})).items() if data is not None}
        catalog = DataCatalog({name: MemoryDataset(data, copy_mode="assign") for name, data in datasets.items()})
        return Project(embedded.model_copy(update=given | parameters), catalog)

    return make
