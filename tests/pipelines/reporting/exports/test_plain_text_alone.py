"""What a run that trained on passages alone says of itself: no sentence claims that pairs were trained on."""

from __future__ import annotations

from typing import Any

import pytest

from med_lora.pipelines.reporting.exports.checklist_facts import gather_facts
from med_lora.pipelines.reporting.exports.model_card import write_model_card
from med_lora.pipelines.reporting.exports.training_facts import describe_recipe
from med_lora.pipelines.reporting.sections import WITHOUT_PAIRS, flatten_settings
from tests.hub_cards import find_faults

from .test_filling import NOT_OF_CHECKLISTS

PASSAGES = [
    {"corpus": "Six | books", "book": "one", "licence": "CC0-1.0", "passages": 1200},
    {"corpus": "Six | books", "book": "two", "licence": "CC0-1.0", "passages": 34},
    {"corpus": "Pages", "book": "wiki", "licence": "CC-BY-4.0", "passages": 5},
]


@pytest.fixture
def alone(card_inputs: dict[str, Any]) -> dict[str, Any]:
    first = card_inputs["continued_pretraining"].model_copy(update={"enabled": True, "handover": "adapter"})
    training = card_inputs["training"].model_copy(update={"method": "none"})
    data = card_inputs["data"] | {"passages": PASSAGES}
    return card_inputs | {"continued_pretraining": first, "training": training, "data": data}


def test_card_counts_passages_with_their_licences_and_no_pairs(alone: dict[str, Any]) -> None:
    card = write_model_card(**alone)
    assert find_faults(card) == []
    told = " ".join(card.split())
    assert "on 1,239 passages of plain text about medicine (10 % of them held out for its validation loss)" in told
    assert "and on no question-answer pair, by med_lora" in told
    assert "| Six \\| books | CC0-1.0 | 1,234 | | Pages | CC-BY-4.0 | 5 |" in told
    assert "| corpus | licence | passages |" in told
    assert "It was tuned on plain text, without a prompt." in told
    assert "The tuned model saw none of the pairs" in told
    assert "than it was tuned with answers worse" not in told


def test_checklists_tell_the_recipe_of_the_first_stage(alone: dict[str, Any]) -> None:
    facts = gather_facts(**{name: value for name, value in alone.items() if name not in NOT_OF_CHECKLISTS})
    assert facts["method"] == "low-rank adaptation (LoRA) by continued pre-training on plain text alone"
    recipe = str(facts["recipe"])
    assert recipe.startswith("on plain text: rank 4,")
    assert "64 tokens a row, loss on all" in recipe
    assert "pair" not in recipe
    assert str(facts["prompt"]).endswith("in evaluation alone.")
    assert "instruction tuning by this project" in str(facts["tuning"])


def test_recipe_names_both_stages_where_there_are_two(alone: dict[str, Any], card_inputs: dict[str, Any]) -> None:
    both = describe_recipe(card_inputs["training"], alone["continued_pretraining"])
    assert both.startswith("on plain text: rank 4,")
    assert "; then on pairs: rank " in both
    assert describe_recipe(card_inputs["training"], card_inputs["continued_pretraining"]).startswith("rank ")


def test_what_is_kept_of_the_recipe_for_pairs_exists(card_inputs: dict[str, Any]) -> None:
    keys = {key for key, _, _ in flatten_settings({"training": card_inputs["training"]})}
    assert set(WITHOUT_PAIRS) <= keys
