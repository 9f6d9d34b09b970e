"""The experiments of the five studies: the settings that each study states, pinned models, and the path of the run."""

from __future__ import annotations

import functools
import re
from typing import Any

import pytest
import yaml
from kedro.framework.cli.utils import _split_params

from med_lora import pipeline_registry
from med_lora.config_loader import ExperimentConfigLoader
from med_lora.errors import InputError
from med_lora.parameters import ProjectParams, parse_parameters
from med_lora.pipelines.data_engineering.licences import check_licences
from med_lora.pipelines.reporting.studies.settings import list_stated_settings

from .conftest import EXPERIMENTS, ROOT

MEDLMS = ("llama2_7b", "mistral_7b", "llama3_8b", "gemma_7b", "distilgpt2")
LUND = ("lund_heart_r16", "lund_heart_r32", "lund_heart_r64", "lund_heart_cpt")
STUDIES = {
    "kim2024_msk": "kim2024_msk",
    **{f"medlms_{model}": "medlms" for model in MEDLMS},
    "medidialogue": "medidialogue",
    "gpt2_medical_terms": "gpt2_medical_terms",
    **dict.fromkeys(LUND, "lund_heart"),
}
OWN = ("best_practice", "my_corpus")
WIKIDOC = (
    "Medical Meadow has two sets from WikiDoc and the study names neither; this one has a licence and a pinned file"
)
# What an experiment sets otherwise than its study states, with the reason.
OTHERWISE: dict[str, dict[str, str]] = {
    "kim2024_msk": {"corpora": "the study scores nothing, so that pairs to score on are written from its books"},
    **{f"medlms_{model}": {"corpora": WIKIDOC} for model in MEDLMS},
    "medlms_distilgpt2": {"corpora": WIKIDOC, "training.max_length": "DistilGPT2 has 1,024 positions"},
    "lund_heart_cpt": {"continued_pretraining.enabled": "the study proposes it for later and did not do it"},
}
PROBES = {"kim2024_msk": 6, "gpt2_medical_terms": 5, **{f"medlms_{model}": 2 for model in MEDLMS}}
# Pipelines that an experiment has besides those of every one.
PIPELINES: dict[str, set[str]] = {
    "kim2024_msk": {"continued_pretraining", "retrieval"},
    **{f"medlms_{model}": {"sweep"} for model in MEDLMS},
    "medidialogue": {"judge", "divergence"},
    "gpt2_medical_terms": set(),
    **{name: {"benchmarks", "sweep", "search"} for name in LUND},
    "lund_heart_cpt": {"benchmarks", "sweep", "search", "continued_pretraining"},
    "best_practice": {"benchmarks"},
    "my_corpus": set(),
}


@functools.cache
def tree(experiment: str) -> dict[str, Any]:
    loader = ExperimentConfigLoader(
        ROOT / "conf", "cpu", {"experiment": experiment}, base_env="base", default_run_env="cpu"
    )
    return loader["parameters"]


@functools.cache
def parameters(experiment: str) -> ProjectParams:
    return parse_parameters(tree(experiment))


def test_every_study_has_its_experiments() -> None:
    assert set(EXPERIMENTS) >= {*STUDIES, *OWN}
    assert set(STUDIES.values()) == set(parameters("my_corpus").studies)
    named = {(parameters(name).study, parameters(name).study_system) for name in STUDIES}
    assert named == {
        (study, system) for study, given in parameters("my_corpus").studies.items() for system in given.systems
    }


@pytest.mark.parametrize(("experiment", "study"), STUDIES.items())
def test_settings_are_those_that_the_study_states(experiment: str, study: str) -> None:
    given = parameters(experiment)
    assert given.study == study
    stated = list_stated_settings(given.studies[study], given.study_system or "", tree(experiment))
    assert len(stated) >= 3
    assert {setting.key for setting in stated if setting.differs} == OTHERWISE.get(experiment, {}).keys()


@pytest.mark.parametrize("experiment", [*STUDIES, "best_practice"])
def test_models_are_pinned_to_a_commit(experiment: str) -> None:
    given = parameters(experiment)
    pinned = [given.model.revision]
    if given.retrieval.enabled:
        pinned.append(given.retrieval.encoder.revision)
    for revision in pinned:
        assert re.fullmatch(r"[0-9a-f]{40}", revision or "")


@pytest.mark.parametrize("experiment", [*STUDIES, "best_practice"])
def test_a_local_copy_takes_the_place_of_the_hub(experiment: str) -> None:
    """As typed behind --params, where null is no text."""
    typed = _split_params(None, None, f"experiment={experiment},model.id=/models/a-copy,model.revision=null")
    loader = ExperimentConfigLoader(ROOT / "conf", None, typed, base_env="base", default_run_env="cpu")
    model = parse_parameters(loader["parameters"]).model
    assert (model.id, model.revision) == ("/models/a-copy", None)
    assert model.quantisation == parameters(experiment).model.quantisation


@pytest.mark.parametrize(
    "experiment", [name for name in STUDIES if re.search(r"^(?:meta-llama|google)/", parameters(name).model.id)]
)
def test_gated_models_say_how_access_is_got(experiment: str) -> None:
    file = ROOT / "conf/experiments" / f"{experiment}.yml"
    own = file.read_text(encoding="utf-8")
    while "model:" not in own:  # that of the experiment it extends
        file = file.with_stem(yaml.safe_load(own)["extends"])
        own = file.read_text(encoding="utf-8")
    assert f"https://huggingface.co/{parameters(experiment).model.id}" in own
    assert "hf auth login" in own
    assert "model.id=FOLDER,model.revision=null" in own


