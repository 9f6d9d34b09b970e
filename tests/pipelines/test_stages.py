"""Plans of training: what follows from an experiment, and what contradicts itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.datasets.base_model import BaseModelDataset
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.parameters import ProjectParams, parse_parameters
from med_lora.pipelines import canaries, continued_pretraining, evaluation, merging, training
from med_lora.pipelines.evaluation.pipeline import create_check
from med_lora.pipelines.stages import Stages, absent_pipelines, as_base_model, stages_of
from tests.conftest import ROOT

PLANS = [
    *(Stages(), Stages("full"), Stages("lora", "adapter"), Stages("lora", "merged"), Stages("full", "merged")),
    Stages("none", "adapter"),
]


def parameters(**given: Any) -> ProjectParams:
    loader = ExperimentConfigLoader(ROOT / "conf", "cpu", given, base_env="base", default_run_env="cpu")
    return parse_parameters(loader["parameters"])


def first(**given: Any) -> dict[str, Any]:
    return {"continued_pretraining": {"enabled": True, **given}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Stages("lora", None)),
        ({"training": {"method": "full"}}, Stages("full", None)),
        (first(), Stages("lora", "adapter")),
        (first(handover="merged"), Stages("lora", "merged")),
        (first(handover="merged", lora={"r": 64}), Stages("lora", "merged")),
        ({**first(handover="merged"), "training": {"method": "full"}}, Stages("full", "merged")),
        ({**first(), "training": {"method": "none"}}, Stages("none", "adapter")),
        # no adapter is trained further, so that the recipe for pairs has no say in it
        ({**first(lora={"r": 64}), "training": {"method": "none"}}, Stages("none", "adapter")),
        ({"continued_pretraining": {"handover": "merged"}}, Stages("lora", None)),
    ],
)
def test_plan_follows_from_the_experiment(given: dict[str, Any], expected: Stages) -> None:
    assert stages_of(parameters(**given)) == expected


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (first(lora={"r": 64, "use_dora": True}), r"differ in r \(64 and 16\), use_dora \(True and False\); make them"),
        ({**first(), "training": {"lora": {"dropout": 0.1}}}, r"dropout \(0\.0 and 0\.1\)"),
        ({**first(), "training": {"method": "full"}}, "which trains no adapter"),
        (
            {**first(lora={"initialisation": "pissa"}), "training": {"lora": {"initialisation": "pissa"}}},
            "initialised as pissa is saved in another form",
        ),
        ({**first(handover="merged"), "model": {"quantisation": "gptq"}}, "nothing can be merged into GPTQ"),
        ({"training": {"method": "full"}, "model": {"quantisation": "nf4"}}, "quantised weights cannot be trained"),
        ({"training": {"method": "none"}}, "nothing would be trained at all; set that to true"),
        (
            {**first(handover="merged"), "training": {"method": "none"}},
            "no stage follows that could start on the merged",
        ),
        ({**first(), "training": {"method": "none"}, "canaries": {"enabled": True}}, "secrets are put among training"),
        (
            {**first(), "training": {"method": "none", "epoch_answers": 5}},
            r"epoch_answers is 5, but there is no epoch on pairs .* set it to 0",
        ),
        ({**first(), "data_engineering": {"corpora": ["wikidoc"]}}, r"none of data_engineering\.corpora has passages"),
    ],
)
def test_contradictory_plan_is_one_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        stages_of(parameters(**given))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stages", PLANS, ids=str)
def test_stages_fit_together(stages: Stages) -> None:
    """Whatever the plan, training to evaluation needs the data, the base model and parameters, and nothing else."""
    whole = (
        continued_pretraining.create_pipeline(stages)
        + training.create_pipeline(stages)
        + evaluation.create_pipeline(stages)
        + merging.create_pipeline(stages)
    )
    data = {
        "base_model",
        "train",
        "validation",
        "test",
        "training_checkpoints",
        "general_english",
        "base_journal",
        "tuned_journal",
    }
    data |= {"passages", "domain_checkpoints"} if stages.handover else set()
    data -= set() if stages.on_pairs else {"training_checkpoints"}
    assert {name for name in whole.inputs() if not name.startswith("params:")} == data
    outputs = whole.all_outputs()
    assert ("domain_model" in outputs) == (stages.handover == "merged")
    assert ("tuned_model" in outputs, "adapter" in outputs) == (stages.method == "full", stages.method == "lora")
    assert ("merged_model" in outputs) == (stages.method != "full")
    assert {stages.tuned, stages.history} <= outputs


@pytest.mark.parametrize("stages", PLANS, ids=str)
def test_each_later_pipeline_starts_from_what_was_saved(stages: Stages) -> None:
    """A handle in memory is of no use to a run of its own."""
    for pipeline in (evaluation.create_pipeline(stages), merging.create_pipeline(stages)):
        assert pipeline.inputs().isdisjoint({"domain_base", "tuned_base", "checked_adapter"})


@pytest.mark.parametrize("stages", PLANS, ids=str)
def test_every_artifact_of_a_plan_stands_in_the_catalog(stages: Stages) -> None:
    loader = ExperimentConfigLoader(ROOT / "conf", "cpu", {}, base_env="base", default_run_env="cpu")
    whole = (
        continued_pretraining.create_pipeline(stages)
        + training.create_pipeline(stages)
        + create_check(stages)
        + merging.create_pipeline(stages)
    )
    names = {name for name in whole.datasets() if not name.startswith("params:")}
    assert names <= set(loader["catalog"])


@pytest.mark.parametrize("stages", PLANS, ids=str)
def test_pipeline_without_a_node_has_a_reason(stages: Stages) -> None:
    made = {
        "continued_pretraining": continued_pretraining.create_pipeline(stages),
        "merging": merging.create_pipeline(stages),
        "canaries": canaries.create_pipeline(stages),
    }
    absent = {name for name, pipeline in made.items() if not pipeline.nodes}
    assert absent_pipelines(stages).keys() == absent | (set() if stages.on_pairs else {"search", "sweep"})


def test_base_arm_is_the_experiment_s_base_model_in_every_plan() -> None:
    for stages in PLANS:
        arms = evaluation.create_pipeline(stages)
        opened = {node.outputs[0]: node.inputs[0] for node in arms.nodes if node.name.startswith("open_")}
        assert opened["base_session"] == "base_model"
        assert "base_session" in arms.only_nodes_with_namespaces(["base"]).inputs()
        tuned = arms.only_nodes_with_namespaces(["tuned"]).inputs()
        (session,) = tuned & opened.keys()
        assert opened[session] == ("tuned_base" if stages.method == "full" else stages.base)
        assert ("checked_adapter" in tuned) == (stages.method != "full")


def test_saved_model_takes_the_part_of_the_base_model(tiny_model: Any, tokenizer: Any, tmp_path: Path) -> None:
    tiny_model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    folder = PretrainedFolder(tmp_path, "")
    handle = as_base_model(folder)
    assert handle.sha256 == BaseModelDataset(id=str(tmp_path)).load().sha256
    assert handle.model("float32").config.hidden_size == 32
    assert vars(handle)["folder"] is folder  # else a download would vanish under the handle
