"""Sweeps and black-box optimisation: what an experiment may set."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from med_lora.parameters.base import Parameters, PositiveInt

Setting = bool | int | float | str | None
Objective = Literal["validation_loss", "rouge_l", "bleu", "token_f1"]


class SweepParams(Parameters):
    """A grid of settings, each point a namespace of its own."""

    grid: dict[str, list[Setting]] = Field(
        description="values by the setting's key, such as training.lora.r: [16, 32, 64]; empty for no sweep"
    )
    design: Literal["full", "one_at_a_time"] = Field(
        description="every combination, or every value with the others as the experiment has them"
    )
    objective: Objective = Field(description="figure on the validation pairs by which points are ranked")

    @model_validator(mode="after")
    def _values_differ(self) -> SweepParams:
        for key, values in self.grid.items():
            if not values:
                raise ValueError(f"grid.{key} has no value; give a list of them, or leave the key out")
            # 1, 1.0 and true are equal to Python and not to a setting
            if len({(type(value), value) for value in values}) < len(values):
                raise ValueError(f"grid.{key} names a value twice")
        return self


class SearchSpace(Parameters):
    """Values that one setting may take: a choice, or a range."""

    choices: list[Setting] | None = Field(default=None, min_length=1, description="one of these")
    low: int | float | None = Field(default=None, description="least value of a range; whole numbers if both ends are")
    high: int | float | None = Field(default=None, description="greatest value of a range, included")
    log: bool = Field(default=False, description="draw the logarithm of a range evenly")

    @model_validator(mode="after")
    def _is_choice_or_range(self) -> SearchSpace:
        is_range = self.low is not None and self.high is not None
        if (self.choices is not None) == is_range or (self.choices is not None and self.log):
            raise ValueError("give either choices, or low and high (and log)")
        if (
            self.low is not None
            and self.high is not None
            and not (self.low < self.high and (not self.log or self.low > 0))
        ):
            raise ValueError("low must be less than high, and above 0 with log")
        return self


class SearchParams(Parameters):
    """Black-box optimisation over training and inference settings (Akiba et al. 2019, arXiv:1907.10902)."""

    space: dict[str, SearchSpace] = Field(description="by the setting's key; empty for no search")
    objective: Objective = Field(description="figure on the validation pairs that is optimised")
    trials: PositiveInt = Field(
        description="settings tried in the study (finished, pruned or failed), over all workers and runs"
    )
    sampler: Literal["tpe", "random"] = Field(
        description="how the next settings are drawn: by a tree-structured Parzen estimator of those with a good "
        "figure (Bergstra et al. 2011; multivariate, Watanabe 2023, arXiv:2304.11127), or evenly"
    )
    startup_trials: Annotated[int, Field(ge=0)] = Field(
        description="first trials, drawn at random and never pruned; a run stops if its first so many all fail"
    )
    prune: bool = Field(
        description="stop a trial whose least validation loss is above the median that earlier ones had at the same "
        "validation (Golovin et al. 2017)"
    )
    storage: str | None = Field(
        description="database URL that workers share, with $NAME for what an environment variable holds, such as the "
        "password; null for a sqlite file of the experiment"
    )
    seed: int = Field(description="seed of the sampler")
