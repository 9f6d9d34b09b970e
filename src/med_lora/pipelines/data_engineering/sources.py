"""What an experiment's corpora give: pairs, passages, topics, or questions of a benchmark."""

from __future__ import annotations

from typing import Literal, NamedTuple

from med_lora.parameters import ProjectParams, QuestionGenerationParams


class Sources(NamedTuple):
    """Names of corpora by what they give; a corpus of pages gives both pairs and passages.

    Attributes:
        pairs: corpora of question-answer pairs; their order decides which of two equal pairs is kept.
        passages: corpora of documents and pages.
        benchmarks: corpora whose questions must not be trained on.
        terms: for each of them with a list of topics, the corpus that holds it.
        generator: the language model that writes pairs from the passages: behind an endpoint, local, or none.
    """

    pairs: tuple[str, ...]
    passages: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    generator: Literal["endpoint", "local"] | None = None


# The corpora of conf/base, for commands that have no experiment, such as `kedro registry list`.
DEFAULT_SOURCES = Sources(
    pairs=("genmedgpt", "wikidoc", "medquad", "medical_terms"),
    passages=("medical_terms", "textbooks"),
    terms=(("genmedgpt", "genmedgpt_diseases"),),
)


def sources_of(parameters: ProjectParams) -> Sources:
    """The sources of an experiment, in the order of its ``data_engineering.corpora``."""
    given = parameters.data_engineering
    layouts = {name: parameters.corpora[name].layout for name in given.corpora}
    return Sources(
        pairs=tuple(name for name in given.corpora if layouts[name] != "documents"),
        passages=tuple(name for name in given.corpora if layouts[name] in ("documents", "pages")),
        benchmarks=tuple(given.benchmarks),
        terms=tuple((name, terms) for name in given.corpora if (terms := parameters.corpora[name].focus_terms)),
        generator=_generator(given.question_generation),
    )


def _generator(parameters: QuestionGenerationParams | None) -> Literal["endpoint", "local"] | None:
    if parameters is None:
        return None
    return "endpoint" if parameters.endpoint else "local"
