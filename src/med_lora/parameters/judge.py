"""A language model as a judge of answers: what an experiment may set."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from med_lora.parameters.base import Parameters, PositiveInt
from med_lora.parameters.llm import EndpointParams, SamplingParams
from med_lora.parameters.rubric import AxisParams, CriterionParams, check_axes, check_criteria

Price = Annotated[float, Field(ge=0.0)]


class PriceParams(Parameters):
    """What an endpoint costs."""

    currency: str = Field(min_length=1, description="as in the report")
    prompt: Price = Field(description="price of a million tokens read")
    completion: Price = Field(description="price of a million tokens written")


class LocalJudgeParams(Parameters):
    """A judge of this machine."""

    id: str = Field(min_length=1, description="folder of a causal language model, or its id on the Hugging Face hub")
    revision: str | None = Field(description="commit of the hub model; null for a folder")


class JudgeParams(Parameters):
    """A language model that rates the answers, blind to the arms, and what is checked about it."""

    enabled: bool = Field(description="have the answers of the arms judged")
    endpoint: EndpointParams | None = Field(description="server that is asked; null asks `local`")
    local: LocalJudgeParams | None = Field(
        description="the judge where there is no endpoint; null for the experiment's own base model"
    )
    sampling: SamplingParams
    items: Annotated[int, Field(ge=2)] = Field(description="test pairs drawn by `seed`; all where there are fewer")
    repeats: PositiveInt = Field(description="times each question to the judge is asked, each with a seed of its own")
    preference: bool = Field(
        description="also ask which of the base's and the tuned arm's answers is better, in both orders"
    )
    axes: list[AxisParams] = Field(description="axes from 1 to 5, each asked in a call of its own")
    criteria: list[CriterionParams] = Field(description="criteria with points for every question; empty for none")
    item_criteria: dict[str, list[CriterionParams]] = Field(description="further criteria of a test pair, by its id")
    price: PriceParams | None = Field(description="price of the endpoint's tokens; null where they cost nothing")
    max_cost: Price | None = Field(
        description="in `price.currency`: a higher forecast stops the run before its first call, higher costs before "
        "the next one; null for no limit"
    )
    seed: Annotated[int, Field(ge=0)] = Field(description="seed of the draw of pairs")

    _axes = field_validator("axes")(check_axes)
    _criteria = field_validator("criteria")(check_criteria)

    @field_validator("axes")
    @classmethod
    def _names_are_free(cls, axes: list[AxisParams]) -> list[AxisParams]:
        for axis in axes:
            if axis.name in ("criteria", "preference"):
                raise ValueError(f"{axis.name} is the name of another of the judge's metrics; rename the axis")
        return axes

    @model_validator(mode="after")
    def _has_something_to_judge(self) -> JudgeParams:
        if self.enabled and not (self.axes or self.criteria or self.item_criteria or self.preference):
            raise ValueError("name axes or criteria, or set preference to true: there is nothing to judge by")
        if self.max_cost is not None and self.price is None:
            raise ValueError("max_cost needs price")
        return self
