"""Settings by key: what they may be, and how they are named."""

from __future__ import annotations

from typing import Any

import pytest

from med_lora.errors import InputError
from med_lora.trials.settings import apply_settings, name_of, read_setting

from .conftest import parameters

GRID = {"training.max_length": 128, "training.lora.r": 16, "training.lora.alpha": 32, "training.lora.dropout": 0.25}


def test_settings_change_what_they_name_and_nothing_else() -> None:
    before = parameters()
    after = apply_settings(before, {"training.lora.r": 64, "model.quantisation": "nf4", "evaluation.decoding.top_k": 5})
    assert (after.training.lora.r, after.model.quantisation, after.evaluation.decoding.top_k) == (64, "nf4", 5)
    assert apply_settings(
        after, {key: read_setting(before, key) for key in ("training.lora.r", "model.quantisation")}
    ).model_dump(exclude={"evaluation"}) == before.model_dump(exclude={"evaluation"})
    assert before == parameters()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"training.lora.rr": 4}, r"no setting training\.lora\.rr; did you mean 'training\.lora\.r'\?"),
        ({"trainin.lora.r": 4}, r"did you mean 'training\.lora\.r'\?"),
        ({"training.lora": 4}, r"no setting training\.lora"),
        ({"training.lora.r.x": 4}, r"did you mean 'training\.lora\.r'"),
        ({"hardware.micro_batch_size": 4}, "only trials on the same pairs and machine can be compared"),
        ({"data_engineering.split.train": 4}, "only trials on the same pairs and machine can be compared"),
        ({"model.id": "other"}, "all share one base model"),
        ({"training.lora.r": 0}, r"training\.lora\.r=0 .*training\.lora\.r: Input should be greater than 0"),
        ({"training.lora.r": "16"}, r"training\.lora\.r: Input should be a valid integer"),
        ({"training.lora.r": True}, r"training\.lora\.r: Input should be a valid integer"),
        ({"model.quantisation": "int4"}, "'nf4'"),
        ({"training.optimisation.patience": 9}, "patience must be less than evaluations"),
        ({"training.method": "none"}, "trials of a sweep or search are trained on pairs"),
    ],
)
def test_wrong_settings_end_in_one_sentence(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        apply_settings(parameters(), settings)
    assert "\n" not in str(caught.value)


def test_settings_that_need_each_other_are_checked_together() -> None:
    settings = {"training.optimisation.patience": 9, "training.optimisation.evaluations": 10}
    assert apply_settings(parameters(), settings).training.optimisation.patience == 9


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"training.lora.r": 16}, "r_16"),
        (GRID, "max_length_128__r_16__alpha_32__dropout_0_25"),
        ({"training.optimisation.seed": 1, "evaluation.seed": 2}, "optimisation_seed_1__evaluation_seed_2"),
        ({"training.optimisation.learning_rate": 3e-05}, "learning_rate_3e-05"),
        ({"training.lora.use_dora": True, "training.optimisation.patience": None}, "use_dora_true__patience_none"),
        ({"model.quantisation": "nf4"}, "quantisation_nf4"),
    ],
)
def test_names_are_short_and_stable(settings: dict[str, Any], name: str) -> None:
    assert name_of(settings) == name


def test_names_of_long_texts_are_safe_and_differ() -> None:
    templates = [f"Question: {{question}}\n{word}/../:" for word in ("Answer", "answer")]
    names = [name_of({"prompt.template": template}) for template in templates]
    assert len(set(names)) == 2
    for name in names:
        assert name.replace("_", "").replace("-", "").isalnum()
        assert len(name) < 60
    assert len(name_of({f"a.b{number}": "x" * 24 for number in range(20)})) < 140


def test_a_name_can_be_told_from_those_of_other_keys() -> None:
    keys = ["training.optimisation.seed", "evaluation.seed", "training.lora.r"]
    assert name_of({"evaluation.seed": 1}, keys) == "evaluation_seed_1"
    assert name_of({"training.lora.r": 1}, keys) == "r_1"
