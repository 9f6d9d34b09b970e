"""Agreement among raters: Krippendorff's alpha, weighted kappa, and intraclass correlations.

Every coefficient is a function of sums over units, so that its interval is a cluster bootstrap of these sums. A
coefficient that does not exist is NaN: agreement is measured against the disagreement that chance or the units would
make, and where there is none (a single rater, one unit, ratings that are all equal) nothing was shown. In particular
raters who give every unit the same rating do not reach 1.

The pipelines use the ordinal and the nominal alpha, the quadratic kappa and ICC(2); the other levels, weights and forms
are there because the published examples that the tests rest on have them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from med_lora.statistics.resampling import Estimate, Floats, resample

Level = Literal["nominal", "ordinal", "interval"]
Weights = Literal["linear", "quadratic"]
Form = Literal["1", "2", "3"]


class Sums(NamedTuple):
    """A coefficient as what is summed over units, and how it follows from the sums.

    Attributes:
        units: [units, sums].
        coefficient: of the sums of many samples, [samples, sums], to [samples]; NaN where it does not exist.
    """

    units: Floats
    coefficient: Callable[[Floats], Floats]

    @property
    def value(self) -> float:
        """The coefficient of all units."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(self.coefficient(self.units.sum(axis=0, keepdims=True))[0])


def alpha_sums(ratings: npt.ArrayLike, level: Level = "ordinal") -> Sums:
    """Krippendorff's (2011, "Computing Krippendorff's Alpha-Reliability") alpha, from coincidences of ratings.

    It is 1 for full agreement, 0 for that of chance, and below 0 for systematic disagreement.

    Every pair of ratings of a unit with m of them counts 1 / (m - 1); alpha = 1 - observed / expected disagreement.
    Units with one rating say nothing about agreement and are left out. NaN without two ratings of a unit, or where all
    ratings of such units are equal: then no disagreement was to be expected.

    Args:
        ratings: [units, raters] of numbers, NaN where missing.
        level: of measurement: ratings differ or not ("nominal"), by the ratings that lie between them ("ordinal"), or
            by their distance ("interval"); the squared differences of the source.
    """
    table = np.asarray(ratings, dtype=np.float64)
    values = np.unique(table[~np.isnan(table)])
    counts = (
        np.stack([(table == value).sum(axis=1) for value in values], axis=1, dtype=np.float64, casting="unsafe")
        if len(values)
        else np.zeros((len(table), 0))
    )
    rated = counts.sum(axis=1)
    pairs = counts[:, :, None] * counts[:, None, :]
    places = np.arange(len(values))
    pairs[:, places, places] -= counts
    with np.errstate(divide="ignore", invalid="ignore"):
        coincidences = np.where((rated >= 2)[:, None, None], pairs / (rated - 1)[:, None, None], 0.0)
    width = len(values)

    def coefficient(sums: Floats) -> Floats:
        observed = sums.reshape(len(sums), width, width)
        totals = observed.sum(axis=2)
        apart = _squared_differences(values, totals, level)
        expected = (totals[:, :, None] * totals[:, None, :] * apart).sum(axis=(1, 2)) / (totals.sum(axis=1) - 1)
        return _one_less((observed * apart).sum(axis=(1, 2)), expected)

    return Sums(coincidences.reshape(len(table), width * width), coefficient)


def _squared_differences(values: Floats, totals: Floats, level: Level) -> Floats:
    """Squared differences of values in samples where they occur ``totals`` [samples, values] times."""
    if level == "nominal":
        return 1 - np.eye(len(values))[None]
    if level == "interval":
        return ((values[:, None] - values[None, :]) ** 2)[None]
    # the ratings between two values, with half of those at either end, are the distance of their middles
    middles = np.cumsum(totals, axis=1) - totals / 2
    return (middles[:, :, None] - middles[:, None, :]) ** 2


def kappa_sums(first: npt.ArrayLike, second: npt.ArrayLike, weights: Weights = "quadratic") -> Sums:
    """Cohen's (1968, doi:10.1037/h0026256) weighted kappa: 1 - disagreement / that of the same ratings by chance.

    Ratings disagree by their distance on the scale ("linear") or its square ("quadratic"), not by their places among
    the values in use. So they need not be whole: quadratic weights then give Lin's (1989, doi:10.2307/2532051)
    concordance. NaN where no unit has both ratings, or both raters give one and the same rating throughout.

    Args:
        first: [units], NaN where missing; such units are left out.
        second: [units], likewise.
        weights: of a disagreement.
    """
    pair = np.stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)], axis=1)
    values = np.unique(pair[~np.isnan(pair)])
    marks = (pair[:, :, None] == values).astype(np.float64)  # [units, raters, values]; none where missing
    width = len(values)
    apart = np.abs(values[:, None] - values[None, :]) ** (2 if weights == "quadratic" else 1)

    def coefficient(sums: Floats) -> Floats:
        table = sums.reshape(len(sums), width, width)
        left, right, units = table.sum(axis=2), table.sum(axis=1), table.sum(axis=(1, 2))
        expected = (left[:, :, None] * right[:, None, :] * apart).sum(axis=(1, 2)) / units
        return _one_less((table * apart).sum(axis=(1, 2)), expected)

    return Sums((marks[:, 0, :, None] * marks[:, 1, None, :]).reshape(len(pair), width * width), coefficient)


