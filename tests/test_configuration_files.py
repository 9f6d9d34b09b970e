"""Files of the configuration: experiments that extend others, rehearsals, and trees that are read without OmegaConf."""

from __future__ import annotations

import functools
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf
from omegaconf.resolvers import oc

from med_lora.config_loader import ExperimentConfigLoader, read_experiment
from med_lora.config_trees import NotPlainError, check_layer, look_up, merge_trees, resolve_tree
from tests.conftest import ROOT

ENVIRONMENT: dict[str, Any] = {"base_env": "base", "default_run_env": "cpu"}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "conf", tmp_path / "conf"))


def write(conf: Path, name: str, **content: Any) -> None:
    (conf / "experiments" / f"{name}.yml").write_text(yaml.safe_dump(content))


def parameters(conf: Path, **given: Any) -> dict[str, Any]:
    values: dict[str, Any] = ExperimentConfigLoader(conf, "cpu", given, **ENVIRONMENT)["parameters"]
    return values


def test_an_experiment_lies_over_the_one_that_it_extends(conf: Path) -> None:
    write(conf, "first", description="one", training={"lora": {"r": 2, "alpha": 3}, "seed": 4}, probes=[])
    write(conf, "second", extends="first", training={"lora": {"r": 5}})
    write(conf, "third", extends="second", description="three", retrieval=None)
    given = parameters(conf, experiment="third", training={"seed": 6})
    assert (given["experiment"], given["description"], given["retrieval"]) == ("third", "three", None)
    assert (given["training"]["lora"]["r"], given["training"]["lora"]["alpha"], given["training"]["seed"]) == (5, 3, 6)
    assert "extends" not in given
    assert parameters(conf, experiment="second")["description"] == "one"


@pytest.mark.parametrize(("extends", "named"), [("mine", "mine"), ("other", "mine, other")])
def test_experiments_that_extend_each_other_are_refused(conf: Path, extends: str, named: str) -> None:
    write(conf, "mine", extends=extends)
    write(conf, "other", extends="mine")
    with pytest.raises(click.ClickException, match=f"The experiments {named} in .* in a circle; take `extends` out"):
        read_experiment(conf, "mine")


def test_unknown_extended_experiment_is_named_with_its_file_and_the_nearest(conf: Path) -> None:
    write(conf, "mine", extends="embeded")
    with pytest.raises(click.ClickException, match=r"'embeded' in .*, which mine.yml extends; did you mean 'embedded'"):
        read_experiment(conf, "mine")


def test_what_is_extended_may_not_set_hardware_either(conf: Path) -> None:
    write(conf, "below", hardware={"threads": 1})
    write(conf, "mine", extends="below")
    with pytest.raises(click.ClickException, match=r"below.yml must not set 'hardware'"):
        read_experiment(conf, "mine")


def test_a_rehearsal_reads_the_file_of_another_and_keeps_its_own_name(conf: Path) -> None:
    write(conf, "mine", description="the question", training={"lora": {"r": 5}})
    given = {"experiment": "mine_rehearsal", "rehearsal_of": "mine", "training": {"lora": {"alpha": 7}}}
    found = parameters(conf, **given)
    assert (found["experiment"], found["rehearsal_of"], found["description"]) == (
        "mine_rehearsal",
        "mine",
        "the question",
    )
    assert (found["training"]["lora"]["r"], found["training"]["lora"]["alpha"]) == (5, 7)
    catalog = ExperimentConfigLoader(conf, "cpu", given, **ENVIRONMENT)["catalog"]
    assert "/mine_rehearsal/" in catalog["adapter"]["filepath"]
    with pytest.raises(click.ClickException, match=r"no experiment 'mime' in .* did you mean 'mine'"):
        parameters(conf, experiment="mime_rehearsal", rehearsal_of="mime")


@pytest.mark.parametrize("given", [{}, {"experiment": "genmedgpt_embedded"}, {"experiment": "embedded_rehearsal"}])
def test_a_run_of_another_name_is_no_rehearsal(given: dict[str, Any]) -> None:
    """Its outputs would stand where those of the experiment itself do."""
    with pytest.raises(click.ClickException, match=r"by `make rehearse STUDY=genmedgpt_embedded` alone; take it out"):
        parameters(ROOT / "conf", **given, rehearsal_of="genmedgpt_embedded")


