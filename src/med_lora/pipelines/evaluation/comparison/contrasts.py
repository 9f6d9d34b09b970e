"""The numbers of one metric in one contrast of two arms: what each reaches, how they differ, what that rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from med_lora.metrics.definition import Metric
from med_lora.parameters import EvaluationParams
from med_lora.statistics.paired import mann_whitney_p, rank_biserial, wilcoxon_p
from med_lora.statistics.power import detectable, fewest_groups, pairs_needed
from med_lora.statistics.resampling import ROUNDING, Column, Estimate, Floats, Resamples

GOLD = "gold"  # the references as an arm of their own
# Metrics that are ratios of two sums over pairs, and no means of scores.
LOSS_RATIOS = {
    "perplexity": ("nll", "tokens"),
    "cross_entropy": ("nll", "tokens"),
    "bits_per_byte": ("nll", "answer_bytes"),
}


class Contrast(NamedTuple):
    """Two arms on the same pairs."""

    reference: str
    arm: str


TUNING = Contrast("base", "tuned")
# What passages add to each model, what tuning adds where both are given them, and what both add together.
RETRIEVAL = (
    Contrast("base", "base_rag"),
    Contrast("tuned", "tuned_rag"),
    Contrast("base_rag", "tuned_rag"),
    Contrast("base", "tuned_rag"),
)


@dataclass(frozen=True)
class Measured:
    """One metric on the pairs that count for it.

    Attributes:
        metric: the metric.
        contrast: the arms.
        values: scores and losses of those pairs, [pairs] for every (arm, quantity).
        members: number of the group of each pair, counted by their first pairs, [pairs].
        over: resamples of the same pairs.
    """

    metric: Metric
    contrast: Contrast
    values: Mapping[Column, Floats]
    members: npt.NDArray[np.int64]
    over: Resamples

    def estimate(self, arm: str) -> Estimate:
        """The metric of one arm."""
        name = self.metric.name
        if name not in LOSS_RATIOS:
            return self.over.mean((arm, name))
        above, below = LOSS_RATIOS[name]
        ratio = self.over.ratio((arm, above), (arm, below))
        return Estimate(float(self.in_unit(ratio.value)), self.in_unit(ratio.draws))

    def pair_values(self, arm: str) -> Floats:
        """The metric of every pair by itself."""
        columns = [self.values[column] for column in metric_columns(self.metric.name, arm)]
        return self.in_unit(columns[0] / columns[1]) if len(columns) == 2 else columns[0]

    @cached_property
    def differences(self) -> Floats:
        """What is tested: arm - reference of every group. A perplexity is compared by its logarithm, nats a token."""
        reference, arm = (self._group_values(name) for name in self.contrast)
        return even_out(arm - reference)

    def _group_values(self, arm: str) -> Floats:
        """The mean of every group, or of losses the ratio of its sums."""
        sums = [np.bincount(self.members, self.values[column]) for column in metric_columns(self.metric.name, arm)]
        return sums[0] / (sums[1] if len(sums) == 2 else np.bincount(self.members))

    def in_unit(self, values: npt.ArrayLike) -> Floats:
        """What is tested in the metric's unit: of losses, nats a token or byte."""
        tested = np.asarray(values, dtype=np.float64)
        if self.metric.name == "perplexity":
            tested = np.exp(tested)  # infinite beyond e^709
        return tested / math.log(2) if self.metric.name == "bits_per_byte" else tested


def even_out(differences: npt.ArrayLike) -> Floats:
    """Differences to ``ROUNDING``, so that those that are equal on paper tie in ranks: 3/5 - 2/5 and 1/5."""
    return np.asarray(differences, dtype=np.float64).round(-round(math.log10(ROUNDING)))


def metric_columns(name: str, arm: str) -> list[Column]:
    """The columns of the items that a metric of an arm is computed from."""
    return [(arm, quantity) for quantity in LOSS_RATIOS.get(name, (name,))]


def judged(name: str) -> Column:
    """The column that says which references have a score, for a metric that some have not: 1, else 0."""
    return GOLD, f"{name} judged"


def state_means(measured: Measured, confidence: float) -> dict[str, float]:
    """What the reference and the arm reach (``reference_mean``, ``arm_mean``), and the difference, with intervals."""
    reference, arm = (measured.estimate(name) for name in measured.contrast)
    stated: dict[str, float] = {}
    for name, estimate in (("reference", reference), ("arm", arm)):
        bounds = state(name, estimate, confidence)
        stated |= {f"{name}_mean": bounds.pop(name), **bounds}
    return stated | state("difference", arm - reference, confidence)


def state(name: str, estimate: Estimate, confidence: float) -> dict[str, float]:
    """An estimate and its interval as columns."""
    low, high = estimate.interval(confidence)
    return {name: estimate.value, f"{name}_low": low, f"{name}_high": high}


