"""Whether the judge can be believed: what it makes of answers whose worth is known, and what else moves its scores."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.parameters.rubric import SCALE
from med_lora.pipelines.evaluation.comparison.contrasts import TUNING
from med_lora.pipelines.judge.candidates import ASKS_FOR_5, EMPTY, GOLD, PADDED, SHUFFLED
from med_lora.pipelines.judge.orders import check_known_pair, check_orders
from med_lora.pipelines.judge.repeats import check_repeats
from med_lora.pipelines.judge.scores import CRITERIA, PREFERENCE, count_failures, list_subjects
from med_lora.pipelines.judge.verdicts import (
    COLUMNS,
    Checked,
    Expectation,
    Simultaneous,
    mean_of,
    not_measured,
    ratio_of,
)
from med_lora.report_page.records import read_records
from med_lora.statistics.correlation import spearman

# Margins as parts of a metric's scale, which spans 4 points on an axis and 1 for criteria.
WORTHWHILE = 1 / 4  # what a judge that can tell the reference from nothing, or another's, should find at least
EQUIVALENT = 1 / 8  # a smaller gain from begging or padding is none that matters
CORRELATED = 0.3  # a medium correlation (Cohen 1988)
MISSING = "missing answers"
LOST = 0.1  # of the calls
MODERATE = 0.4  # kappa (Landis and Koch 1977, doi:10.2307/2529310)
FLOORS = {"gold above empty": EMPTY, "gold above shuffled": SHUFFLED}
GAINS = {"asks for a 5": (ASKS_FOR_5, TUNING.reference), "padded": (PADDED, TUNING.arm)}
LENGTH = Expectation(
    f"Spearman's correlation below {CORRELATED:g}; a higher one proves no bias",
    (-math.inf, CORRELATED),
    (-math.inf, math.inf),
)
ANSWERED = Expectation(f"share missing below {LOST:g}", (-math.inf, LOST), (-math.inf, LOST))
AGREEMENT = Expectation(
    f"quadratic kappa above 0; fails if surely below {MODERATE:g}", (0.0, math.inf), (MODERATE, math.inf)
)


class Scored(NamedTuple):
    """The judge's scores by item.

    Attributes:
        metrics: that score an answer by itself: axes by name, then criteria.
        of: scores of every item by metric and arm, NaN where missing; none of an arm that was not judged by a metric.
        groups: of the items.
    """

    metrics: list[str]
    of: dict[tuple[str, str], pd.Series]
    groups: pd.Series

    @classmethod
    def read(cls, judge_scores: pd.DataFrame) -> Scored:
        wide = judge_scores.pivot(index="id", columns=["metric", "arm"], values="score").sort_index()
        of = {(str(name[0]), str(name[1])): wide[name] for name in wide.columns}
        names = {metric for metric, _ in of}
        metrics = [*sorted(names - {CRITERIA, PREFERENCE}), *sorted(names & {CRITERIA})]
        return cls(metrics, of, judge_scores.groupby("id")["group"].first())


def check_judge(
    judge_answers: pd.DataFrame,
    judge_scores: pd.DataFrame,
    arm_texts: pd.DataFrame,
    evaluation: EvaluationParams,
    judge_agreement: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Every check on the judge with what it found, what was expected, and the verdict that follows from the interval.

    - ``gold above empty``, ``gold above shuffled`` (floors): the score of the reference less that of no answer, and of
      the reference of another question, by axis.
    - ``known pair`` (floor of the preference): see :func:`~med_lora.pipelines.judge.orders.check_known_pair`.
    - ``order bias``, ``contradictions``: see :func:`~med_lora.pipelines.judge.orders.check_orders`.
    - ``asks for a 5``: the base's answer with a line that asks for the highest score, less the base's answer.
    - ``padded``: the tuned arm's answer said twice, less the tuned arm's answer. Length alone is changed, so a gain is
      the judge's bias.
    - ``length``: correlation, over items, of the difference of the two arms in words and in score. It cannot tell a
      bias from longer answers that are better, so it does not fail a judge.
    - ``self-consistency``: see :func:`~med_lora.pipelines.judge.repeats.check_repeats`.
    - ``missing answers``: share of the calls without a usable answer.
    - ``agreement with people``: quadratic kappa, where people have rated the same answers.

    A check passes if its interval lies where a sound judge's must, fails if it lies beyond what could be tolerated, and
    is unclear otherwise, also where there are too few independent pairs for any test at its level. Intervals hold
    together (Bonferroni) over all floors and the known pair, over all biases (``asks for a 5``, ``padded`` and both
    checks of orders), and over the subjects of every other check: so the chance that a judge without bias fails any
    check of biases is about 1 - ``evaluation.confidence`` or less.

    Args:
        judge_answers: of the judge, one row a call.
        judge_scores: as :func:`~med_lora.pipelines.judge.scores.score_judged` returns them.
        arm_texts: columns id, arm, kind, answer.
        evaluation: confidence and bootstrap.
        judge_agreement: axis, n, quadratic_kappa, low, high of judge and people; None where no one has rated.

    Returns:
        check, subject, n, value, low, high (NaN where not measured), level (of the interval by itself; NaN where there
        is none or it stands alone), expected (in words), verdict ("passed", "failed", "unclear" or "not measured") and
        note, with the reason where nothing was measured.
    """
    models = list(arm_texts.loc[arm_texts["kind"] == "model", "arm"].unique())
    scored = Scored.read(judge_scores)
    floors = Simultaneous.of(evaluation, len(FLOORS) * len(scored.metrics) + 1)
    biases = Simultaneous.of(evaluation, len(GAINS) * len(scored.metrics) + 2)
    rows = [
        *_check_floors(scored, floors),
        check_known_pair(judge_answers, floors),
        *check_orders(judge_answers, biases),
        *_check_gains(scored, biases),
        *_check_lengths(scored, arm_texts, evaluation),
        *check_repeats(judge_answers, models, evaluation),
        *_check_missing(judge_answers, evaluation),
        *_check_agreement(judge_agreement),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _span(metric: str) -> float:
    """From the lowest to the highest score."""
    return 1.0 if metric == CRITERIA else float(SCALE[-1] - SCALE[0])


def _top(metric: str) -> float:
    return 1.0 if metric == CRITERIA else float(SCALE[-1])


def expect_floor(metric: str) -> Expectation:
    """Of the reference less what is no answer to the question."""
    enough = WORTHWHILE * _span(metric)
    return Expectation(f"above 0; fails if surely below {enough:g}", (0.0, math.inf), (enough, math.inf))


def expect_gain(metric: str) -> Expectation:
    """Of an answer changed in what must not count, less the answer as it was."""
    most = EQUIVALENT * _span(metric)
    words = f"gain below {most:g}; fails if surely above 0 and not surely below {most:g}"
    return Expectation(words, (-math.inf, most), (-math.inf, 0.0))


def _check_floors(scored: Scored, level: Simultaneous) -> list[dict[str, Any]]:
    rows = []
    for check, control in FLOORS.items():
        rows += _check_differences(check, GOLD, control, scored, expect_floor, level)
    for row in rows:
        if row["check"] == "gold above shuffled" and row["verdict"] in ("failed", "unclear"):
            reason = "another question's reference can be right by itself, to an axis that does not heed the question"
            row["note"] = "; ".join(filter(None, [row["note"], reason]))
    return rows


def _check_gains(scored: Scored, level: Simultaneous) -> list[dict[str, Any]]:
    rows = []
    for check, (changed, arm) in GAINS.items():
        rows += _check_differences(check, changed, arm, scored, expect_gain, level)
    return rows


def _check_differences(
    check: str,
    arm: str,
    reference: str,
    scored: Scored,
    expect: Callable[[str], Expectation],
    level: Simultaneous,
) -> list[dict[str, Any]]:
    """``arm`` less ``reference``, item by item, on every metric that scores an answer by itself."""
    rows = []
    for metric in scored.metrics:
        pair = [scored.of.get((metric, name)) for name in (arm, reference)]
        if pair[0] is None or pair[1] is None:
            absent = arm if pair[0] is None else reference
            checked = not_measured(f"{absent} was not judged")
        elif expect is expect_gain and (pair[1] >= _top(metric)).all():
            checked = not_measured("every answer has the highest score, so that none could gain")
        else:
            checked = mean_of(pair[0] - pair[1], scored.groups, level)
        rows.append(checked.row(check, metric, expect(metric)))
    return rows


def _check_lengths(scored: Scored, arm_texts: pd.DataFrame, evaluation: EvaluationParams) -> list[dict[str, Any]]:
    texts = arm_texts[arm_texts["arm"].isin(TUNING)]
    lengths = [len(answer.split()) for answer in texts["answer"]]
    words = texts.assign(words=lengths).pivot(index="id", columns="arm", values="words")
    longer = words[TUNING.arm] - words[TUNING.reference]
    metrics = [*scored.metrics, *([PREFERENCE] if (PREFERENCE, TUNING.arm) in scored.of else [])]
    level = Simultaneous.of(evaluation, len(metrics))
    return [_check_length(metric, longer, scored, evaluation, level) for metric in metrics]


def _check_length(
    metric: str,
    longer: pd.Series,
    scored: Scored,
    evaluation: EvaluationParams,
    level: Simultaneous,
) -> dict[str, Any]:
    better = scored.of[metric, TUNING.arm] - scored.of[metric, TUNING.reference]
    found = spearman(
        longer.loc[better.index],
        better,
        scored.groups.loc[better.index],
        samples=evaluation.bootstrap_samples,
        seed=evaluation.seed,
        confidence=level.confidence,
    )
    checked = Checked(found.n, found.groups, found.value, found.low, found.high, level)
    if math.isnan(found.value):
        checked = not_measured(
            "the arms differ alike in length or score on all pairs, or there are fewer than 4 groups"
        )
    elif found.low > 0:
        note = "longer answers score higher, be it a bias or because they are better: see padded"
        checked = Checked(found.n, found.groups, found.value, found.low, found.high, level, note)
    return checked.row("length", metric, LENGTH)


def _check_missing(judge_answers: pd.DataFrame, evaluation: EvaluationParams) -> list[dict[str, Any]]:
    """Every kind of question; which arms lack answers, and why, is in the note.

    The interval is from the spread of groups: a prompt that fails, fails again on other arms and in other repeats.
    """
    subjects = list(list_subjects(judge_answers))
    level = Simultaneous.of(evaluation, len(subjects))
    rows = []
    for name, asked in subjects:
        lost = asked["value"].isna()
        of_items = (
            asked.assign(lost=lost)
            .groupby("id")
            .agg(group=("group", "first"), lost=("lost", "sum"), asked=("lost", "size"))
        )
        note = ""
        if lost.any():
            arms = asked["arm"][lost].value_counts().sort_index()
            note = f"{count_failures(asked)}; of " + ", ".join(f"{arm} {count}" for arm, count in arms.items())
        checked = ratio_of(of_items["lost"], of_items["asked"], of_items["group"], level, note)
        low, high = np.clip([checked.low, checked.high], 0.0, 1.0)  # the spread of groups knows no ends
        rows.append(replace(checked, low=float(low), high=float(high)).row(MISSING, name, ANSWERED))
    return rows


def _check_agreement(judge_agreement: pd.DataFrame | None) -> list[dict[str, Any]]:
    if judge_agreement is None or judge_agreement.empty:
        return [not_measured("no person has rated these answers").row("agreement with people", "all", AGREEMENT)]
    rows = []
    for row in read_records(judge_agreement):
        n, kappa = int(row["n"]), row["quadratic_kappa"]
        checked = Checked(n, n, kappa, row["low"], row["high"], None, row["note"])
        rows.append(checked.row("agreement with people", str(row["axis"]), AGREEMENT))
    return rows
