"""Which tracks an experiment evaluates in besides scores of text: passages, judge, people, exams, seconds, a study."""

from __future__ import annotations

from typing import NamedTuple

from med_lora.errors import InputError
from med_lora.parameters import ProjectParams
from med_lora.pipelines.judge.pipeline import Kind
from med_lora.pipelines.retrieval.pipeline import RetrievalPlan, retrieval_plan_of


class Tracks(NamedTuple):
    """The plan of an experiment's second track; the default is none.

    Attributes:
        retrieval: how the passages are found that the arms are also asked with; None without passages.
        judge: whether a language model judges the answers: one behind an endpoint, a local one of its own, or the
            experiment's base model.
        sheets: whether rating sheets are made.
        ratings: whether ratings have come back.
        benchmarks: whether the evaluation asks exams.
        latency: whether the evaluation measures how long an answer takes.
        study: whether the run stands beside a published study.
        probes: whether every arm is asked fixed questions.
    """

    retrieval: RetrievalPlan | None = None
    judge: Kind | None = None
    sheets: bool = False
    ratings: bool = False
    benchmarks: bool = False
    latency: bool = False
    study: bool = False
    probes: bool = False

    @property
    def divergence(self) -> bool:
        """Whether there is a track to compare lexical scores with."""
        return self.judge is not None or self.ratings


# For commands that have no experiment, such as `kedro registry list`.
DEFAULT_TRACKS = Tracks()


def tracks_of(parameters: ProjectParams) -> Tracks:
    """The tracks of an experiment.

    Raises:
        InputError: if passages are to be indexed and no corpus gives any, or exams are to be asked and none is named.
    """
    judge, people = parameters.judge, parameters.people
    kind: Kind | None = None
    if judge.enabled:
        kind = "remote" if judge.endpoint else "local" if judge.local else "base"
    benchmarks = parameters.evaluation.benchmarks
    if benchmarks and not parameters.data_engineering.benchmarks:
        raise InputError(
            "evaluation.benchmarks is true and data_engineering.benchmarks names no exam; name the corpora to ask, or "
            "set it to false."
        )
    retrieval = retrieval_plan_of(parameters)
    beside_study, seconds = parameters.study is not None, parameters.latency.enabled
    asked = bool(parameters.probes)
    return Tracks(retrieval, kind, bool(people.raters), people.rated, benchmarks, seconds, beside_study, asked)


def absent_tracks(tracks: Tracks) -> dict[str, str]:
    """Pipelines that have no node in this plan, with the reason and the way out as a sentence."""
    reasons = {}
    if tracks.retrieval is None:
        reasons["retrieval"] = "retrieval.enabled is false; set it to true."
    if tracks.judge is None:
        reasons["judge"] = "judge.enabled is false; set it to true."
    if not tracks.sheets:
        reasons["rating_sheets"] = "people.raters names nobody; name a code for each rater."
    elif tracks.ratings:
        reasons["rating_sheets"] = "people.rated is true, so the sheets are out; set it to false to make new ones."
    if not tracks.ratings:
        reasons["ratings"] = "people.rated is false; set it to true once sheets have come back."
    if not tracks.divergence:
        reasons["divergence"] = "there is neither a judge nor ratings; set judge.enabled or people.rated to true."
    return reasons
