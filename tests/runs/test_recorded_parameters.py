"""The parameters of a rerun are those of the run, whatever conf/ has come to say since."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.errors import InputError
from med_lora.parameters import parse_parameters
from tests.conftest import ROOT

RUN = "2026-11-20T03.14.00.123Z"


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "conf", tmp_path / "conf"))


@pytest.fixture(scope="module")
def whole_tree() -> dict[str, Any]:
    return load(ROOT / "conf", experiment="embedded") | {"rerun_of": RUN}


@pytest.fixture
def tree(whole_tree: dict[str, Any]) -> dict[str, Any]:
    """What the run recorded."""
    return deepcopy(whole_tree)


def load(conf: Path, env: str | None = None, **runtime: Any) -> dict[str, Any]:
    return ExperimentConfigLoader(conf, env, runtime, base_env="base", default_run_env="cpu")["parameters"]


def edit(conf: Path, file: str, **changes: Any) -> None:
    path = conf / "base" / file
    tree = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        (section,) = tree.values()
        section[key] = value
    path.write_text(yaml.safe_dump(tree))


def test_rerun_has_the_recorded_tree_and_nothing_of_newer_files(conf: Path, tree: dict[str, Any]) -> None:
    recorded = yaml.safe_load(yaml.safe_dump(tree))
    (conf / "experiments/embedded.yml").unlink()
    edit(conf, "parameters_corpora.yml", newer={"layout": "pages", "title": "x", "licence": "unknown", "files": "a"})
    edit(conf, "parameters_merging.yml", dtype="bf16")
    globals_file = conf / "cpu/globals.yml"
    globals_file.write_text(globals_file.read_text().replace("micro_batch_size: 4", "micro_batch_size: 2"))
    repeated = load(conf, **recorded)
    assert repeated == tree
    parse_parameters(repeated)


def test_mapping_that_was_empty_stays_empty(conf: Path, tree: dict[str, Any]) -> None:
    assert tree["judge"]["item_criteria"] == {}
    edit(
        conf,
        "parameters_judge.yml",
        item_criteria={"pair-1": []},
        price={"currency": "USD", "prompt": 1, "completion": 2},
    )
    assert load(conf, **tree) == tree


def test_setting_that_is_newer_than_the_run_has_the_value_of_conf(conf: Path, tree: dict[str, Any]) -> None:
    older = yaml.safe_load(yaml.safe_dump(tree))
    del older["training"]["epoch_answers"], older["power"]
    for corpus in older["corpora"].values():
        corpus.pop("layout")
    assert load(conf, **older) == tree


def test_setting_that_is_no_longer_known_stops_the_rerun(conf: Path, tree: dict[str, Any]) -> None:
    tree["training"]["galore_rank"] = 4
    with pytest.raises(InputError, match=r"unknown parameter training\.galore_rank"):
        parse_parameters(load(conf, **tree))


def test_escaped_braces_are_text(conf: Path, tree: dict[str, Any]) -> None:
    tree["prompt"]["template"] = r"Price \${question} \${ {question}"
    assert load(conf, **tree)["prompt"]["template"] == "Price ${question} ${ {question}"


def test_environment_does_not_change_the_recorded_hardware(conf: Path, tree: dict[str, Any]) -> None:
    assert load(conf, "a100", **tree)["hardware"] == tree["hardware"]


def test_id_without_the_tree_is_one_sentence(conf: Path) -> None:
    with pytest.raises(click.ClickException, match=r"rerun_of is set by runs/<id>/rerun.yml alone"):
        load(conf, rerun_of=RUN)
