"""The arms of an evaluation: two models, each asked without and with passages."""

from __future__ import annotations

from typing import Literal

BARE_ARMS = ("base", "tuned")
RAG_ARMS = ("base_rag", "tuned_rag")  # the same models in the same order, given passages with each question
ARMS = BARE_ARMS + RAG_ARMS
# Null controls that copy the passages, and so are no rivals of arms that were given none.
PASSAGE_CONTROLS = ("retrieved_passage", "retrieved_passage_matched")


def model_of(arm: str) -> Literal["base", "tuned"]:
    """The model that answers in one of ``ARMS``."""
    return "tuned" if arm in ("tuned", "tuned_rag") else "base"
