"""Comparison and report: what an experiment may set."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from med_lora.parameters.base import Fraction, Parameters, PositiveInt


class EvaluationParams(Parameters):
    """Comparison of the base and the tuned model on the test pairs."""

    max_new_tokens: PositiveInt = Field(description="tokens generated per answer at most")
    confidence: Fraction = Field(description="level of the intervals")
    exclude: list[Literal["answer_cut", "answer_empty"]] = Field(
        description="answers of either arm that leave the pair out of the text metrics: at the length limit, empty"
    )
    bootstrap_samples: PositiveInt = Field(description="resamples of the cluster bootstrap over groups")
    seed: Annotated[int, Field(ge=0)] = Field(description="seed of the bootstrap and of the shuffled control")


class ReportingParams(Parameters):
    """The report."""

    examples: Annotated[int, Field(ge=0)] = Field(description="test questions shown with the answers of every arm")
