"""The pipeline with true trainings: artifacts that can be used, and a search that is cut off and goes on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.work_folder import WorkFolder
from med_lora.parameters import parse_parameters
from med_lora.pipelines.search import create_pipeline
from med_lora.pipelines.search.nodes import run_search
from med_lora.pipelines.stages import Stages
from med_lora.trials import trial as trials
from med_lora.trials.result import TrialResult
from tests import recipes
from tests.trials.conftest import base_model, parameters, split  # noqa: F401

from ...conftest import ROOT
from .conftest import search_params
from .test_search import figures

SPACE: dict[str, Any] = {
    "training.optimisation.learning_rate": {"choices": [1e-3, 1e-2]},
    "evaluation.decoding.temperature": {"low": 0.1, "high": 1.0},
}


def run(folder: Path, model: BaseModel, **changes: Any) -> list[TrialResult]:
    given = parameters(training__optimisation__checkpoints=2)
    sections = {name: getattr(given, name) for name in ("model", "prompt", "training", "evaluation", "hardware")}
    folder.mkdir(exist_ok=True)
    search = search_params(**({"space": SPACE, "objective": "token_f1", "trials": 3, "startup_trials": 1} | changes))
    return run_search(
        model, split(12), split(4, start=40), "trial", search=search, folder=WorkFolder(folder), **sections
    )


def test_every_annotation_of_a_node_resolves() -> None:
    for node in create_pipeline().nodes:
        assert get_type_hints(node.func)


def test_trials_start_where_instruction_tuning_does() -> None:
    assert create_pipeline(Stages(handover="merged")).inputs() >= {"domain_base", "train", "validation"}
    assert create_pipeline(Stages(handover="adapter")).inputs() >= {"base_model", "domain_adapter"}
    assert "params:search" in create_pipeline().inputs()


def test_a_search_that_is_interrupted_goes_on_to_the_same_figures(
    base_model: BaseModel,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    space = SPACE | {"training.optimisation.learning_rate": {"low": 1e-3, "high": 1e-2}}
    whole = run(tmp_path / "whole", base_model, space=space, trials=2)
    assert {result.state for result in whole} == {"finished"}
    finish = trials.run_trial
    seen: Counter[str] = Counter()

    def interrupted(trial: trials.Trial, *args: Any, watch: Any, **kwargs: Any) -> TrialResult:
        def cut(step: int, loss: float) -> None:
            watch(step, loss)
            seen[trial.name] += 1
            if len(seen) == 2 and step > 0:
                raise KeyboardInterrupt

        return finish(trial, *args, watch=cut, **kwargs)

    monkeypatch.setattr(trials, "run_trial", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", base_model, space=space, trials=2)
    monkeypatch.setattr(trials, "run_trial", finish)
    resumed = run(tmp_path / "cut", base_model, space=space, trials=2)
    assert figures(resumed) == figures(whole)


def test_settings_of_the_answers_alone_train_nothing_anew(
    base_model: BaseModel,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained: list[Any] = []
    train = trials.train_on_rank

    def counting(job: Any) -> Any:
        trained.append(job)
        return train(job)

    monkeypatch.setattr(trials, "train_on_rank", counting)
    results = run(tmp_path / "search", base_model, trials=5)
    rates = {result.settings["training.optimisation.learning_rate"] for result in results}
    assert len({result.settings["evaluation.decoding.temperature"] for result in results}) == 5
    assert len(trained) == len(rates) == 2
    assert not list((tmp_path / "search").rglob("weights"))  # no later trial will ask for them


def test_the_artifacts_of_a_search_can_be_used(
    base_model: BaseModel,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    loader = ExperimentConfigLoader(ROOT / "conf", "cpu", {}, base_env="base", default_run_env="cpu")
    catalog = DataCatalog.from_config(loader["catalog"], save_version="1")
    given = parameters()
    values = {
        "base_model": base_model,
        "train": split(12),
        "validation": split(4, start=40),
        "experiment_settings": {"description": "A test.", "training": {"lora": {"alpha": 32}}},
        "params:experiment": "embedded",
        "params:search": search_params(space=SPACE | {"training.lora.r": {"choices": [2, 4]}}, trials=3),
    }
    values |= {f"params:{name}": getattr(given, name) for name in given.__class__.model_fields}
    for name, value in values.items():
        catalog[name] = MemoryDataset(value, copy_mode="assign")
    SequentialRunner().run(create_pipeline(), catalog)
    table = catalog.load("search_trials")
    assert list(table["rank"]) == [1, 2, 3]
    assert sorted(table["number"]) == [0, 1, 2]
    for figure in ("search_slices", "search_history", "search_importance"):
        assert catalog.load(f"{figure}_figure").layout.meta["caption"]
    best = yaml.safe_load(catalog.load("search_best"))
    assert best["description"] == "A test."
    assert best["training"]["lora"] == {"alpha": 32, "r": table["training.lora.r"][0]}
    experiment = parse_parameters(
        ExperimentConfigLoader(ROOT / "conf", "cpu", best, base_env="base", default_run_env="cpu")["parameters"]
    )
    rate = table["training.optimisation.learning_rate"][0]
    assert experiment.training.optimisation.learning_rate == rate
    assert experiment.evaluation.decoding.temperature == table["evaluation.decoding.temperature"][0]
    assert recipes.training().lora.alpha != experiment.training.lora.alpha == 32
