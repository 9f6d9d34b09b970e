"""Examples, data and settings as the report shows them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from med_lora.parameters import CorpusParams, EvaluationParams, LoraParams, PromptParams, ReportingParams
from med_lora.pipelines.reporting.sections import choose_examples, describe_data, describe_settings, flatten_settings
from tests import recipes

from .conftest import PAIRS, Table, make_answers
from .texts import BASE, TUNED


def choose(test: Table, evaluation: EvaluationParams, examples: int = 4) -> pd.DataFrame:
    answers = {"base": make_answers(BASE, "length"), "tuned": make_answers(TUNED, "eos")}
    return choose_examples(test, ReportingParams(examples=examples), evaluation, **answers)


def test_examples_join_each_question_with_its_own_answers(test_split: Table, evaluation: EvaluationParams) -> None:
    answers = make_answers("", "eos")
    own = answers.assign(answer=answers["id"])
    examples = choose_examples(test_split, ReportingParams(examples=7), evaluation, base=own, tuned=own)
    assert list(examples["base"]) == list(examples["tuned"]) == list(examples["id"])
    asked = test_split.frame.set_index("id").loc[examples["id"]]
    assert list(examples["question"]) == list(asked["question"])
    assert list(examples["reference"]) == list(asked["answer"])


def test_choice_follows_the_seed_and_not_the_order(test_split: Table, evaluation: EvaluationParams) -> None:
    chosen = choose(test_split, evaluation)
    reordered = Table(test_split.frame.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(choose(reordered, evaluation), chosen)
    other = choose(test_split, evaluation.model_copy(update={"seed": 1}))
    assert list(other["id"]) != list(chosen["id"])
    assert list(choose(test_split, evaluation, 2)["id"]) == list(chosen["id"])[:2]


def test_no_more_examples_than_pairs(test_split: Table, evaluation: EvaluationParams) -> None:
    assert len(choose(test_split, evaluation, 0)) == 0
    assert len(choose(test_split, evaluation, 1000)) == PAIRS


@pytest.mark.parametrize("typed", [False, True])
def test_data_names_titles_licences_and_reasons(
    row_outcomes: pd.DataFrame, parameters: dict[str, Any], typed: bool
) -> None:
    corpora = parameters["params:corpora"]
    if typed:
        corpora = {name: CorpusParams.model_validate(values) for name, values in corpora.items()}
    described = describe_data(row_outcomes, range(300), range(40), range(60), corpora)
    assert described == {
        "corpora": [
            {
                **{"title": "GenMedGPT-5k", "licence": "Apache-2.0", "read": 412, "kept": 381},
                "rejected": [("answer_too_short", 6), ("near_duplicate", 25)],
                "screened": [("screened_phones", 2)],
            },
            {"title": "MedQuAD", "licence": "CC-BY-4.0", "read": 57, "kept": 57, "rejected": [], "screened": []},
        ],
        "splits": {"train": 300, "validation": 40, "test": 60},
    }


def given(parameters: dict[str, Any]) -> list[Any]:
    """The arguments of ``describe_settings``."""
    of_data = [f"data_engineering.{name}" for name in ("cleaning", "screening", "deduplication", "split")]
    names = ["description", "model", "prompt", *of_data, "training", "evaluation", "hardware"]
    return [parameters[f"params:{name}"] for name in names]


def test_settings_list_every_field_with_its_meaning(parameters: dict[str, Any]) -> None:
    settings = describe_settings(*given(parameters))
    rows = {key: (value, meaning) for key, value, meaning in settings["rows"]}
    assert settings["description"] == parameters["params:description"]
    assert rows["model.id"][0] == "data/06_models/embedded-base"
    assert rows["model.revision"][0] == "null"
    assert rows["training.lora.r"] == ("16", "rank of the update matrices")
    assert rows["training.lora.use_rslora"][0] == "no"
    assert rows["training.optimisation.learning_rate"][0] == "0.003"
    assert {f"training.lora.{name}" for name in LoraParams.model_fields} <= set(rows)
    assert "training.lora" not in rows
    assert all(meaning for _, meaning in rows.values())


def test_named_target_modules_are_listed(parameters: dict[str, Any]) -> None:
    training = parameters["params:training"]
    named = training.model_copy(
        update={"lora": training.lora.model_copy(update={"target_modules": ["q_proj", "v_proj"]})}
    )
    settings = describe_settings(*given({**parameters, "params:training": named}))
    assert ("training.lora.target_modules", "q_proj, v_proj") in [row[:2] for row in settings["rows"]]


def test_settings_do_not_say_where_a_local_model_lies() -> None:
    rows = flatten_settings({"model": recipes.model_params(id="/home/jane/models/tiny")})
    assert [value for key, value, _ in rows if key == "model.id"] == ["tiny"]


def test_settings_name_the_prompt_and_its_system_text() -> None:
    rows = flatten_settings({"prompt": PromptParams(template="llama2", system="Be brief.")})
    assert [row[:2] for row in rows] == [("prompt.template", "llama2"), ("prompt.system", "Be brief.")]
