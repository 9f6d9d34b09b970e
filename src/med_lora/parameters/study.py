"""Published studies: their figures, and what is wrong with some of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from med_lora.parameters.base import Parameters


class PublishedParams(Parameters):
    """One figure as a study prints it."""

    quantity: str = Field(
        min_length=1,
        description="what this project calls it: a metric (bleu, rougeL, perplexity, judge_accuracy), or a loss at an "
        "optimiser step (train_loss@100, validation_loss@300), or seconds (answer_seconds)",
    )
    system: str = Field(min_length=1, description="model or arm as the study names it")
    arm: Literal["base", "tuned", "base_rag", "tuned_rag"] = Field(description="the arm of this project that it is of")
    value: float = Field(description="the figure, in the unit of the quantity here")
    printed: str = Field(min_length=1, description="the figure as it is printed, with its unit")
    n: Annotated[int, Field(gt=0)] | None = Field(description="items it rests on; null where the study does not say")
    p_value: Annotated[float, Field(ge=0.0, le=1.0)] | None = Field(
        description="of the comparison with the base model, as printed; null for none"
    )
    impossible: str = Field(description="why it cannot be right as printed, one sentence; empty if it can")


class StudyParams(Parameters):
    """A published study that an experiment runs again."""

    title: str = Field(min_length=1, description="what it is called")
    citation: str = Field(min_length=1, description="authors, year and where it appeared")
    shape: Literal["side_by_side", "models", "tracks", "losses", "ranks"] = Field(
        description="the form of its main table: answers of the arms side by side, a row a model, a row a metric of "
        "two tracks, losses by step, a row a rank"
    )
    differences: list[str] = Field(description="what it did otherwise than this project does, one sentence each")
    faults: list[str] = Field(description="where its method proves less than it claims, one sentence each")
    published: list[PublishedParams] = Field(description="its figures")