def test_a_key_that_two_files_set_is_named(conf: Path) -> None:
    (conf / "base" / "parameters_twice.yml").write_text("training: {lora: {r: 3}}\n")
    with pytest.raises(
        click.ClickException, match=r"parameters_training.yml and .*_twice.yml both set training.lora.r"
    ):
        parameters(conf)


def test_a_file_that_is_no_yaml_is_named_with_the_line(conf: Path) -> None:
    (conf / "base" / "catalog_broken.yml").write_text("adapter2: {type: [\n")
    loader = ExperimentConfigLoader(conf, "cpu", {}, **ENVIRONMENT)
    with pytest.raises(click.ClickException, match=r"catalog_broken.yml is not valid YAML: .* line 2"):
        loader["catalog"]


def test_a_file_in_another_encoding_is_named_without_its_text(conf: Path) -> None:
    file = conf / "experiments" / "mine.yml"
    file.write_text("description: Müller\n", encoding="latin-1")
    with pytest.raises(click.ClickException, match=r"mine.yml is not in UTF-8; save it in that encoding.$"):
        parameters(conf, experiment="mine")


def test_an_empty_file_sets_nothing(conf: Path) -> None:
    (conf / "experiments" / "mine.yml").write_text("# to be written\n")
    assert read_experiment(conf, "mine") == {}


PLAIN: dict[str, Any] = {
    "description": "seed ${globals:seed}",
    "hardware": {"threads": 3},
    "retrieval": None,
    "model": {"id": "${globals:raw_root}/model"},
    "studies": {"medlms": {"title": "Another"}},
}


def by_omegaconf(conf: Path, **given: Any) -> dict[str, Any]:
    """What Kedro's own loader makes of an experiment and runtime parameters."""
    options: dict[str, Any] = {"custom_resolvers": {"oc.env": oc.env}, "merge_strategy": {"globals": "soft"}}
    whole = {**read_experiment(conf, "embedded"), "experiment": "embedded"}
    runtime: Any = OmegaConf.to_container(OmegaConf.merge(whole, given))
    values: dict[str, Any] = OmegaConfigLoader(str(conf), "cpu", runtime, **ENVIRONMENT, **options)["parameters"]
    return values


def test_parameters_are_those_that_omegaconf_makes() -> None:
    assert parameters(ROOT / "conf", **deepcopy(PLAIN)) == by_omegaconf(ROOT / "conf", **PLAIN)


# Each reference once: where one global is referred to twice, Kedro lays what lies over the one over the other as well.
BASE = {
    "part": {"a": 1, "b": {"c": 2}},
    "whole": "${globals:section}",
    "inner": {"of": "${globals:rest}", "x": 1},
    "off": "${globals:nothing}",
}
LAYERS: dict[str, dict[str, Any]] = {
    "reference over a mapping": {"part": "${globals:section}"},
    "reference deep over a mapping": {"part": {"b": "${globals:section}"}, "inner": {"x": 2}},
    "text with a reference over a mapping": {"part": "seed ${globals:seed}"},
    "reference over a reference": {"whole": "${globals:other}"},
    "mapping over a reference": {"whole": {"threads": 4}, "inner": {"of": {"seed": "${globals:seed}"}}},
    "reference over a part of a reference": {"whole": {"lora": "${globals:other}"}},
    "mapping over nothing": {"off": {"a": 1}, "part": None},
    "reference to another parameter": {"inner": {"x": "${part.a} of ${oc.env:MED_LORA_TEST_HOME}"}},
    "default": {"inner": {"x": "${globals:absent,7}"}},
    "escape": {"inner": {"x": r"a \${globals:seed}"}},
    "still to be given": {"inner": {"x": "???"}, "part": "???"},
}


