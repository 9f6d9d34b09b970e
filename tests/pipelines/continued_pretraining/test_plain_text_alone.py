"""Passages and no pairs: the adapter of that stage is the tuned model, and one of other origin is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from kedro.io import MemoryDataset

from med_lora import pipeline_registry
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.pipelines import continued_pretraining, evaluation, merging, training
from med_lora.pipelines.continued_pretraining.nodes import train_domain_adapter
from med_lora.pipelines.evaluation.origin import check_domain_adapter
from med_lora.pipelines.stages import Stages
from med_lora.provenance import RECORD_FILE, hash_passages
from tests import recipes
from tests.hub_cards import find_faults
from tests.pipelines.test_stages import first, parameters

from .conftest import Project, first_stage, make_passages, make_project, pairs

ALONE = Stages("none", "adapter")


@pytest.fixture(scope="module")
def finished(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The stage, both arms' losses and the merged model; the recipe validates after its first step and its last."""
    project = make_project(tokenizer, tmp_path_factory.mktemp("alone"))
    recipe = recipes.optimisation(learning_rate=5e-2, batches="random", epochs=2, evaluations=[1])
    project.catalog["test"] = MemoryDataset(pairs(4, "test"), copy_mode="assign")
    losses = [f"{arm}_losses" for arm in ("base", "tuned")]
    for name in ("base_session", "tuned_session", *losses, *(f"{arm}_batch_losses" for arm in ("base", "tuned"))):
        project.catalog[name] = MemoryDataset(copy_mode="assign")
    whole = (
        continued_pretraining.create_pipeline(ALONE)
        + training.create_pipeline(ALONE)
        + evaluation.create_pipeline(ALONE).to_outputs(*losses)
        + merging.create_pipeline(ALONE)
    )
    assert "train" not in whole.inputs()
    project.run(whole, continued_pretraining=first_stage(optimisation=recipe), training=recipes.training(method="none"))
    return project


def test_the_domain_adapter_answers_as_the_tuned_model(finished: Project) -> None:
    base, tuned = (finished.load(f"{arm}_losses") for arm in ("base", "tuned"))
    assert base["id"].tolist() == tuned["id"].tolist()
    assert (base["nll"] - tuned["nll"]).abs().min() > 0.1
    assert not list(finished.folder.glob("adapter*"))
    history = finished.load("domain_history")
    assert history[history["metric"] == "validation_loss"]["step"].tolist()[:2] == [0, 1]
    card = (finished.load("merged_model").path / "README.md").read_text(encoding="utf-8")
    assert "trained on plain text alone, on no question-answer pair, by med_lora" in " ".join(card.split())


def test_the_card_says_all_that_whoever_publishes_the_adapter_needs(finished: Project) -> None:
    adapter, base = finished.load("domain_adapter"), finished.load("base_model")
    card = (adapter.path / "README.md").read_text(encoding="utf-8")
    assert find_faults(card) == []
    history = finished.load("domain_history")
    losses = history[history["metric"] == "validation_loss"]["value"]
    for said in (
        "on no question-answer pair",
        "Load the base model `base` with `AutoModelForCausalLM.from_pretrained`",
        "| `books` | CC0-1.0 | 10 |",
        f"| its identity | SHA-256 `{base.sha256[:16]}` |",
        "| loss on | all |",
        "| held out | 20 % of the passages",
        "| tokens trained on | ",
        "| epochs, learning rate, batch | 2, 0.05, 4 (random) |",
        f"{losses.iloc[0]:.3f} before, {losses.iloc[-1]:.3f} after training |",
        "put their terms into a file LICENSE",
    ):
        assert said in card
    assert str(finished.folder) not in card


def test_an_adapter_of_other_text_weights_or_base_is_refused(finished: Project, tokenizer: Any, tmp_path: Path) -> None:
    adapter, base, given = finished.load("domain_adapter"), finished.load("base_model"), recipes.model_params()
    assert check_domain_adapter(adapter, base, make_passages().iloc[::-1], given) is adapter
    with pytest.raises(InputError, match="trained on other passages than this run's"):
        check_domain_adapter(adapter, base, make_passages().iloc[1:], given)
    with pytest.raises(InputError, match=r"quantisation 'none'; set model\.quantisation to that"):
        check_domain_adapter(adapter, base, make_passages(), recipes.model_params(quantisation="nf4"))
    record = json.loads((adapter.path / RECORD_FILE).read_text())
    record["base_model"]["sha256"] = "0" * 64
    (tmp_path / RECORD_FILE).write_text(json.dumps(record))
    with pytest.raises(InputError, match="was trained on base"):
        check_domain_adapter(PretrainedFolder(tmp_path, ""), base, make_passages(), given)


def test_an_adapter_of_pairs_is_of_unknown_origin(finished: Project, tmp_path: Path) -> None:
    record = json.loads((finished.load("domain_adapter").path / RECORD_FILE).read_text())
    assert record.pop("passages_sha256") == hash_passages(make_passages())
    (tmp_path / RECORD_FILE).write_text(json.dumps(record | {"train_sha256": "0" * 64}))
    folder = PretrainedFolder(tmp_path, "")
    with pytest.raises(InputError, match="does not tell the adapter's origin"):
        check_domain_adapter(folder, finished.load("base_model"), make_passages(), recipes.model_params())


def test_the_whole_plan_holds_together_without_training_on_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_registry, "_plan", pipeline_registry._plan)  # which selecting one replaces
    pipeline_registry.select_plan(parameters(**first(), training={"method": "none"}))
    registry = pipeline_registry.register_pipelines()
    assert {node.name for node in registry["training"].nodes} == {
        node.name for node in registry["continued_pretraining"].nodes
    }
    whole = registry["__default__"]
    assert {"adapter", "training_history", "tuned_model"}.isdisjoint(whole.datasets())
    drawn = next(node for node in registry["reporting"].nodes if "loss_curve_figure" in node.outputs)
    assert {"domain_history", "training_history"} & {*drawn.inputs} == {"domain_history"}
    assert train_domain_adapter in {node.func for node in whole.nodes}
    for name in ("sweep", "search"):
        with pytest.raises(
            click.ClickException, match=r"training\.method is none, and every trial is trained on pairs"
        ):
            registry[name]
