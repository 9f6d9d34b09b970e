"""Configuration: precedence, the catalog, and typing errors at every depth."""

from __future__ import annotations

import functools
import os
import re
import shutil
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from kedro.io import DataCatalog

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.errors import InputError
from med_lora.parameters import ArtefactParams, ProjectParams, parse_parameters
from med_lora.pipelines.data_engineering.licences import check_licences

from .conftest import ROOT
from .experiments import base_parameters


def load(env: str | None = None, conf: Path = ROOT / "conf", **runtime: Any) -> ExperimentConfigLoader:
    return ExperimentConfigLoader(conf, env, runtime, base_env="base", default_run_env="cpu")


def parameters(env: str | None = None, **runtime: Any) -> ProjectParams:
    return parse_parameters(load(env, **runtime)["parameters"])


@pytest.fixture(autouse=True)
def no_environment_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MED_LORA_EXPERIMENT", raising=False)
    monkeypatch.delenv("MED_LORA_RAW", raising=False)
    monkeypatch.delenv("MED_LORA_MACHINES", raising=False)
    monkeypatch.setenv("MED_LORA_RENDEZVOUS", "first-machine:29400")


def test_experiment_is_embedded_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parameters().experiment == "embedded"
    monkeypatch.setenv("MED_LORA_EXPERIMENT", "genmedgpt_embedded")
    assert parameters().experiment == "genmedgpt_embedded"
    assert parameters(experiment="embedded").experiment == "embedded"


def test_command_line_beats_experiment_beats_base() -> None:
    base = yaml.safe_load((ROOT / "conf/base/parameters_training.yml").read_text())["training"]["optimisation"][
        "epochs"
    ]
    file = yaml.safe_load((ROOT / "conf/experiments/genmedgpt_embedded.yml").read_text())
    experiment = file["training"]["optimisation"]["epochs"]
    assert base != experiment
    assert parameters().training.optimisation.epochs == base
    assert parameters(experiment="genmedgpt_embedded").training.optimisation.epochs == experiment
    given = parameters(experiment="genmedgpt_embedded", training={"optimisation": {"epochs": 7}})
    assert given.training.optimisation.epochs == 7
    assert given.training.optimisation.learning_rate == parameters().training.optimisation.learning_rate


def test_raw_root_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load()["catalog"]["raw_{corpus}"]["root"] == "data/01_raw"
    monkeypatch.setenv("MED_LORA_RAW", "/somewhere")
    assert load()["catalog"]["raw_{corpus}"]["root"] == "/somewhere"


