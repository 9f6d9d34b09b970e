"""Comparison and report: what an experiment may set."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from med_lora.parameters.base import Fraction, Parameters, PositiveInt


class DecodingParams(Parameters):
    """How a model's answer is drawn from its probabilities; both arms share it."""

    max_new_tokens: PositiveInt = Field(description="tokens generated per answer at most")
    temperature: Annotated[float, Field(ge=0.0)] = Field(
        description="divides the logits before an answer is sampled; 0 takes the most probable token (greedy)"
    )
    top_k: PositiveInt | None = Field(description="sample among so many most probable tokens; null for all")
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        description="sample among the most probable tokens that hold this probability together "
        "(Holtzman et al. 2020, arXiv:1904.09751)"
    )
    repetition_penalty: Annotated[float, Field(ge=1.0)] = Field(
        description="lowers the logits of tokens that the answer already holds (Keskar et al. 2019, arXiv:1909.05858); "
        "1 does not"
    )
    seed: Annotated[int, Field(ge=0)] = Field(description="seed of sampled answers")


class EvaluationParams(Parameters):
    """Comparison of the base and the tuned model on the test pairs."""

    decoding: DecodingParams
    confidence: Fraction = Field(description="level of the intervals")
    exclude: list[Literal["answer_cut", "answer_empty"]] = Field(
        description="answers of either arm that leave the pair out of the text metrics: at the length limit, empty"
    )
    bootstrap_samples: PositiveInt = Field(description="resamples of the cluster bootstrap over groups")
    seed: Annotated[int, Field(ge=0)] = Field(description="seed of the bootstrap and of the shuffled control")


class ReportingParams(Parameters):
    """The report."""

    examples: Annotated[int, Field(ge=0)] = Field(description="test questions shown with the answers of every arm")