def state_gold(measured: Measured, confidence: float) -> dict[str, float]:
    """The mean over the references that have a score of their own, NaN for metrics that they are not scored by."""
    over, name = measured.over, measured.metric.name
    if (GOLD, name) not in over.columns:
        return dict.fromkeys(("gold", "gold_low", "gold_high"), math.nan)
    partly = judged(name) in over.columns
    return state("gold", over.ratio((GOLD, name), judged(name)) if partly else over.mean((GOLD, name)), confidence)


def state_ratio(measured: Measured, confidence: float) -> dict[str, float]:
    """arm / reference - 1, from the ratio of the means; NaN unless the reference is above 0, and in all resamples."""
    reference, arm = (measured.estimate(name) for name in measured.contrast)
    stated = dict.fromkeys(("ratio", "ratio_low", "ratio_high"), math.nan)
    if reference.value > ROUNDING:
        stated["ratio"] = arm.value / reference.value - 1
        if (reference.draws > ROUNDING).all():
            stated |= state("ratio", Estimate(stated["ratio"], arm.draws / reference.draws - 1), confidence)
    return stated


def run_tests(measured: Measured) -> dict[str, float]:
    """p-value of the signed-rank test; beside it, as published studies have them, an unpaired p and a mean of ratios.

    ``mean_of_ratios`` is the mean over pairs of arm / reference - 1: NaN where the reference scores 0 on some pair.
    """
    if not measured.metric.tested or measured.over.groups < 2:
        return dict.fromkeys(("p_value", "mann_whitney_p", "mean_of_ratios"), math.nan)
    reference, arm = (measured.pair_values(name) for name in measured.contrast)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float(np.mean(arm / reference - 1))
    return {
        "p_value": wilcoxon_p(measured.differences),
        "mann_whitney_p": mann_whitney_p(reference, arm),
        "mean_of_ratios": ratio if math.isfinite(ratio) else math.nan,
    }


def state_power(measured: Measured, evaluation: EvaluationParams) -> dict[str, float]:
    """The size of the effect, the smallest difference that these groups would show, and the groups that this one needs.

    Both from the standard deviation of the groups' differences, at the level 1 - confidence without Holm's correction;
    NaN where all differences are equal. A detectable change of the logarithm of a perplexity is stated as the fall from
    the reference's perplexity that it makes.
    """
    differences = measured.differences
    stated = {"rank_biserial": rank_biserial(differences), "detectable": math.nan, "pairs_needed": math.nan}
    if len(differences) < 2:
        return dict.fromkeys(stated, math.nan)
    deviation = float(differences.std(ddof=1))
    if deviation <= ROUNDING:
        return stated
    alpha = evaluation.significance_level
    smallest = detectable(len(differences), evaluation.power, alpha) * deviation
    if measured.metric.name == "perplexity" and math.isfinite(smallest):
        stated["detectable"] = measured.estimate(measured.contrast.reference).value * -math.expm1(-smallest)
    else:
        stated["detectable"] = float(measured.in_unit(smallest))
    stated["pairs_needed"] = pairs_needed(float(differences.mean()) / deviation, evaluation.power, alpha)
    return stated


def remark_on_numbers(measured: Measured, row: dict[str, float], evaluation: EvaluationParams) -> list[str]:
    """Why numbers of a row are missing, or cannot mean much; nothing where an interval is missing altogether."""
    groups, alpha = measured.over.groups, evaluation.significance_level
    if groups < 2:
        return []
    remarks = []
    if measured.metric.tested and groups < fewest_groups(alpha):
        remarks.append(f"{groups} groups cannot give p < {alpha:g} whatever the difference")
    if not math.isfinite(row["difference"]):
        remarks.append("the losses are too large for a finite perplexity")
    if measured.metric.tested and not measured.differences.any():
        remarks.append("the arms score alike in every group")
    if judged(measured.metric.name) in measured.values:
        scored = int(measured.values[judged(measured.metric.name)].sum())
        if 0 < scored < measured.over.n:
            remarks.append(f"{scored} of {measured.over.n} references have a score of their own")
    return remarks


def remark_on_ratios(measured: Measured, row: dict[str, float]) -> list[str]:
    """Why a tested metric has no relative change, or no mean of ratios."""
    if not measured.metric.tested or measured.over.groups < 2:
        return []
    reference, remarks = measured.contrast.reference, []
    if math.isnan(row["ratio"]) and row["reference_mean"] <= ROUNDING:
        remarks.append(f"the mean of {reference} is not above 0, so there is no relative change")
    elif math.isnan(row["ratio_low"]) and math.isfinite(row["difference"]):
        remarks.append(
            f"the mean of {reference} is not above 0 in some resamples, so the relative change has no interval"
        )
    none = int((measured.pair_values(reference) == 0).sum())
    if none:
        remarks.append(f"{reference} scores 0 on {none} of {measured.over.n} pairs, so a mean of ratios does not exist")
    return remarks