def test_default_experiment_reads_the_embedded_corpora_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their titles and licence must not stand for other files, whatever folder MED_LORA_RAW names."""
    published = base_parameters()["corpora"]
    corpora = parameters().corpora
    assert set(parameters().data_engineering.corpora) < set(corpora) == set(published)
    for name, corpus in corpora.items():
        assert corpus.licence == "CC-BY-4.0"
        assert "mbedded" in corpus.title
        assert corpus.files == f"embedded/{published[name]['files']}"
        assert (ROOT / "data/01_raw" / str(corpus.files)).exists()
    # this folder has the layout of the publishers' files
    monkeypatch.setenv("MED_LORA_RAW", str(ROOT / "data/01_raw/embedded"))
    default, other = (
        DataCatalog.from_config(load(experiment=name)["catalog"]) for name in ("embedded", "genmedgpt_embedded")
    )
    assert [catalog["raw_genmedgpt"].exists() for catalog in (default, other)] == [False, True]
    with pytest.raises(InputError, match="01_raw/embedded/embedded/textbooks does not exist"):
        default["raw_textbooks"].load()


def test_base_states_the_publishers_licences_and_none_where_it_depends_on_the_files() -> None:
    given = parameters(experiment="genmedgpt_embedded")
    assert {name: corpus.licence for name, corpus in given.corpora.items()} == {
        "genmedgpt": "Apache-2.0",
        "genmedgpt_diseases": "Apache-2.0",
        "wikidoc": "CC-BY-SA-4.0",
        "medquad": "CC-BY-4.0",
        "medical_terms": "unknown",
        "textbooks": "unknown",
    }
    check_licences(given.corpora, base_parameters()["data_engineering"]["corpora"], [])
    for name in ("medical_terms", "textbooks"):
        with pytest.raises(InputError, match=rf"may not be trained on: {name} \(its licence is unknown\)"):
            check_licences(given.corpora, [name], [])


@functools.cache
def artefacts(corpus: str) -> list[ArtefactParams]:
    return parameters().corpora[corpus].artefacts


def mended(corpus: str, text: str) -> str:
    for artefact in artefacts(corpus):
        assert artefact.replacement is not None or not re.search(artefact.pattern, text)
        text = re.sub(artefact.pattern, artefact.replacement or "", text)
    return text


@pytest.mark.parametrize("corpus", ["genmedgpt", "wikidoc", "medquad"])
def test_spaces_between_sentences_are_mended_outside_of_addresses(corpus: str) -> None:
    assert mended(corpus, "Rest the knee.Then cool it, and/or wait.Ice helps.\nNo limp?") == (
        "Rest the knee. Then cool it, and/or wait. Ice helps.\nNo limp?"
    )
    for address in (
        "John.Smith@clinic.Org.uk",
        "(Www.Smokefree.Gov)",
        "www.Smokefree.gov",
        "Cancer.Net",
        "Cancer.Net's",
        "MedlinePlus.Gov/knee",
        "http://knee.Clinic.org/Pain.Html",
        "<ftp://knee.Clinic.org/a.Then>",
    ):
        assert mended(corpus, f"See {address}, and rest.\n{address}") == f"See {address}, and rest.\n{address}"


def test_a_question_is_cut_from_an_answer_and_not_from_a_longer_question() -> None:
    answer = "Gout is an inflammation of a joint, caused by crystals of uric acid in it."
    assert mended("medquad", f"What is gout? {answer}") == answer
    question = "What is Am I at Risk of Gout? Taking Steps to Keep Your Joints Well?"
    assert mended("medquad", question) == question


def test_a_corpus_of_an_experiment_needs_no_catalog_entry() -> None:
    """Kedro takes braces in the catalog for placeholders; those of a regular expression must not reach it."""
    files = {"layout": "pairs", "files": ["a.jsonl"], "columns": {"answer": "reply"}}
    artefact = {"pattern": r"x{2,3}\}", "replacement": "{}"}
    loader = load(corpora={"mine": {"title": "Mine", "licence": "CC0-1.0", **files, "artefacts": [artefact]}})
    raw = DataCatalog.from_config(loader["catalog"])["raw_mine"]
    assert raw._describe() == {
        "corpus": "mine",
        "layout": "pairs",
        "files": ["a.jsonl"],
        "root": "data/01_raw",
    }


def test_catalog_that_names_no_parameter_is_refused(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "conf/base/catalog_mine.yml").write_text(
        "mine: {type: MemoryDataset, data: '${parameters:modle.id}'}\n"
    )
    with pytest.raises(click.ClickException, match=r"'modle\.id', which does not exist"):
        load(conf=tmp_path / "conf")["catalog"]


def test_registry_without_an_experiment_knows_every_corpus() -> None:
    from med_lora.pipelines.data_engineering.sources import DEFAULT_SOURCES, sources_of

    assert sources_of(parameters()) == DEFAULT_SOURCES
    terms = {name for _, name in DEFAULT_SOURCES.terms}
    assert set(parameters().corpora) == {*DEFAULT_SOURCES.pairs, *DEFAULT_SOURCES.passages, *terms}


def test_catalog_follows_parameters() -> None:
    catalog = load(model={"id": "some/model", "revision": "abc"})["catalog"]
    assert catalog["base_model"]["id"] == "some/model"
    assert catalog["base_model"]["revision"] == "abc"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"trainning": {}}, ["trainning", "training"]),
        ({"training": {"max_lenght": 3}}, ["training.max_lenght", "max_length"]),
        ({"training": {"lora": {"rr": 4}}}, ["training.lora.rr", "'r'"]),
        ({"training": {"optimisation": {"epoch": 4}}}, ["training.optimisation.epoch", "'epochs'"]),
        ({"corpora": {"wikidoc": {"lisence": "x"}}}, ["corpora.wikidoc.lisence", "licence"]),
        ({"data_engineering": {"corpora": ["wikidocs"]}}, ["'wikidocs'", "'wikidoc'"]),
        ({"training": {"lora": {"r": "big"}}}, ["training.lora.r", "'big'"]),
        ({"training": {"lora": {"r": 0}}}, ["training.lora.r", "greater than 0"]),
        ({"training": {"lora": {"r": True}}}, ["training.lora.r", "True"]),
        ({"training": {"lora": {"use_rslora": "on"}}}, ["training.lora.use_rslora", "'on'"]),
        ({"data_engineering": {"cleaning": {"max_answer_words": 1}}}, ["max_answer_words is below"]),
        ({"data_engineering": {"benchmarks": ["medqqa"]}}, ["data_engineering.benchmarks", "'medqqa'"]),
        ({"corpora": {"wikidoc": {"focus_terms": "medquad"}}}, ["corpora.wikidoc.focus_terms names 'medquad'"]),
        ({"data_engineering": {"corpora": ["wikidoc", "wikidoc"]}}, ["data_engineering.corpora", "twice"]),
        ({"data_engineering": {"corpora": ["genmedgpt_diseases"]}}, ["whose layout is terms"]),
        ({"data_engineering": {"benchmarks": ["wikidoc"]}}, ["'wikidoc' is both a corpus and a benchmark"]),
        ({"data_engineering": {"corpora": ["wikidoc"], "benchmarks": ["textbooks"]}}, ["has no questions"]),
        ({"data_engineering": {"screening": {"names": "hide"}}}, ["screening.names", "'mask'"]),
        ({"data_engineering": {"passages": {"overlap": 256}}}, ["overlap must be below tokens"]),
        ({"data_engineering": {"cleaning": {"language": "English"}}}, ["cleaning.language"]),
        ({"corpora": {"wikidoc": {"columns": {"outptu": "x"}}}}, ["'outptu', which layout alpaca lacks", "'output'"]),
        ({"corpora": {"wikidoc": {"files": "{a}.json"}}}, ["corpora.wikidoc", "must not hold braces"]),
        ({"corpora": {"wikidoc": {"files": ["a.csv", "ftp://me:pw@host/b.csv"]}}}, ["neither a name nor a password"]),
        ({"corpora": {"wikidoc": {"encoding": "utf-9"}}}, ["corpora.wikidoc.encoding", "'utf-9'"]),
        ({"corpora": {"wikidoc": {"hub": {"id": "a/b", "revision": "main"}}}}, ["wikidoc.hub.revision", "'main'"]),
        (
            {"corpora": {"wikidoc": {"artefacts": [{"pattern": "(", "replacement": None}]}}},
            ["wikidoc.artefacts.0", "no regular expression"],
        ),
        ({"pretraining": {"block_length": 4096}}, ["block_length exceeds"]),
        ({"pretraining": {"architecture": {"heads": 5}}}, ["even multiple of heads"]),
        ({"prompt": {"template": "no placeholder"}}, ["{question}"]),
        ({"probes": [{"name": " ", "question": "\n"}]}, ["probes.0.name", "probes.0.question", "at least 1 character"]),
        ({"probes": [{"name": "a", "question": "b"}, {"name": "a ", "question": "c"}]}, ["probes names 'a' twice"]),
    ],
)
def test_wrong_parameters_name_key_and_nearest(given: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parameters(**given)
    for part in named:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "me:pw" not in str(caught.value)


def test_all_faults_are_listed_at_once() -> None:
    with pytest.raises(InputError) as caught:
        parameters(training={"lora": {"rr": 4, "alpha": -1}})
    assert "training.lora.rr" in str(caught.value)
    assert "training.lora.alpha" in str(caught.value)


def test_unknown_experiment_and_environment_name_the_nearest() -> None:
    with pytest.raises(click.ClickException, match="did you mean 'embedded'"):
        load(experiment="embeded")
    with pytest.raises(click.ClickException, match="did you mean 'a100'"):
        load("a10")
    for folder in ("base", "experiments"):
        with pytest.raises(click.ClickException, match="There is no environment"):
            load(folder)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hardware: {device: cuda}\n", r"must not set 'hardware' \(an environment sets it, see --env\)"),
        ("experiment: other\n", "must not set 'experiment'"),
        ("rehearsal_of: embedded\n", "must not set 'rehearsal_of'"),
        ("rerun_of: null\n", "must not set 'rerun_of'"),
        *((text, "must map parameter names") for text in ("- a list\n", "[]\n", "false\n", "0\n", "''\n")),
        ("training: {lora: [\n", "not valid YAML"),
    ],
)
def test_experiment_file_that_oversteps_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "conf/experiments/mine.yml").write_text(text)
    with pytest.raises(click.ClickException, match=sentence):
        load(conf=tmp_path / "conf", experiment="mine")


def test_every_parameter_says_what_it_means() -> None:
    """Each leaf of each parameter model carries a description."""

    def check(model: Any) -> None:
        for name, field in model.model_fields.items():
            if hasattr(field.annotation, "model_fields"):
                check(field.annotation)
            elif name not in ("experiment", "corpora"):
                assert field.description, f"{model.__name__}.{name}"

    check(ProjectParams)


def test_telemetry_is_off() -> None:
    assert yaml.safe_load((ROOT / ".telemetry").read_text()) == {"consent": False}
    import med_lora.hooks  # noqa: F401  (sets the variables)

    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_system_of_another_study_is_refused_with_the_nearest_name() -> None:
    values = load("cpu", study="medlms", study_system="DistilGPT3")["parameters"]
    with pytest.raises(InputError, match=r"no system of the study medlms; did you mean 'DistilGPT2'\?"):
        parse_parameters(values)
    with pytest.raises(InputError, match="and study is null; name the study"):
        parse_parameters(load("cpu", study_system="DistilGPT2")["parameters"])
