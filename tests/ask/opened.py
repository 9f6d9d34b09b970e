"""Askers of a test's project, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from med_lora.arms import ARMS
from med_lora.ask.arms import Asker, Reply, open_asker
from med_lora.pipelines.retrieval.sources import select_passages
from med_lora.project import Project
from med_lora.retrieval.index import PassageIndex, build_index

MakeProject = Callable[..., Project]


def open_quietly(project: Project, arms: Sequence[str] = ARMS) -> tuple[Asker, list[str]]:
    said: list[str] = []
    return open_asker(project, arms, said.append), said


def final_replies(asker: Asker, question: str) -> dict[str, Reply]:
    return {event.arm: event for event in asker.ask(question) if isinstance(event, Reply) and event.finish_reason}


def index_of(project: Project) -> PassageIndex:
    given, load = project.parameters, project.catalog.load
    chosen, _ = select_passages(load("test"), given.retrieval, load("train"), load("passages"))
    return build_index(chosen, given.retrieval, given.hardware)