@pytest.mark.parametrize("experiment", STUDIES)
def test_probes_are_the_questions_that_the_study_shows(experiment: str) -> None:
    """In its order, by which published answers are numbered (refusal@1), and not in its words."""
    given = parameters(experiment)
    assert len(given.probes) == PROBES.get(experiment, 0)
    numbered = {
        int(figure.quantity.partition("@")[2])
        for figure in given.studies[STUDIES[experiment]].published
        if figure.quantity.startswith("refusal@")
    }
    assert not numbered or numbered == set(range(1, len(given.probes) + 1))
    assert not any(probe.question.startswith("Tell me") for probe in given.probes)


@pytest.mark.parametrize("experiment", [*STUDIES, *OWN])
def test_the_path_of_the_run_holds_what_the_study_did(experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_registry, "_plan", pipeline_registry._plan)
    pipeline_registry.select_plan(parameters(experiment))
    plan, registered = pipeline_registry._plan, pipeline_registry.register_pipelines()
    optional = {"continued_pretraining", "retrieval", "judge", "divergence", "benchmarks", "sweep", "search"}
    has = {name for name in optional if registered.get(name) and registered[name].nodes}
    sweeps, searches = parameters(experiment).sweep.grid, parameters(experiment).search.space
    has -= {name for name, wanted in (("sweep", sweeps), ("search", searches)) if not wanted}
    assert has == PIPELINES[experiment]
    assert plan.tracks.study == (experiment in STUDIES)
    assert plan.tracks.latency == experiment.startswith("medlms")
    ran = registered["__default__"].datasets()
    assert ("domain_adapter" in ran) == ("continued_pretraining" in has)
    assert ("grounded_test" in ran) == ("retrieval" in has)
    assert ("judge_summary" in ran) == ("judge" in has)


def test_study_a_is_tuned_on_text_alone() -> None:
    given = parameters("kim2024_msk")
    assert given.training.method == "none"
    assert given.continued_pretraining.enabled
    assert given.continued_pretraining.handover == "adapter"


def test_study_a_finds_passages_in_all_text_that_its_model_was_trained_on() -> None:
    """Else tuning could recall what passages are forbidden to say."""
    given = parameters("kim2024_msk")
    assert not given.retrieval.hold_out_answers
    assert "do not know" in given.retrieval.instruction
    assert all(parameters(name).retrieval.hold_out_answers for name in (*STUDIES, *OWN) if name != "kim2024_msk")


@pytest.mark.parametrize("model", MEDLMS)
def test_some_pairs_of_study_b_are_longer_than_a_thousand_tokens(model: str) -> None:
    """A word is a token at least; with shorter ones alone the longest lengths of the grid would train alike."""
    assert parameters(f"medlms_{model}").data_engineering.cleaning.max_answer_words > 1024


@pytest.mark.parametrize("model", MEDLMS)
def test_the_grid_is_the_studys_but_for_what_a_model_has_no_positions_for(model: str) -> None:
    given = parameters(f"medlms_{model}")
    lengths = [128, 256, 512, 1024, 2048, 4096]
    assert given.sweep.grid == {
        "training.max_length": lengths[:4] if model == "distilgpt2" else lengths,
        "training.lora.r": [4, 8, 16, 32],
        "training.lora.alpha": [8, 16, 32, 64],
        "training.lora.dropout": [0.0, 0.1, 0.25, 0.5],
        "model.quantisation": ["nf4", "int8", "none"],
    }
    assert given.sweep.design == "one_at_a_time"


def test_a_tenth_of_the_pages_held_out_makes_the_steps_of_study_d() -> None:
    """6,861 pages; each part is rounded down."""
    given = parameters("gpt2_medical_terms")
    split, recipe = given.data_engineering.split, given.training.optimisation
    pages = 6861
    train = pages - int(pages * split.validation) - int(pages * split.test)
    assert -(-train // recipe.effective_batch_size) * recipe.epochs == 386
    assert recipe.evaluations == [100, 200, 300]


@pytest.mark.parametrize(
    ("experiment", "corpus"), [("kim2024_msk", "textbooks"), *((name, "heart_transplantation") for name in LUND)]
)
def test_text_of_the_users_own_needs_a_licence_that_they_state(experiment: str, corpus: str) -> None:
    given = parameters(experiment)
    with pytest.raises(InputError, match=rf"may not be trained on: {corpus} \(its licence is unknown\)"):
        check_licences(given.corpora, given.data_engineering.corpora, given.data_engineering.allow_licences)
    stated = given.corpora | {corpus: given.corpora[corpus].model_copy(update={"licence": "CC-BY-4.0"})}
    check_licences(stated, given.data_engineering.corpora, [])


@pytest.mark.parametrize("experiment", [name for name in (*STUDIES, *OWN) if name not in ("kim2024_msk", *LUND)])
def test_public_corpora_may_be_trained_on_as_they_are(experiment: str) -> None:
    given = parameters(experiment)
    check_licences(given.corpora, given.data_engineering.corpora, given.data_engineering.allow_licences)


def test_my_corpus_reads_a_file_that_the_repository_carries() -> None:
    given = parameters("my_corpus")
    (name,) = given.data_engineering.corpora
    assert (ROOT / "data/01_raw" / str(given.corpora[name].files)).is_file()
    assert (ROOT / given.model.id).is_dir()
