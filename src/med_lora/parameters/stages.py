"""Continued pre-training before instruction tuning, and merging: what an experiment may set."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from med_lora.parameters.base import Fraction, Parameters
from med_lora.parameters.model import LoraParams, OptimisationParams


class ContinuedPretrainingParams(Parameters):
    """A first stage on the passages' plain text (study E); the second is instruction tuning."""

    enabled: bool = Field(description="whether the stage takes place")
    block_length: Annotated[int, Field(ge=2)] = Field(
        description="tokens in one training row; passages follow one another"
    )
    validation_fraction: Fraction = Field(
        description="part of the passages held out for the validation loss, in whole chapters where there are several"
    )
    handover: Literal["adapter", "merged"] = Field(
        description="instruction tuning goes on with the same adapter, or starts a new one on the merged model"
    )
    lora: LoraParams
    optimisation: OptimisationParams


class MergingParams(Parameters):
    """Adapter and base model as one."""

    dtype: Literal["fp32", "bf16", "fp16"] = Field(description="type of the merged weights on disk")
    tolerance: Annotated[float, Field(gt=0)] = Field(
        description="largest difference of a log-probability between merged and unmerged model, in nats"
    )
