"""Published, ours and why they differ: every number is the run's own, and every cause a stated fact."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from med_lora.parameters import StudyParams
from med_lora.pipelines.reporting.studies.published import COLUMNS, compare_with_published
from med_lora.pipelines.reporting.studies.settings import list_stated_settings, look_up

CONTRACT = [
    *("study", "quantity", "system", "arm", "published", "printed", "published_n", "published_p"),
    *("ours", "ours_low", "ours_high", "ours_n", "ours_p", "impossible", "why_they_differ", "note"),
]


def compare(
    study: str, raw_studies: dict[str, Any], parameters: dict[str, Any], tables: dict[str, Any], **more: Any
) -> pd.DataFrame:
    return compare_with_published(study, raw_studies, parameters, **tables, **more)


def rows_of(table: pd.DataFrame, quantity: str, arm: str = "tuned") -> list[dict[str, Any]]:
    of = table[(table["quantity"] == quantity) & (table["arm"] == arm)]
    return [{str(key): value for key, value in row.items()} for row in of.to_dict("records")]


@pytest.fixture(scope="module")
def dialogue(
    raw_studies: dict[str, Any], parameters: dict[str, Any], tables: dict[str, Any], judge_comparison: pd.DataFrame
) -> pd.DataFrame:
    return compare("medidialogue", raw_studies, parameters, tables, judge_comparison=judge_comparison)


def test_columns_are_those_that_other_tables_read(dialogue: pd.DataFrame) -> None:
    assert list(dialogue.columns) == COLUMNS == [*CONTRACT, "way"]


def test_tested_metric_stands_there_by_the_sound_test_and_by_the_studys(dialogue: pd.DataFrame) -> None:
    sound, own = rows_of(dialogue, "rougeL")
    assert (sound["ours"], sound["ours_low"], sound["ours_high"]) == (0.18, pytest.approx(0.17), pytest.approx(0.19))
    assert (sound["published"], sound["published_n"], sound["published_p"]) == (0.2061, 84, 0.0100)
    assert (sound["ours_n"], sound["ours_p"], sound["way"]) == (60, 0.04, "this project")
    assert (own["ours"], own["ours_p"]) == (0.18, 0.07)
    assert own["way"] == "as published: Mann-Whitney U, uncorrected"
    assert "test there: Mann-Whitney U" in sound["why_they_differ"]
    assert "test there" not in own["why_they_differ"]


def test_base_model_stands_beside_the_base_model_without_a_p_value(dialogue: pd.DataFrame) -> None:
    (row,) = rows_of(dialogue, "rougeL", "base")
    assert (row["ours"], row["published"]) == (0.15, 0.1696)
    assert math.isnan(row["ours_p"])


def test_bleu_is_also_that_of_the_test_set_as_a_whole(dialogue: pd.DataFrame) -> None:
    mean, _, whole = rows_of(dialogue, "bleu")
    assert (mean["ours"], whole["ours"]) == (2.5, 1.7)
    assert whole["way"].startswith("of the test set as a whole")


def test_improvements_are_ratios_and_differences_of_means(dialogue: pd.DataFrame) -> None:
    assert rows_of(dialogue, "bleu_gain")[0]["ours"] == pytest.approx(1.5)
    assert rows_of(dialogue, "bleu_difference")[0]["ours"] == pytest.approx(1.5)
    assert rows_of(dialogue, "rougeL_gain")[0]["ours"] == pytest.approx(0.2)


def test_judge_is_compared_axis_by_axis(dialogue: pd.DataFrame) -> None:
    base, tuned = rows_of(dialogue, "judge_accuracy", "base")[0], rows_of(dialogue, "judge_accuracy")[0]
    assert (base["ours"], tuned["ours"], tuned["ours_p"]) == (2.0, 3.0, 0.2)
    (absent,) = rows_of(dialogue, "judge_relevance")
    assert math.isnan(absent["ours"])
    assert absent["note"] == "not measured: judge.axes has no relevance"
    assert absent["why_they_differ"] == ""


def test_without_judge_or_clock_the_note_names_the_setting(
    raw_studies: dict[str, Any], parameters: dict[str, Any], tables: dict[str, Any]
) -> None:
    table = compare("medidialogue", raw_studies, parameters, tables)
    assert rows_of(table, "judge_accuracy")[0]["note"] == "not measured: judge.enabled is false"
    models = compare("medlms", raw_studies, parameters, tables, study_system="DistilGPT2")
    assert rows_of(models, "answer_seconds")[0]["note"] == "not measured: latency.enabled is false"


def test_seconds_are_the_median_with_machine_and_length(
    raw_studies: dict[str, Any], parameters: dict[str, Any], tables: dict[str, Any]
) -> None:
    shared = {"n": 20, "new_tokens": 64, "answer_p95": 3.0, "device": "A100"}
    latency = pd.DataFrame(
        [{"arm": "base", "answer_p50": 1.0, **shared}, {"arm": "tuned", "answer_p50": 2.0, **shared}]
    )
    table = compare("medlms", raw_studies, parameters, tables, study_system="DistilGPT2", latency=latency)
    (row,) = rows_of(table, "answer_seconds")
    assert (row["published"], row["ours"], row["ours_n"]) == (7.03, 2.0, 20)
    assert row["note"] == "answers of 64 tokens on A100, p95 3 s"


def test_perplexity_is_there_soundly_and_with_padding_counted(
    raw_studies: dict[str, Any], parameters: dict[str, Any], tables: dict[str, Any]
) -> None:
    table = compare("gpt2_medical_terms", raw_studies, parameters, tables)
    sound, padded = rows_of(table, "perplexity")
    assert (sound["ours"], padded["ours"]) == (12.0, 4.0)
    assert padded["way"] == "as published: padding and prompt counted"
    assert "7.12" in sound["impossible"]
    assert [row["ours"] for row in rows_of(table, "perplexity", "base")] == [30.0, 9.0]


def test_losses_are_those_of_the_nearest_step_and_say_so(
    raw_studies: dict[str, Any], parameters: dict[str, Any], tables: dict[str, Any]
) -> None:
    table = compare("gpt2_medical_terms", raw_studies, parameters, tables)
    (validation,) = rows_of(table, "validation_loss@100")
    assert (validation["ours"], validation["note"]) == (3.8, "at step 120, the nearest of this run")
    (train,) = rows_of(table, "train_loss@100")
    assert (train["ours"], train["note"]) == (50.5, "mean of steps 1 to 100")
    (late,) = rows_of(table, "train_loss@300")
    assert (late["ours"], late["note"]) == (70.5, "mean of steps 21 to 120, the nearest of this run")
    assert rows_of(table, "training_steps")[0]["ours"] == 120


def test_maxima_stand_beside_the_mean_that_they_hide(
    raw_studies: dict[str, Any], parameters: dict[str, Any], tables: dict[str, Any], scores: pd.DataFrame
) -> None:
    table = compare("medlms", raw_studies, parameters, tables, scores=scores, study_system="Llama-3-8B")
    assert set(table["system"]) == {"Llama-3-8B", "all"}
    mean, largest = rows_of(table, "bleu_max")
    assert (mean["ours"], largest["ours"]) == (2.5, 7.5)
    assert (mean["ours_n"], largest["ours_n"]) == (60, 2)  # a question without a score is none
    assert largest["way"] == "as published: largest of a question"


def test_causes_are_the_stated_differences_and_no_others(dialogue: pd.DataFrame) -> None:
    (row,) = rows_of(dialogue, "rougeL", "base")
    assert row["why_they_differ"].split("; ") == [
        "n: 84 there, 60 here",
        "definition there: F with beta 1.2, tokens are not stated, here: rougeL, version 1",
        "base model: Llama-2-7B-chat there, data/06_models/embedded-base here",
        "learning rate: 3e-05 there, 0.003 here",
        "beta of ROUGE-L: 1.2 there, 1 here",
        "continued pre-training first: not stated there, yes here",
    ]


def test_rank_of_a_run_without_lora_is_no_cause(
    raw_studies: dict[str, Any], parameters: dict[str, Any], tables: dict[str, Any]
) -> None:
    full = parameters | {"training": parameters["training"] | {"method": "full"}}
    causes = rows_of(compare("gpt2_medical_terms", raw_studies, full, tables), "perplexity")[0]["why_they_differ"]
    assert causes.count("LoRA there, all weights here") == 1
    assert "LoRA rank" not in causes
    assert (
        "LoRA rank: 8 there, 16 here"
        in (rows_of(compare("gpt2_medical_terms", raw_studies, parameters, tables), "perplexity")[0]["why_they_differ"])
    )


def test_a_run_with_the_studys_settings_differs_in_none(
    studies: dict[str, StudyParams], parameters: dict[str, Any]
) -> None:
    training = parameters["training"]
    same = parameters | {"model": {"id": "models/Llama-2-7b-chat-hf"}, "evaluation": {"rouge_beta": 1.2}}
    same |= {"continued_pretraining": {"enabled": False}}
    same |= {"training": training | {"optimisation": training["optimisation"] | {"learning_rate": 3e-5}}}
    compared = list_stated_settings(studies["medidialogue"], "", same)
    assert len(compared) == len(studies["medidialogue"].settings)
    assert [setting.clause for setting in compared if setting.differs] == []


def test_model_of_a_system_is_known_by_any_of_its_names(
    studies: dict[str, StudyParams], parameters: dict[str, Any]
) -> None:
    def differs(model: str) -> bool:
        given = parameters | {"model": {"id": model, "quantisation": "nf4"}}
        compared = list_stated_settings(studies["medlms"], "Llama-3-8B", given)
        return next(setting.differs for setting in compared if setting.key == "model.id")

    assert not differs("meta-llama/Meta-Llama-3-8B")
    assert not differs("models/llama-3-8b")
    assert differs("meta-llama/Llama-3.1-8B")


def test_folder_of_a_local_model_is_not_told(studies: dict[str, StudyParams], parameters: dict[str, Any]) -> None:
    given = parameters | {"model": {"id": "/home/jane/models/llama-3-8b", "quantisation": "nf4"}}
    stated = list_stated_settings(studies["medlms"], "Llama-3-8B", given)
    (model,) = [setting for setting in stated if setting.key == "model.id"]
    assert (model.here, model.differs) == ("llama-3-8b", False)


def test_without_a_system_every_model_of_the_study_is_named(
    studies: dict[str, StudyParams], parameters: dict[str, Any]
) -> None:
    (model,) = [item for item in list_stated_settings(studies["medlms"], "", parameters) if item.key == "model.id"]
    assert model.there == "Llama-2-7B or Mistral-7B or Llama-3-8B or Gemma-1.1-7B or DistilGPT2"


def test_stand_in_corpora_are_not_taken_for_the_published_ones(
    studies: dict[str, StudyParams], parameters: dict[str, Any]
) -> None:
    given = parameters | {"corpora": {"genmedgpt": {"title": "Embedded exchanges"}}}
    clauses = [
        item.clause for item in list_stated_settings(studies["medidialogue"], "", given) if item.key == "corpora"
    ]
    assert clauses == ["corpora: GenMedGPT-5k there, Embedded exchanges here"]


def test_settings_of_a_section_that_is_off_are_not_compared(
    studies: dict[str, StudyParams], parameters: dict[str, Any]
) -> None:
    def keys(enabled: bool) -> list[str]:
        given = parameters | {"retrieval": parameters["retrieval"] | {"enabled": enabled}}
        return [item.key for item in list_stated_settings(studies["kim2024_msk"], "", given) if "retrieval" in item.key]

    assert keys(False) == ["retrieval.enabled"]
    assert keys(True) == ["retrieval.enabled", "retrieval.method", "retrieval.store", "retrieval.encoder.id"]


def test_settings_are_read_from_mappings_and_from_parameter_models(studies: dict[str, StudyParams]) -> None:
    assert look_up({"study": studies["medlms"]}, "study.shape") == "models"
    assert look_up({"judge": {"endpoint": None}}, "judge.endpoint.model") is None


def test_study_without_figures_gives_an_empty_table_with_its_columns(
    raw_studies: dict[str, Any], parameters: dict[str, Any], tables: dict[str, Any]
) -> None:
    table = compare("lund_heart", raw_studies, parameters, tables)
    assert len(table) == 0
    assert list(table.columns) == COLUMNS


def test_tokens_of_plain_text_are_bounded_by_the_steps(
    raw_studies: dict[str, Any], parameters: dict[str, Any], tables: dict[str, Any]
) -> None:
    on_pairs = compare_with_published("kim2024_msk", raw_studies, parameters, **tables)
    (row,) = rows_of(on_pairs, "training_tokens")
    assert math.isnan(row["ours"])
    first = {"enabled": True, "block_length": 64, "optimisation": {"effective_batch_size": 4}}
    alone = parameters | {"training": {"method": "none"}, "continued_pretraining": first}
    (row,) = rows_of(compare_with_published("kim2024_msk", raw_studies, alone, **tables), "training_tokens")
    assert row["ours"] == 120 * 4 * 64
    assert row["note"] == "120 steps of 256 tokens of this run's model at most"
