"""The passages for a question: the saved index where it fits the settings, else one that is built in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from med_lora.datasets.encoder import MissingEncoderError
from med_lora.errors import InputError
from med_lora.parameters import RetrievalParams
from med_lora.pipelines.data_engineering.sources import sources_of
from med_lora.pipelines.retrieval.sources import select_passages
from med_lora.project import Project
from med_lora.retrieval.context import Grounded, ground
from med_lora.retrieval.encoding import LoadedEncoder
from med_lora.retrieval.index import OtherIndexError, Retriever, build_index, hash_passages, open_encoder

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PassageFinder:
    """What finds passages, and the passages by id."""

    retriever: Retriever
    passages: pd.DataFrame
    retrieval: RetrievalParams

    def ground(self, question: str, count_tokens: Callable[[str], int], room: int) -> Grounded:
        """The question with its passages as the arms with retrieval are asked it; see :func:`ground`."""
        (hits,) = self.retriever.search([question])
        return ground(question, [hit.passage for hit in hits], self.passages, self.retrieval, count_tokens, room)


def open_passages(project: Project, say: Callable[[str], None]) -> PassageFinder:
    """What the experiment would search; ``say`` is told in a line if an index has to be built.

    Raises:
        InputError: if the encoder or what would be indexed is missing, or the encoder's weights are not the expected
            ones.
    """
    retrieval, hardware = project.parameters.retrieval, project.parameters.hardware
    try:
        handle = None if retrieval.method == "bm25" else project.load("retrieval_encoder")
        encoder = open_encoder(retrieval, hardware, handle)
    except MissingEncoderError as error:
        reason = str(error).rstrip(".")
        raise InputError(f"{reason}; or ask without passages: --arms base,tuned.") from error
    passages = _select(project)
    retriever = _search_saved(project, passages, encoder, say)
    if retriever is None:
        retriever = Retriever(build_index(passages, retrieval, hardware, encoder), retrieval, hardware, encoder)
    return PassageFinder(retriever, passages.set_index("id"), retrieval)


def _search_saved(
    project: Project, passages: pd.DataFrame, encoder: LoadedEncoder | None, say: Callable[[str], None]
) -> Retriever | None:
    """A search in the saved index, if it is of ``passages`` and of the settings; else why not is said."""
    if not project.catalog.exists("passage_index"):
        say("Building the index of passages in memory, since none is saved.")
        return None
    saved = project.load_saved("passage_index")
    try:
        retriever = Retriever(saved, project.parameters.retrieval, project.parameters.hardware, encoder)
    except OtherIndexError:
        say("Building the index of passages in memory, since the saved one was made with other settings.")
        return None
    if saved.described.get("passages_sha256") != hash_passages(passages):
        say("Building the index of passages in memory, since the saved one holds other passages than there are now.")
        return None
    return retriever


def _select(project: Project) -> pd.DataFrame:
    sources = project.parameters.retrieval.sources
    train = project.load_saved("train") if "training_answers" in sources else None
    has_passages = "passages" in sources and sources_of(project.parameters).passages
    passages = project.load_saved("passages") if has_passages else None
    return select_passages(project.load_saved("test"), project.parameters.retrieval, train, passages)[0]
