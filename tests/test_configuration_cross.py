"""Every environment with every experiment, and what an experiment may state."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import yaml
from kedro.io import DataCatalog

from med_lora.config_loader import ExperimentConfigLoader, read_experiment
from med_lora.config_trees import merge_trees
from med_lora.parameters import parse_parameters

from .conftest import ENVIRONMENTS, EXPERIMENTS, ROOT
from .experiments import base_parameters


@pytest.fixture(autouse=True)
def environment_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MED_LORA_EXPERIMENT", "MED_LORA_RAW", "MED_LORA_MACHINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MED_LORA_RENDEZVOUS", "first-machine:29400")


def load(env: str, **runtime: Any) -> ExperimentConfigLoader:
    return ExperimentConfigLoader(ROOT / "conf", env, runtime, base_env="base", default_run_env="cpu")


# Each environment and each experiment at least once; the cross itself is made below.
SOME = [
    (ENVIRONMENTS[n % len(ENVIRONMENTS)], EXPERIMENTS[n % len(EXPERIMENTS)])
    for n in range(max(len(ENVIRONMENTS), len(EXPERIMENTS)))
]


@pytest.mark.parametrize(("env", "experiment"), SOME)
def test_environment_resolves_experiment(env: str, experiment: str) -> None:
    loader = load(env, experiment=experiment)
    given = parse_parameters(loader["parameters"])
    assert given.experiment == experiment
    own = loader["globals"]["hardware"]
    assert own.items() <= given.hardware.model_dump().items()
    catalog = DataCatalog.from_config(loader["catalog"])
    assert f"06_models/{experiment}/adapter" in str(catalog["adapter"])
    for corpus in given.data_engineering.corpora:
        assert f"corpus={corpus!r}" in str(catalog[f"raw_{corpus}"])


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_environment_changes_hardware_alone(env: str) -> None:
    (file,) = (path for path in (ROOT / "conf" / env).rglob("*") if path.is_file())
    assert file.name == "globals.yml"
    assert set(yaml.safe_load(file.read_text())) == {"hardware"}
    first, second = (load(name) for name in (env, "cpu"))
    assert {**first["parameters"], "hardware": None} == {**second["parameters"], "hardware": None}
    assert first["catalog"] == second["catalog"]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_environment_takes_every_experiment(experiment: str) -> None:
    """What an environment gives beside the experiment's own: the two contribute different keys, as tested above."""
    values = load("cpu", experiment=experiment)["parameters"]
    for env in ENVIRONMENTS:
        assert parse_parameters(values | {"hardware": hardware(env)}).hardware.model_dump() == hardware(env)


@functools.cache
def hardware(env: str) -> dict[str, Any]:
    given: dict[str, Any] = load(env)["globals"]["hardware"]
    return given


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_experiment_is_a_diff(experiment: str) -> None:
    """An experiment repeats no value that base, or the experiment that it extends, already has."""
    given = yaml.safe_load((ROOT / f"conf/experiments/{experiment}.yml").read_text())
    extended = given.pop("extends", None)
    below = merge_trees(base_parameters(), read_experiment(ROOT / "conf", extended) if extended else {})
    assert [path for path, value in leaves(given) if look_up(below, path) == value] == []


def leaves(tree: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found = []
    for key, value in tree.items():
        found += leaves(value, (*path, key)) if isinstance(value, dict) else [((*path, key), value)]
    return found


def look_up(tree: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        tree = tree.get(key, {}) if isinstance(tree, dict) else {}
    return tree
