"""Question-answer pairs written by a language model from passages: what an experiment may set."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from med_lora.parameters.base import Parameters, PositiveInt
from med_lora.parameters.llm import EndpointParams, SamplingParams

AnswerLength = Literal["long", "short"]


class QuestionGenerationParams(Parameters):
    """Pairs from passages (study E): who writes them, how many, and what the evidence must be."""

    endpoint: EndpointParams | None = Field(description="server that is asked; null asks the local `question_model`")
    sampling: SamplingParams
    answers: list[AnswerLength] = Field(
        min_length=1, description="lengths of the reference answers; each is one request a passage"
    )
    pairs_per_passage: PositiveInt = Field(description="pairs asked for in one request")
    max_passages: PositiveInt | None = Field(description="passages used, drawn by sampling.seed; null uses all")
    min_evidence_words: PositiveInt = Field(
        description="shortest quotation from the passage, in words, that grounds a pair"
    )

    @field_validator("answers")
    @classmethod
    def _are_distinct(cls, answers: list[AnswerLength]) -> list[AnswerLength]:
        if len(set(answers)) < len(answers):
            raise ValueError("names a length twice")
        return answers
