"""The project's pipelines by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import click
from kedro.pipeline import Pipeline

from med_lora.errors import nearest
from med_lora.parameters import ProjectParams
from med_lora.pipelines import (
    benchmarks,
    canaries,
    comparison,
    continued_pretraining,
    data_engineering,
    data_report,
    divergence,
    evaluation,
    judge,
    latency,
    merging,
    people,
    power,
    pretraining,
    question_generation,
    reporting,
    retrieval,
    search,
    sweep,
    training,
)
from med_lora.pipelines.data_engineering.sources import DEFAULT_SOURCES, Sources, sources_of
from med_lora.pipelines.evaluation.pipeline import DEFAULT_MEASURES, Measures, measures_of
from med_lora.pipelines.grouping import group_by_step
from med_lora.pipelines.stages import DEFAULT_STAGES, Stages, absent_pipelines, create_base, stages_of
from med_lora.pipelines.sweep.points import points_of
from med_lora.pipelines.tracks import DEFAULT_TRACKS, Tracks, absent_tracks, tracks_of


class Plan(NamedTuple):
    """What an experiment decides about the shape of the pipelines.

    Attributes:
        sources: corpora by what they give.
        stages: of its training.
        measures: of its evaluation.
        tracks: that it is evaluated in besides.
        points: names of its sweep's points.
        mlflow: whether a comparison across runs is also written for MLflow.
    """

    sources: Sources
    stages: Stages
    measures: Measures
    tracks: Tracks
    points: tuple[str, ...] = ()
    mlflow: bool = False


# For commands that have no experiment, such as `kedro registry list`; a run replaces it by its experiment's.
_plan = Plan(DEFAULT_SOURCES, DEFAULT_STAGES, DEFAULT_MEASURES, DEFAULT_TRACKS)


class Registry(dict[str, Pipeline]):
    """Pipelines by name, their nodes grouped by step; an unknown or empty one ends the command with one sentence."""

    def __init__(self, pipelines: Mapping[str, Pipeline], absent: Mapping[str, str]) -> None:
        """Take the pipelines but those ``absent``, which are given with the reason."""
        super().__init__({name: group_by_step(pipeline) for name, pipeline in pipelines.items() if name not in absent})
        self._absent = absent

    def __missing__(self, name: str) -> Pipeline:
        if name in self._absent:
            raise click.ClickException(
                f"The pipeline {name} has nothing to do in this experiment: {self._absent[name]}"
            )
        raise click.ClickException(f"There is no pipeline {name!r}{nearest(name, set(self) - {'__default__'})}")


def select_plan(parameters: ProjectParams) -> None:
    """Take the plan of the next registration from an experiment's parameters.

    Raises:
        InputError: if its stages contradict each other, or a point of its sweep is not allowed.
    """
    global _plan  # Kedro calls register_pipelines without arguments
    points = tuple(point.name for point in points_of(parameters))
    _plan = Plan(
        sources_of(parameters),
        stages_of(parameters),
        measures_of(parameters),
        tracks_of(parameters),
        points,
        mlflow=parameters.comparison.mlflow is not None,
    )


def register_pipelines() -> dict[str, Pipeline]:
    """All pipelines; ``__default__`` takes raw corpora to the report.

    ``data_engineering`` includes ``data_report``, which can be run again alone, and the pairs that a language model
    writes where an experiment asks for them; ``training`` includes ``continued_pretraining`` likewise, and is that
    alone where nothing is trained on pairs; ``evaluation`` includes the audit of ``canaries``, exams and seconds, and
    whatever second track the experiment has.
    """
    sources, stages, measures, tracks, points, mlflow = _plan
    report_on_data = Pipeline([])
    if sources.pairs or sources.generator:
        report_on_data = data_report.create_pipeline(bool(sources.passages))
    first_stage, audit = continued_pretraining.create_pipeline(stages), canaries.create_pipeline(stages)
    second_track = _second_track(tracks)
    scored = evaluation.create_pipeline(stages, measures, retrieval=tracks.retrieval is not None)
    exams, seconds = benchmarks.create_pipeline(sources.benchmarks, stages), latency.create_pipeline(stages)
    scored += sum([exams] * tracks.benchmarks + [seconds] * tracks.latency, audit)
    steps = {
        "data_engineering": _data_engineering(sources) + report_on_data,
        "training": first_stage + canaries.create_insertion(stages) + training.create_pipeline(stages),
        "evaluation": sum(second_track.values(), scored),
        "reporting": reporting.create_pipeline(tracks, canaries=stages.canaries, history=stages.history),
    }
    return Registry(
        {
            "__default__": sum(steps.values(), Pipeline([])),
            **steps,
            **second_track,
            "benchmarks": exams,
            "canaries": audit,
            "comparison": comparison.create_pipeline(mlflow),
            "continued_pretraining": first_stage,
            "data_report": report_on_data,
            "latency": seconds,
            "merging": merging.create_pipeline(stages),
            "power": power.create_pipeline(),
            "pretraining": pretraining.create_pipeline(),
            "search": search.create_pipeline(stages) + create_base(stages),
            "sweep": sweep.create_pipeline(points, stages) + create_base(stages),
        },
        _absent(sources, stages, tracks),
    )


def _second_track(tracks: Tracks) -> dict[str, Pipeline]:
    """The pipelines of the second track by name, empty where the experiment has none of its kind."""
    nothing = Pipeline([])
    return {
        "retrieval": retrieval.create_pipeline(tracks.retrieval) if tracks.retrieval else nothing,
        "judge": judge.create_pipeline(tracks.judge, people=tracks.ratings) if tracks.judge else nothing,
        "rating_sheets": people.create_sheets_pipeline() if tracks.sheets and not tracks.ratings else nothing,
        "ratings": people.create_ratings_pipeline() if tracks.ratings else nothing,
        "divergence": divergence.create_pipeline(tracks.judge is not None, tracks.ratings)
        if tracks.divergence
        else nothing,
    }


def _absent(sources: Sources, stages: Stages, tracks: Tracks) -> dict[str, str]:
    """Pipelines without a node in this experiment, with the reason and the way out as a sentence."""
    reasons = absent_pipelines(stages) | absent_tracks(tracks)
    if not (sources.pairs or sources.generator):
        reasons |= dict.fromkeys(
            ("__default__", "training", "evaluation", "reporting", "sweep", "search", "latency"),
            "none of data_engineering.corpora gives question-answer pairs; run --pipelines=data_engineering"
            ",continued_pretraining, add a corpus of pairs, or set data_engineering.question_generation.",
        )
    if not sources.benchmarks:
        reasons["benchmarks"] = "data_engineering.benchmarks names no corpus; add the exams to ask."
    return reasons


def _data_engineering(sources: Sources) -> Pipeline:
    """Raw corpora to splits, and to pairs written from passages where a generator is named."""
    pipeline = data_engineering.create_pipeline(sources)
    if sources.generator:
        pipeline += question_generation.create_pipeline(local=sources.generator == "local")
    return pipeline
