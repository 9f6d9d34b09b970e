"""Passages given to a model with a question: what an experiment may set."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from med_lora.parameters.base import Parameters, PositiveInt

_SHA256 = re.compile(r"[0-9a-f]{64}")


class RetrievalEncoderParams(Parameters):
    """The sentence encoder that questions and passages are compared by."""

    id: str = Field(
        min_length=1,
        description="folder of a sentence encoder, `package:NAME/FOLDER` for a folder within an installed Python "
        "package, or an id on the Hugging Face hub",
    )
    revision: str | None = Field(description="commit of the hub model; null for a folder")
    sha256: str | None = Field(description="SHA-256 that its model.safetensors must have; null accepts any")
    query_prompt: str = Field(
        description="text in front of every question, as Instructor and E5 want it; empty for none"
    )
    passage_prompt: str = Field(description="text in front of every passage")
    pool_prompt: bool = Field(description="whether the tokens of the prompt count in the pooling; Instructor's do not")

    @field_validator("sha256")
    @classmethod
    def _is_a_hash(cls, sha256: str | None) -> str | None:
        if sha256 is not None and not _SHA256.fullmatch(sha256):
            raise ValueError("is no SHA-256: 64 digits from 0 to f, in small letters")
        return sha256


class RetrievalParams(Parameters):
    """Passages for questions: where they come from, how they are found, how many a model is given."""

    enabled: bool = Field(
        description="evaluate two further arms, base_rag and tuned_rag, which are given passages with each question"
    )
    sources: list[Literal["passages", "training_answers"]] = Field(
        min_length=1, description="what is indexed: passages of documents and pages, answers of the training pairs"
    )
    hold_out_answers: bool = Field(
        description="leave out of the index every text that holds a test answer or shares 13 words in a row with one; "
        "false where the tuned model was trained on these very texts, so that both ways may know the answer"
    )
    method: Literal["fused", "dense", "bm25"] = Field(
        description="ranking by the encoder (dense), by words (bm25), or by both through reciprocal-rank fusion"
    )
    store: Literal["exact", "chroma"] = Field(
        description="what searches the encoder's embeddings: a matrix product, or Chroma (extra `chroma`)"
    )
    encoder: RetrievalEncoderParams = Field(description="the sentence encoder; bm25 needs none")
    candidates: PositiveInt = Field(
        description="passages that each ranking gives, and that retrieval is measured up to"
    )
    passages: PositiveInt = Field(description="passages given with a question at most")
    context_tokens: PositiveInt = Field(description="tokens of the model that the passages may take together")
    instruction: str = Field(description="what the model is asked, with {passages} and {question}")
    relevance: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        description="share of the reference's content words that a passage must hold to count as relevant where no "
        "corpus says which passage is; references of fewer than 15 such words count none"
    )

    @model_validator(mode="after")
    def _is_complete(self) -> RetrievalParams:
        for place in ("{passages}", "{question}"):
            if self.instruction.count(place) != 1:
                raise ValueError(f"instruction must hold {place} once")
        if self.passages > self.candidates:
            raise ValueError("passages must not be more than candidates")
        if len(set(self.sources)) < len(self.sources):
            raise ValueError("sources names one twice")
        return self
