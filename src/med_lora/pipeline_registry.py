"""The project's pipelines by name."""

from __future__ import annotations

import click
from kedro.pipeline import Pipeline

from med_lora.errors import nearest
from med_lora.pipelines import (
    data_engineering,
    data_report,
    evaluation,
    pretraining,
    question_generation,
    reporting,
    training,
)
from med_lora.pipelines.data_engineering.sources import DEFAULT_SOURCES, Sources

# A run replaces them by its experiment's (see ProjectHooks.after_context_created).
_sources = DEFAULT_SOURCES


class Registry(dict[str, Pipeline]):
    """Pipelines by name; an unknown name ends the command with one sentence."""

    def __missing__(self, name: str) -> Pipeline:
        raise click.ClickException(f"There is no pipeline {name!r}{nearest(name, set(self) - {'__default__'})}")


def select_sources(sources: Sources) -> None:
    """Name the sources whose branches the next registration builds."""
    global _sources  # Kedro calls register_pipelines without arguments
    _sources = sources


def register_pipelines() -> dict[str, Pipeline]:
    """All pipelines; ``__default__`` takes raw corpora to the report.

    ``data_engineering`` includes ``data_report``, which can be run again alone, and the pairs that a language model
    writes where an experiment asks for them.
    """
    report_on_data = Pipeline([])
    if _sources.pairs or _sources.generator:
        report_on_data = data_report.create_pipeline(bool(_sources.passages))
    stages = {
        "data_engineering": _data_engineering(_sources) + report_on_data,
        "training": training.create_pipeline(),
        "evaluation": evaluation.create_pipeline(),
        "reporting": reporting.create_pipeline(),
    }
    return Registry(
        {
            "__default__": sum(stages.values(), Pipeline([])),
            **stages,
            "data_report": report_on_data,
            "pretraining": pretraining.create_pipeline(),
        }
    )


def _data_engineering(sources: Sources) -> Pipeline:
    """Raw corpora to splits, and to pairs written from passages where a generator is named."""
    pipeline = data_engineering.create_pipeline(sources)
    if sources.generator:
        pipeline += question_generation.create_pipeline(local=sources.generator == "local")
    return pipeline
