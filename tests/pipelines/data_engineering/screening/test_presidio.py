from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from med_lora.errors import InputError
from med_lora.pipelines.data_engineering.screening import PLACEHOLDERS, Screener
from tests.pipelines.data_engineering.screening.test_screening import params


def install(monkeypatch: pytest.MonkeyPatch, models: list[str]) -> list[dict[str, object]]:
    """Stand-ins for spaCy and presidio; returns the configurations that engines are made with."""
    configurations: list[dict[str, object]] = []
    spacy = ModuleType("spacy")
    spacy.util = SimpleNamespace(is_package=models.__contains__)  # type: ignore[attr-defined]
    presidio, engines = ModuleType("presidio_analyzer"), ModuleType("presidio_analyzer.nlp_engine")

    class Provider:
        def __init__(self, nlp_configuration: dict[str, object]) -> None:
            configurations.append(nlp_configuration)

        def create_engine(self) -> str:
            return "engine"

    class Engine:
        def __init__(self, nlp_engine: str, supported_languages: list[str]) -> None:
            assert (nlp_engine, supported_languages) == ("engine", ["en"])

        def analyze(self, text: str, language: str, entities: list[str]) -> list[object]:
            return [SimpleNamespace(entity_type="PERSON", start=0, end=len(text), score=0.85)]

    presidio.AnalyzerEngine = Engine  # type: ignore[attr-defined]
    engines.NlpEngineProvider = Provider  # type: ignore[attr-defined]
    for name, module in [("spacy", spacy), ("presidio_analyzer", presidio), ("presidio_analyzer.nlp_engine", engines)]:
        monkeypatch.setitem(sys.modules, name, module)
    return configurations


def test_a_missing_package_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [])
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(InputError, match=r"presidio_analyzer.* is not installed; install the extra `presidio`, or set"):
        Screener(params(presidio=True))


def test_a_missing_model_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [])
    with pytest.raises(
        InputError, match=r"model en_core_web_lg is not installed; get it with `python -m spacy download"
    ):
        Screener(params(presidio=True))


def test_the_installed_engine_is_used_with_the_model_named(monkeypatch: pytest.MonkeyPatch) -> None:
    configurations = install(monkeypatch, ["en_core_web_lg"])
    assert Screener(params(presidio=True)).screen("xanthe quorl").text == PLACEHOLDERS["names"]
    models = [{"lang_code": "en", "model_name": "en_core_web_lg"}]
    assert configurations == [{"nlp_engine_name": "spacy", "models": models}]


def test_nothing_is_loaded_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    assert Screener(params()).screen("xanthe quorl").text == "xanthe quorl"
