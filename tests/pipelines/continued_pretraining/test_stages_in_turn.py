"""Passages, then pairs: each stage leaves its own artifact, and the last adapter stands where it says."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.parameters import MergingParams
from med_lora.pipelines import continued_pretraining, merging, training
from med_lora.pipelines.continued_pretraining.nodes import merge_domain_adapter
from med_lora.pipelines.evaluation.pipeline import create_check
from med_lora.pipelines.stages import Stages, as_base_model, create_base
from med_lora.provenance import hash_passages
from tests import recipes

from .conftest import PROSE, Project, first_stage, make_passages, make_project

MERGED = Stages("lora", "merged")
CONTINUED = Stages("lora", "adapter")


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


def log_probabilities(model: Any, tokenizer: Any) -> torch.Tensor:
    with torch.no_grad():
        ids = tokenizer("Question: what is gout?", return_tensors="pt")["input_ids"]
        return torch.as_tensor(model(input_ids=ids).logits[0].float().log_softmax(-1))


def attach(base: Any, folder: Path) -> Any:
    from peft import PeftModel

    return PeftModel.from_pretrained(base.model("float32"), str(folder)).eval()


def test_domain_adapter_learns_the_passages_and_tells_where_it_is_from(project: Project) -> None:
    project.run(continued_pretraining.create_pipeline(CONTINUED))
    history = project.load("domain_history")
    losses = history[history["metric"] == "validation_loss"]["value"]
    assert losses.iloc[-1] < losses.iloc[0] - 0.03
    adapter = project.load("domain_adapter")
    record = json.loads((adapter.path / "med_lora.json").read_text())
    assert record["base_model"]["sha256"] == project.load("base_model").sha256
    assert len(record["passages_sha256"]) == 64
    card = (adapter.path / "README.md").read_text()
    assert "| `books` | CC0-1.0 | 10 |" in card
    assert f"{losses.iloc[0]:.3f} before, {losses.iloc[-1]:.3f} after" in card
    assert not (project.folder / "domain_model").exists()


def test_adapter_handed_over_is_trained_further_and_stands_on_the_original_base(project: Project) -> None:
    slow = recipes.training(optimisation=recipes.optimisation(learning_rate=1e-6, epochs=1, evaluations=2))
    project.run(
        continued_pretraining.create_pipeline(CONTINUED)
        + training.create_pipeline(CONTINUED)
        + merging.create_pipeline(CONTINUED),
        training=slow,
    )
    first, last = (read_weights(project.load(name).path) for name in ("domain_adapter", "adapter"))
    assert first.keys() == last.keys()
    # so small a learning rate moves them hardly: they are the same weights, and not fresh ones
    assert 0 < max(float((first[name] - last[name]).abs().max()) for name in first) < 1e-3
    record = json.loads((project.load("adapter").path / "med_lora.json").read_text())
    base = project.load("base_model")
    assert record["base_model"]["sha256"] == base.sha256
    assert record["start_sha256"] == project.load("domain_adapter").sha256
    history = project.load("training_history")
    losses = history[history["metric"] == "validation_loss"]["value"]
    assert losses.iloc[0] == pytest.approx(losses.iloc[-1], abs=0.01)
    check_merged(project, base)
    assert "trained on plain text, then fine-tuned on" in read_card(project, "merged_model")


@dataclass(frozen=True)
class Finished:
    """A project after both stages and the merge of the second, and what was logged meanwhile."""

    project: Project
    log: str


@pytest.fixture(scope="module")
def merged(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The first stage merged into the base, an adapter trained on top, and that merged too."""
    project = make_project(tokenizer, tmp_path_factory.mktemp("merged"))
    log = StringIO()
    handler, root = logging.StreamHandler(log), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        project.run(
            continued_pretraining.create_pipeline(MERGED)
            + training.create_pipeline(MERGED)
            + merging.create_pipeline(MERGED)
        )
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    return Finished(project, log.getvalue())


def test_no_text_of_a_passage_leaves_the_stage(merged: Finished) -> None:
    beginning = PROSE[:25]
    assert "Continued pre-training: 10 passages" in merged.log
    assert beginning not in merged.log
    texts = [file for file in merged.project.folder.rglob("*") if file.suffix in (".md", ".json", ".jinja")]
    assert len(texts) > 6
    assert [file for file in texts if beginning in file.read_text(encoding="utf-8")] == []


