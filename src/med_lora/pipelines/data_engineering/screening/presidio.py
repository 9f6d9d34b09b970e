"""Names and places that presidio-analyzer finds (extra ``presidio``): a statistical second look beside the patterns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from med_lora.errors import InputError
from med_lora.pipelines.data_engineering.screening.lists import read_list
from med_lora.pipelines.data_engineering.screening.names import is_eponym
from med_lora.pipelines.data_engineering.screening.spans import Span

SPACY_MODEL = "en_core_web_lg"
_KINDS = {"PERSON": "names", "LOCATION": "geography"}
# spaCy's entities all score 0.85 in presidio.
_LEAST_SCORE = 0.8


class Analyzer(Protocol):
    """The part of presidio's ``AnalyzerEngine`` that is used."""

    def analyze(self, text: str, language: str, entities: list[str]) -> Sequence[Any]:
        """Results with ``entity_type``, ``start``, ``end`` (exclusive) and ``score`` (0 to 1)."""
        ...


def load_analyzer() -> Analyzer:
    """Presidio's analyzer on spaCy's large English model, both as installed; nothing is downloaded.

    Raises:
        InputError: if the package or the model is not installed.
    """
    remedy = "or set data_engineering.screening.presidio to false"
    try:
        import spacy
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import NlpEngineProvider
    except ImportError as error:
        raise InputError(
            f"data_engineering.screening.presidio is true, but {error.name} is not installed; install the extra "
            f"`presidio`, {remedy}."
        ) from error
    # Without this check presidio would download the model in the middle of a run.
    if not spacy.util.is_package(SPACY_MODEL):
        raise InputError(
            f"data_engineering.screening.presidio is true, but spaCy's model {SPACY_MODEL} is not installed; get it "
            f"with `python -m spacy download {SPACY_MODEL}`, {remedy}."
        )
    models = [{"lang_code": "en", "model_name": SPACY_MODEL}]
    engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
    analyzer: Analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    return analyzer


def analyzed_spans(analyzer: Analyzer, text: str) -> Iterable[Span]:
    """Names, without eponyms, and places, without states and countries."""
    for result in analyzer.analyze(text=text, language="en", entities=sorted(_KINDS)):
        kind = _KINDS.get(result.entity_type)
        if kind is None or result.score < _LEAST_SCORE:
            continue
        is_kept = kind == "names" and is_eponym(text, result.end)
        if not is_kept and text[result.start : result.end].lower() not in read_list("regions"):
            yield Span(result.start, result.end, kind)
