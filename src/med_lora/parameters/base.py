"""What all parameter models share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

PositiveInt = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
FilledText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Parameters(BaseModel):
    """Base of all parameter models: immutable, strict about keys and types (``true`` is no rank, "8" no number)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