def test_merged_stage_becomes_the_base_of_the_next(merged: Finished) -> None:
    project = merged.project
    base, domain = project.load("base_model"), as_base_model(project.load("domain_model"))
    tokenizer = base.tokenizer()
    alone = log_probabilities(base.model("float32"), tokenizer)
    whole = log_probabilities(domain.model("float32"), tokenizer)
    assert (whole - alone).abs().max() > 0.1
    beside = log_probabilities(attach(base, project.load("domain_adapter").path), tokenizer)
    assert (whole - beside).abs().max() < 1e-4
    assert project.load("domain_merge_check")["before_cast"]["largest_difference"] < 1e-4
    record = json.loads((project.load("adapter").path / "med_lora.json").read_text())
    assert record["base_model"]["sha256"] == domain.sha256 != base.sha256
    assert record["start_sha256"] is None
    check_merged(project, domain)


def test_cards_behind_the_merged_stage_name_it_and_no_place_of_this_machine(merged: Finished) -> None:
    cards = {name: read_card(merged.project, name) for name in ("domain_adapter", "domain_model", "adapter")}
    cards["merged_model"] = read_card(merged.project, "merged_model")
    assert [name for name, card in cards.items() if str(merged.project.folder) in card] == []
    for name in ("adapter", "merged_model"):
        assert "`domain_model`" in cards[name]
    assert "| first stage | continued pre-training of `embedded-base` on plain text, merged |" in cards["adapter"]
    assert "| base weights | as merged in continued pre-training |" in cards["merged_model"]
    for name in ("domain_adapter", "adapter"):
        assert "license: other\n" in cards[name]


def check_merged(project: Project, base: BaseModel) -> None:
    """The merged model says what the adapter says beside ``base``."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = project.load("merged_model").path
    tokenizer = AutoTokenizer.from_pretrained(folder)
    expected = log_probabilities(attach(base, project.load("adapter").path), tokenizer)
    found = log_probabilities(AutoModelForCausalLM.from_pretrained(folder), tokenizer)
    assert (found - expected).abs().max() < 1e-4
    assert project.load("adapter").sha256 in read_card(project, "merged_model")


def read_card(project: Project, name: str) -> str:
    return str((project.load(name).path / "README.md").read_text(encoding="utf-8"))


def test_full_fine_tuning_on_the_merged_stage_leaves_a_whole_model(merged: Finished) -> None:
    from transformers import AutoModelForCausalLM

    project = merged.project
    stages = Stages("full", "merged")
    full = recipes.training(method="full", optimisation=recipes.optimisation(epochs=1, evaluations=1))
    project.run(create_base(stages) + training.create_pipeline(stages) + create_check(stages), training=full)
    folder = project.load("tuned_model").path
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    start = as_base_model(project.load("domain_model")).model("float32")
    assert not torch.equal(loaded.model.embed_tokens.weight, start.model.embed_tokens.weight)
    assert (
        as_base_model(project.load("tuned_model")).tokenizer_sha256() == project.load("base_model").tokenizer_sha256()
    )


def test_domain_adapter_of_other_passages_is_not_merged(project: Project) -> None:
    record = {"passages_sha256": hash_passages(make_passages())}
    (project.folder / "med_lora.json").write_text(json.dumps(record))
    adapter = PretrainedFolder(project.folder, "")
    merging_params = MergingParams(dtype="fp32", tolerance=1e-3)
    with pytest.raises(InputError, match="trained on other passages than this run's"):
        merge_domain_adapter(
            project.load("base_model"),
            adapter,
            make_passages().iloc[1:],
            recipes.model_params(),
            recipes.hardware(),
            merging_params,
        )


def test_blocks_longer_than_the_context_are_refused(project: Project) -> None:
    with pytest.raises(InputError, match=r"block_length is 129 and the base model has 128 positions; set it to 128"):
        project.run(
            continued_pretraining.create_pipeline(CONTINUED), continued_pretraining=first_stage(block_length=129)
        )
