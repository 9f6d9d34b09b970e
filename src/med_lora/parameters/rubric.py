"""What answers are rated by, whoever rates them: axes from 1 to 5, and criteria with points."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from med_lora.parameters.base import Parameters

_NAME = re.compile(r"[a-z][a-z0-9_]*")
SCALE = range(1, 6)


class AxisParams(Parameters):
    """One axis of a rubric; 5 is the best."""

    name: str = Field(description="as in tables, in small letters")
    question: str = Field(min_length=1, description="what a rater decides")
    anchors: dict[int, str] = Field(description="what a score means; at least 1 and 5")

    @model_validator(mode="after")
    def _has_ends(self) -> AxisParams:
        if not _NAME.fullmatch(self.name):
            raise ValueError("the name of an axis consists of small letters, digits and _")
        if not {SCALE[0], SCALE[-1]} <= set(self.anchors) <= set(SCALE):
            raise ValueError("anchors must say what 1 and 5 mean, and may say it of 2 to 4")
        return self


class CriterionParams(Parameters):
    """One criterion of a rubric with points (Arora et al. 2025, arXiv:2505.08775)."""

    text: str = Field(min_length=1, description="what an answer does, or must not do, as a statement")
    points: Annotated[int, Field(ge=-10, le=10)] = Field(description="points if it does; below 0 for harm")

    @field_validator("points")
    @classmethod
    def _counts(cls, points: int) -> int:
        if points == 0:
            raise ValueError("must not be 0")
        return points


def check_axes(axes: list[AxisParams]) -> list[AxisParams]:
    """Refuse axes of the same name."""
    names = [axis.name for axis in axes]
    if len(set(names)) < len(names):
        raise ValueError("two axes have the same name")
    return axes


def check_criteria(criteria: list[CriterionParams]) -> list[CriterionParams]:
    """Refuse criteria whose points no answer could earn."""
    if criteria and not any(criterion.points > 0 for criterion in criteria):
        raise ValueError("one criterion at least must have points above 0, or no score exists")
    return criteria
