"""Model cards that the hub accepts and a reader is not misled by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from huggingface_hub import ModelCard

from med_lora.parameters import ModelParams
from med_lora.pipelines.reporting.exports.latex import write_latex
from med_lora.pipelines.reporting.exports.model_card import write_model_card
from med_lora.pipelines.reporting.exports.results import tabulate_results
from med_lora.pipelines.reporting.headline import write_headline
from med_lora.pipelines.training.card import TERMS, relate_to_base, write_head
from tests import recipes
from tests.hub_cards import find_faults, head_of


def test_hub_finds_no_fault_in_the_card_of_an_adapter(card_inputs: dict[str, Any], tmp_path: Path) -> None:
    text = write_model_card(**card_inputs)
    assert find_faults(text) == []
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    ModelCard.load(tmp_path / "README.md").save(tmp_path / "saved.md")
    assert head_of((tmp_path / "saved.md").read_text(encoding="utf-8")) == head_of(text)


def test_rules_of_the_hub_notice_faults() -> None:
    sound: dict[str, Any] = {"pipeline_tag": "text-generation", "library_name": "peft", **TERMS}
    faulty = [
        sound | {"license": "apache2"},
        {key: value for key, value in sound.items() if key != "license_name"},
        sound | {"license_link": "terms"},
        sound | {"base_model": "data/06_models/base", "base_model_relation": "adapter"},
        sound | {"base_model": "gpt2"},
        sound | {"base_model": "gpt2", "base_model_relation": "child"},
        sound | {"tags": "lora, medical"},
        sound | {"datasets": ["/raw/corpus"]},
    ]
    assert find_faults(write_head(sound)) == []
    assert all(find_faults(write_head(head)) for head in faulty)


def test_local_base_model_is_left_out_of_the_head_and_told_in_the_text(card_inputs: dict[str, Any]) -> None:
    model = recipes.model_params(id="/home/somebody/models/secret-base")
    settings = card_inputs["settings"] | {"rows": [("model.id", model.id, "")]}
    text = write_model_card(**card_inputs | {"model": model, "settings": settings})
    assert "base_model" not in head_of(text)
    assert "e7c9e7c9" in text
    assert "secret-base (local folder)" in text
    assert "/home/somebody" not in text


def test_hub_base_model_is_linked_with_its_commit(card_inputs: dict[str, Any], hub_model: ModelParams) -> None:
    text = write_model_card(**card_inputs | {"model": hub_model})
    head = head_of(text)
    assert (head["base_model"], head["base_model_relation"]) == (hub_model.id, "adapter")
    assert f'from_pretrained("{hub_model.id}", revision="{hub_model.revision}"' in text
    assert find_faults(text) == []


def test_adapter_of_a_merged_first_stage_does_not_claim_the_hubs_model(
    card_inputs: dict[str, Any], hub_model: ModelParams
) -> None:
    stage = card_inputs["continued_pretraining"].model_copy(update={"enabled": True})
    settings = card_inputs["settings"] | {"rows": [("model.id", hub_model.id, "")]}
    given = {"model": hub_model, "continued_pretraining": stage, "settings": settings}
    text = write_model_card(**card_inputs | given)
    assert "base_model" not in head_of(text)
    assert f"comes from `{hub_model.id}`, commit `{hub_model.revision}`, by continued pre-training" in text
    assert "local folder" not in text
    assert find_faults(text) == []


def test_full_model_after_a_first_stage_needs_no_folder_and_cites_lora_for_that_stage(
    card_inputs: dict[str, Any], hub_model: ModelParams
) -> None:
    full = card_inputs | {"training": recipes.training(method="full")}
    stage = card_inputs["continued_pretraining"].model_copy(update={"enabled": True})
    text = write_model_card(**full | {"continued_pretraining": stage})
    assert "these weights are whole without it" in text
    assert "The first stage, continued pre-training on plain text, is in these weights." in text
    assert "adapter" not in text.partition("## Intended use")[0]
    assert "as their authors ask, and the method:\n\n```bibtex" in text
    of_hub = write_model_card(**full | {"continued_pretraining": stage, "model": hub_model})
    assert head_of(of_hub)["base_model"] == hub_model.id
    alone = write_model_card(**full)
    assert "hu2021lora" not in alone
    assert "as their authors ask.\n\nWhoever" in alone


def test_card_after_reporting_alone_claims_no_training_time(card_inputs: dict[str, Any]) -> None:
    run = card_inputs["run"] | {"steps": card_inputs["run"]["steps"][1:], "seconds": 9.0, "note": "Not counted: one."}
    run["code"] = run["code"] | {"commit": None}
    text = write_model_card(**card_inputs | {"run": run})
    assert "The steps that are recorded took 9.0 s; training is not among them." in text
    assert "Peak memory of these steps: 1.90 GiB" in text
    assert "- Not counted: one." in text
    assert "med_lora 0.1.0, commit unknown; run" in text
    assert "The run took" not in text


def test_metric_in_which_nobody_scores_has_nothing_to_beat(card_inputs: dict[str, Any]) -> None:
    row = next(line for line in write_model_card(**card_inputs).splitlines() if line.startswith("| Exact match"))
    assert row.endswith("| nothing to beat: 0 throughout |")


def test_full_model_is_a_fine_tuned_one_without_an_adapter(card_inputs: dict[str, Any], hub_model: ModelParams) -> None:
    training = recipes.training(method="full")
    text = write_model_card(**card_inputs | {"model": hub_model, "training": training})
    head = head_of(text)
    assert (head["library_name"], head["base_model_relation"]) == ("transformers", "finetune")
    assert "PeftModel" not in text
    assert "training.lora." not in text
    assert find_faults(text) == []


def test_index_holds_base_and_null_control_beside_the_tuned_model(
    card_inputs: dict[str, Any], comparison: pd.DataFrame
) -> None:
    (model,) = head_of(write_model_card(**card_inputs))["model-index"]
    (result,) = model["results"]
    row = comparison.set_index("metric").loc["rougeL"]
    values = {entry["name"]: entry["value"] for entry in result["metrics"] if entry["name"].startswith("ROUGE-L F")}
    bounds = f"[{row['tuned_low']:.3f}, {row['tuned_high']:.3f}]"
    assert values[f"ROUGE-L F, tuned model {bounds}"] == pytest.approx(row["tuned"], rel=1e-4)
    assert any(name.startswith("ROUGE-L F, base model [") for name in values)
    assert values["ROUGE-L F, null control: nearest training answer"] == pytest.approx(
        row["best_control_mean"], rel=1e-4
    )
    assert result["dataset"]["type"] == "embedded"


def test_single_corpus_of_the_hub_is_the_data_set_of_the_results(
    card_inputs: dict[str, Any], data: dict[str, Any]
) -> None:
    single = data | {"corpora": data["corpora"][:1]}
    head = head_of(write_model_card(**card_inputs | {"data": single}))
    assert head["model-index"][0]["results"][0]["dataset"]["type"] == "wangrongsheng/GenMedGPT-5k-en"
    assert head["datasets"] == ["wangrongsheng/GenMedGPT-5k-en"]


def test_body_names_unbeaten_controls_licences_and_what_was_not_measured(card_inputs: dict[str, Any]) -> None:
    card_inputs["headline"]["best_controls"]["rougeL"]["verdict"] = "unclear"
    text = write_model_card(**card_inputs)
    limits = text.partition("## Limitations")[2]
    for part in (
        "| MedQuAD | CC-BY-4.0 | 57 |",
        "| `prompt.template` | plain \\| piped |",
        "nearest training answer",
        card_inputs["headline"]["sentence"],
        "Memorisation was not audited",
        "Energy: not measured (no counter).",
        "with local changes",
        "Training took 33 s, the whole run 2 min 30 s.",
    ):
        assert part in text
    assert "In 1 of 5 text metrics it is not shown to beat a null control: ROUGE-L F." in limits


def test_measured_energy_and_canaries_are_told(card_inputs: dict[str, Any], run: dict[str, Any]) -> None:
    measured = run | {"energy": {"joules": 5123.4, "source": "RAPL", "note": ""}}
    audit = {"arm": "tuned", "n": 2, "controls": 10, "mean_exposure": 3.2, "max_exposure": 3.46, "most": 3.46}
    text = write_model_card(
        **card_inputs | {"run": measured, "canaries": recipes.canaries(enabled=True)},
        canary_audit=pd.DataFrame([audit | {"p_value": 0.01}]),
        judge_summary={"verdict": "fails its floor controls"},
    )
    assert "5,123 J by RAPL" in text
    assert "co2_eq_emissions" not in head_of(text)
    assert "3.20 bits on average" in text
    assert "not for use" in text
    assert "by its own checks it fails its floor controls" in text


def test_run_whose_pairs_are_all_excluded_still_has_a_card_and_tables(
    card_inputs: dict[str, Any],
    endless: tuple[pd.DataFrame, pd.DataFrame],
    corpus_scores: pd.DataFrame,
) -> None:
    comparison, controls = endless
    experiment, evaluation, forgetting = (card_inputs[name] for name in ("experiment", "evaluation", "forgetting"))
    headline = write_headline(comparison, controls, experiment, evaluation, card_inputs["canaries"])
    given = {"comparison": comparison, "controls": controls}
    text = write_model_card(**card_inputs | given | {"headline": headline})
    assert find_faults(text) == []
    assert "60 of them are left out of the text metrics" in text
    source = write_latex(experiment, evaluation, comparison, controls, corpus_scores, forgetting)
    assert "every pair excluded): ROUGE-1 F, ROUGE-2 F, ROUGE-L F" in source
    results = tabulate_results(experiment, comparison, controls, corpus_scores, forgetting)
    over_all = results[(results["metric"] == "rougeL") & (results["statistic"] == "estimate_all")]
    assert set(over_all["arm"]) >= {"base", "tuned"}


def test_card_of_training_links_hub_models_alone() -> None:
    assert relate_to_base("gpt2", True, False) == {"base_model": "gpt2", "base_model_relation": "adapter"}
    assert relate_to_base("gpt2", True, True)["base_model_relation"] == "finetune"
    assert relate_to_base("data/06_models/embedded-base", False, False) == {}
