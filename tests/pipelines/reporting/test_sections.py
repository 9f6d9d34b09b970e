"""Examples, data and settings as the report shows them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from med_lora.parameters import CorpusParams, EvaluationParams, LoraParams, PromptParams, ReportingParams
from med_lora.pipelines.reporting.pipeline import SHOWN_SETTINGS
from med_lora.pipelines.reporting.sections import choose_examples, describe_data, describe_settings, flatten_settings
from tests import recipes

from .conftest import PAIRS, Table, make_answers
from .texts import BASE, TUNED

SUMMARY: dict[str, Any] = {"generator": None, "passages": []}


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
    stages = [parameters[f"params:{name}"] for name in ("training", "continued_pretraining")]
    described = describe_data(row_outcomes, range(300), range(40), range(60), corpora, SUMMARY, *stages)
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
        **{"on_pairs": True, "passages": 0, "recall": ""},
    }


def given(parameters: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``describe_settings``."""
    return {name: parameters[f"params:{name}"] for name in SHOWN_SETTINGS}


def with_stages(parameters: dict[str, Any], method: str) -> dict[str, Any]:
    """``parameters`` with continued pre-training, and ``method`` after it."""
    training, first = parameters["params:training"], parameters["params:continued_pretraining"]
    return parameters | {
        "params:training": training.model_copy(update={"method": method}),
        "params:continued_pretraining": first.model_copy(update={"enabled": True}),
    }


@pytest.mark.parametrize(
    ("method", "generator", "recall"),
    [
        (
            "none",
            "writer",
            "The tuned model saw none of the pairs, but it read the passages that test pairs were written",
        ),
        (
            "none",
            None,
            "The tuned model saw none of the pairs, but it read the passages; where test pairs stand in their",
        ),
        (
            "lora",
            "writer",
            "Continued pre-training read the passages that test pairs were written from, so that scores",
        ),
    ],
)
def test_data_say_that_the_text_behind_test_pairs_was_read(
    row_outcomes: pd.DataFrame, parameters: dict[str, Any], method: str, generator: str | None, recall: str
) -> None:
    given = with_stages(parameters, method)
    summary = {"generator": generator, "passages": [{"passages": 1200}, {"passages": 34}]}
    stages = [given[f"params:{name}"] for name in ("corpora", "training", "continued_pretraining")]
    described = describe_data(row_outcomes, [], [], [], stages[0], summary, *stages[1:])
    assert described["recall"].startswith(recall)
    assert described["on_pairs"] == (method == "lora")
    assert described["passages"] == 1234


def test_settings_list_every_field_with_its_meaning(parameters: dict[str, Any]) -> None:
    settings = describe_settings(**given(parameters))
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
    settings = describe_settings(**given({**parameters, "params:training": named}))
    assert ("training.lora.target_modules", "q_proj, v_proj") in [row[:2] for row in settings["rows"]]


def test_settings_of_passages_alone_leave_out_the_recipe_for_pairs(parameters: dict[str, Any]) -> None:
    assert not any("continued_pretraining" in row[0] for row in describe_settings(**given(parameters))["rows"])
    shown = describe_settings(**given(with_stages(parameters, "none")))["rows"]
    rows = {row[0]: row[1] for row in shown}
    assert "continued_pretraining.handover" not in rows
    assert not any("train on" in meaning or "validation loss;" in meaning for _, _, meaning in shown)
    assert [key for key in rows if key.startswith("training.")] == ["training.method", "training.max_length"]
    assert rows["continued_pretraining.lora.r"] == "16"
    assert rows["continued_pretraining.block_length"] == "64"
    both = {row[0] for row in describe_settings(**given(with_stages(parameters, "lora")))["rows"]}
    assert {"continued_pretraining.handover", "data_engineering.passages.tokens"} <= both


def test_settings_of_tracks_are_listed_where_they_are_enabled(parameters: dict[str, Any]) -> None:
    optional = (
        "retrieval.",
        "judge.",
        "latency.",
        "data_engineering.passages.",
        "data_engineering.question_generation.",
    )
    plain = [row[0] for row in describe_settings(**given(parameters))["rows"]]
    assert not [key for key in plain if key.startswith(optional)]
    endpoint = {"base_url": "http://127.0.0.1:1/v1", "model": "writer", "api_key_variable": None}
    written = {
        "endpoint": endpoint | {"deadline_s": 9, "retries": 0, "concurrency": 1},
        "sampling": {"temperature": 0.0, "seed": 1, "max_tokens": 32},
        **{"answers": ["long"], "pairs_per_passage": 1, "max_passages": None, "min_evidence_words": 3},
    }
    tracks = {
        "params:retrieval": recipes.retrieval(),
        "params:judge": recipes.judge(item_criteria={"a:1": [{"text": "names the dose", "points": 2}]}),
        "params:latency": parameters["params:latency"].model_copy(update={"enabled": True}),
        "params:data_engineering": parameters["params:data_engineering"] | {"question_generation": written},
    }
    rows = {row[0]: row[1] for row in describe_settings(**given(parameters | tracks))["rows"]}
    assert all(any(key.startswith(prefix) for key in rows) for prefix in optional)
    assert rows["judge.axes"] == "accuracy, relevance"
    assert (rows["judge.item_criteria"], rows["judge.criteria"]) == ("a:1", "–")
    assert rows["retrieval.encoder.id"] == "no-encoder"
    assert rows["data_engineering.question_generation.endpoint.model"] == "writer"


def test_servers_are_listed_by_model_and_not_by_address(parameters: dict[str, Any]) -> None:
    server = {"base_url": "http://127.0.0.1:1/v1", "model": "m", "api_key_variable": None}
    server |= {"deadline_s": 9, "retries": 0, "concurrency": 1}
    served = recipes.evaluation(engine="openai", endpoints={"base": server, "tuned": server | {"model": "t"}})
    rows = {key: value for key, value, _ in flatten_settings({"evaluation": served})}
    assert (rows["evaluation.endpoints.base.model"], rows["evaluation.endpoints.tuned.model"]) == ("m", "t")
    assert not any("127.0.0.1" in value for value in rows.values())


def test_settings_do_not_say_where_a_local_model_lies() -> None:
    rows = flatten_settings({"model": recipes.model_params(id="/home/jane/models/tiny")})
    assert [value for key, value, _ in rows if key == "model.id"] == ["tiny"]


def test_settings_name_the_prompt_and_its_system_text() -> None:
    rows = flatten_settings({"prompt": PromptParams(template="llama2", system="Be brief.")})
    assert [row[:2] for row in rows] == [("prompt.template", "llama2"), ("prompt.system", "Be brief.")]