def _one_less(observed: Floats, expected: Floats) -> Floats:
    """1 - observed / expected, NaN where nothing is expected."""
    usable = expected > 0
    return np.where(usable, 1 - observed / np.where(usable, expected, 1.0), math.nan)


def icc_sums(ratings: npt.ArrayLike, form: Form = "2", average: bool = False) -> Sums:
    """Shrout and Fleiss's (1979, doi:10.1037/0033-2909.86.2.420) intraclass correlations, from mean squares.

    NaN for fewer than two raters or units with all ratings, and where ratings do not vary (of the average: where the
    means of the units do not).

    Args:
        ratings: [units, raters]; a unit with a missing rating (NaN) is left out.
        form: "1" where each unit has raters of its own, "2" where the raters are a sample and their leniency counts as
            disagreement, "3" where they are all that matter and it does not.
        average: of the mean of these raters ("1,k" and so on), not of a single one.
    """
    table = np.asarray(ratings, dtype=np.float64)
    complete = np.asarray(~np.isnan(table).any(axis=1))
    rated = table[complete] if complete.any() else np.zeros((1, max(table.shape[1], 1)))
    centred = np.where(complete[:, None], table - rated.mean(), 0.0)  # so that sums of squares do not cancel
    means = centred.mean(axis=1, keepdims=True) if centred.shape[1] else np.zeros((len(table), 1))
    units = np.hstack([complete[:, None], centred, (centred**2).sum(axis=1, keepdims=True), means**2])
    # what rounding leaves of a mean square of 0
    rounding = max((1e-9 * np.abs(rated).max()) ** 2, 1e-12 * rated.var())

    def coefficient(sums: Floats) -> Floats:
        return _shrout_fleiss(sums, form, average, rounding)

    return Sums(units, coefficient)


def _shrout_fleiss(sums: Floats, form: Form, average: bool, rounding: float) -> Floats:
    """The coefficient from units, the sum of each rater, and the sums of squared ratings and of squared unit means."""
    units, columns, squares, means = sums[:, 0], sums[:, 1:-2], sums[:, -2], sums[:, -1]
    raters = columns.shape[1]
    if raters < 2:
        return np.full(len(sums), math.nan)
    units = np.where(units >= 2, units, math.nan)
    correction = columns.sum(axis=1) ** 2 / (units * raters)
    of_raters = (columns**2).sum(axis=1) / units - correction
    of_errors = squares - raters * means - of_raters
    between = _clean((raters * means - correction) / (units - 1), rounding)
    leniency = _clean(of_raters / (raters - 1), rounding)
    error = _clean(of_errors / ((units - 1) * (raters - 1)), rounding)
    within = _clean((of_raters + of_errors) / (units * (raters - 1)), rounding)
    noise = within if form == "1" else error
    bias = (leniency - error) / units if form == "2" else np.zeros(len(sums))
    total = between + bias if average else between + (raters - 1) * noise + raters * bias
    usable = total > 0
    return np.where(usable, (between - noise) / np.where(usable, total, 1.0), math.nan)


def _clean(squares: Floats, rounding: float) -> Floats:
    return np.where(squares <= rounding, 0.0, squares)


def resample_agreement(sums: Sums, groups: npt.ArrayLike, samples: int, seed: int) -> Estimate:
    """The coefficient and its draws of a cluster bootstrap over groups of units (Field and Welsh 2007).

    NaN for fewer than two groups.

    Args:
        sums: as the functions above return them.
        groups: [units], the group of each.
        samples: resamples.
        seed: of the draws.
    """
    if not sums.units.size:
        return Estimate(math.nan, np.full(samples, math.nan))
    columns = pd.MultiIndex.from_product([[""], [str(place) for place in range(sums.units.shape[1])]])
    units = pd.DataFrame(sums.units, columns=columns)
    over = resample(units, pd.Series(np.asarray(groups)), samples, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = sums.coefficient(over.draws)
    return Estimate(sums.value if over.groups >= 2 else math.nan, draws)
