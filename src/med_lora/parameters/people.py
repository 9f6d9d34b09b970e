"""People who rate answers: what an experiment may set."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from med_lora.parameters.base import Parameters
from med_lora.parameters.rubric import AxisParams, check_axes

_RATER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class PeopleParams(Parameters):
    """Blind ratings by people: who rates, what, and by which axes."""

    raters: list[str] = Field(description="a code for each rater, which names their sheet; empty for no people")
    rated: bool = Field(description="sheets have come back: their ratings enter divergence and report")
    items: Annotated[int, Field(ge=2)] = Field(description="test pairs drawn by `seed`; all where there are fewer")
    preference: bool = Field(description="also ask which of the base's and the tuned arm's answers is better")
    axes: list[AxisParams] = Field(min_length=1, description="axes from 1 to 5")
    seed: Annotated[int, Field(ge=0)] = Field(description="seed of the draw of pairs, and of each rater's order")

    _axes = field_validator("axes")(check_axes)

    @field_validator("raters")
    @classmethod
    def _are_codes(cls, raters: list[str]) -> list[str]:
        for rater in raters:
            if not _RATER.fullmatch(rater):
                raise ValueError(f"{rater!r} is no code of letters, digits, _ and -")
        if len({rater.lower() for rater in raters}) < len(raters):
            raise ValueError("names a rater twice")
        return raters

    @model_validator(mode="after")
    def _somebody_rated(self) -> PeopleParams:
        if self.rated and not self.raters:
            raise ValueError("rated is true and raters names nobody")
        return self
