"""The project's pipelines by name."""

from __future__ import annotations

from collections.abc import Sequence

import click
from kedro.pipeline import Pipeline

from med_lora.errors import nearest
from med_lora.pipelines import data_engineering, evaluation, pretraining, reporting, training

# Every corpus of conf/base. A run replaces them by its experiment's (see ProjectHooks.after_context_created).
ALL_CORPORA = ("genmedgpt", "wikidoc", "medquad", "medical_terms", "textbooks")
_corpora: tuple[str, ...] = ALL_CORPORA


class Registry(dict[str, Pipeline]):
    """Pipelines by name; an unknown name ends the command with one sentence."""

    def __missing__(self, name: str) -> Pipeline:
        raise click.ClickException(f"There is no pipeline {name!r}{nearest(name, set(self) - {'__default__'})}")


def select_corpora(corpora: Sequence[str]) -> None:
    """Name the corpora whose branches the next registration builds."""
    global _corpora  # Kedro calls register_pipelines without arguments
    _corpora = tuple(corpora)


def register_pipelines() -> dict[str, Pipeline]:
    """All pipelines; ``__default__`` takes raw corpora to the report."""
    stages = {
        "data_engineering": data_engineering.create_pipeline(_corpora),
        "training": training.create_pipeline(),
        "evaluation": evaluation.create_pipeline(),
        "reporting": reporting.create_pipeline(),
    }
    return Registry(
        {"__default__": sum(stages.values(), Pipeline([])), **stages, "pretraining": pretraining.create_pipeline()}
    )