@pytest.fixture(scope="module")
def small_conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    conf = tmp_path_factory.mktemp("small")
    for folder in ("base", "cpu", "experiments"):
        (conf / folder).mkdir()
    given = {
        "section": {"device": "cpu", "lora": {"r": 3}},
        "other": {"alpha": 5},
        "rest": {"b": 6},
        "seed": 7,
        "nothing": None,
    }
    (conf / "cpu" / "globals.yml").write_text(yaml.safe_dump(given))
    (conf / "base" / "parameters.yml").write_text(yaml.safe_dump(BASE))
    (conf / "experiments" / "embedded.yml").write_text("")
    return conf


@pytest.mark.parametrize("over", LAYERS.values(), ids=LAYERS)
def test_layers_are_laid_as_omegaconf_lays_them(
    small_conf: Path, over: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MED_LORA_TEST_HOME", "somewhere")
    assert parameters(small_conf, **deepcopy(over)) == by_omegaconf(small_conf, **over)


@pytest.mark.parametrize(
    ("over", "sentence"),
    [
        ({"part": "${globals:"}, r"^The configuration of 'parameters' cannot be resolved: mismatched input"),
        ({"part": [1], "whole": "${part.a}"}, r"cannot be resolved: Cannot merge DictConfig with ListConfig"),
        ({"part": "${globals:nothing.k}"}, r"cannot be resolved: Globals key 'nothing.k' not found"),
        ({"part": "${absent.k}"}, r"cannot be resolved: Interpolation key 'absent.k' not found"),
    ],
)
def test_what_omegaconf_refuses_is_one_sentence(small_conf: Path, over: dict[str, Any], sentence: str) -> None:
    with pytest.raises(click.ClickException, match=sentence) as caught:
        parameters(small_conf, **over)
    assert "\n" not in caught.value.message


def test_what_is_off_has_nothing_below_it_where_the_catalog_asks() -> None:
    assert look_up({"retrieval": None}, "retrieval.encoder.id", off_is_none=True) is None
    with pytest.raises(KeyError, match=r"'retrieval\.encoder', which does not exist"):
        look_up({"retrieval": {}}, "retrieval.encoder", off_is_none=True)


def test_a_reference_is_resolved_as_a_whole_or_within_a_text() -> None:
    tree = {"whole": "${of:list}", "part": ["a ${of:number} b ${of:number}"], "none": None}
    values: dict[str, Any] = {"list": [1, {"x": 2}], "number": 3}
    found = resolve_tree(tree, {"of": values.__getitem__})
    assert found == {"whole": [1, {"x": 2}], "part": ["a 3 b 3"], "none": None}
    assert found["whole"] is not values["list"]


@pytest.mark.parametrize(
    "text",
    [
        *("${other:number}", "${of:absent}", "a ${of:list}", "${of:number,2}", "${x}", "\\${of:number}", "${of:"),
        "${of:nothing.k}",
    ],
)
def test_a_reference_of_another_form_is_left_to_omegaconf(text: str) -> None:
    with pytest.raises(NotPlainError):
        resolve_tree([text], {"of": functools.partial(look_up, {"list": [1], "number": 3, "nothing": None})})


def test_trees_are_merged_without_changing_either() -> None:
    under: dict[str, Any] = {"a": {"b": 1, "c": [1]}, "d": {"e": 1}, "f": 1}
    over: dict[str, Any] = {"a": {"c": [2]}, "d": None, "f": {"g": []}}
    before = deepcopy((under, over))
    merged = merge_trees(under, over)
    assert merged == {"a": {"b": 1, "c": [2]}, "d": None, "f": {"g": []}}
    merged["f"]["g"].append(1)
    assert (under, over) == before
    with pytest.raises(NotPlainError):
        merge_trees({"a": "${globals:b}"}, {"a": {"b": 1}})
    check_layer({"a": {"b": 1}, "d": "x"}, {"a": {"c": "${globals:b}"}, "d": "${globals:b}", "e": "${globals:b}"})
    with pytest.raises(NotPlainError):
        check_layer({"a": {"b": {"c": 1}}}, {"a": {"b": "${globals:b}"}})
