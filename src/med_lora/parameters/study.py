"""Published studies: their figures and settings, and what is wrong with some of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from med_lora.parameters.base import Parameters

ALL_SYSTEMS = "all"
# A setting as a study states it; a list holds the values that it tried, or the names that the same thing goes by.
Setting = str | int | float | bool | list[str] | list[int] | list[float]


class PublishedParams(Parameters):
    """One figure as a study prints it."""

    quantity: str = Field(
        min_length=1,
        description="what this project calls it: a metric (bleu, perplexity, judge_accuracy), its largest value of a "
        "question (rouge1_max), a change (bleu_difference, bleu_gain as a fraction), a loss at an optimiser step "
        "(train_loss@100), a fact about the answer to one question (refusal@3), or a count or time of its own "
        "(answer_seconds, training_steps)",
    )
    system: str = Field(min_length=1, description="model as the study names it, a key of systems; all for every one")
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
    systems: dict[str, dict[str, Setting]] = Field(
        min_length=1, description="its models as it names them, each with the settings that it has for itself"
    )
    settings: dict[str, Setting] = Field(
        description="the settings that it states, under this project's keys; `corpora` holds titles"
    )
    definitions: dict[str, str] = Field(
        description="how it computes a quantity, where it says so or its text shows it; `p_value` for its test"
    )
    differences: list[str] = Field(description="what it did otherwise than this project does, one sentence each")
    faults: list[str] = Field(description="where its method proves less than it claims, one sentence each")
    published: list[PublishedParams] = Field(description="its figures")

    @model_validator(mode="after")
    def _systems_are_known(self) -> StudyParams:
        from med_lora.errors import nearest

        for figure in self.published:
            if figure.system not in (ALL_SYSTEMS, *self.systems):
                raise ValueError(
                    f"published names the system {figure.system!r}, which systems does not hold"
                    f"{nearest(figure.system, self.systems)}"
                )
        return self

    def figures_of(self, system: str) -> list[PublishedParams]:
        """The figures of one system, those of all systems with them; every figure for an empty name."""
        return [figure for figure in self.published if not system or figure.system in (system, ALL_SYSTEMS)]
