"""Preferences asked in both orders: who wins, and whether the place does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from med_lora.pipelines.evaluation.comparison.contrasts import TUNING
from med_lora.pipelines.judge.candidates import GOLD, SHUFFLED
from med_lora.pipelines.judge.verdicts import (
    Checked,
    Expectation,
    Simultaneous,
    not_measured,
    ratio_of,
)
from med_lora.statistics.shares import wilson

FIRST, SECOND, TIE = 1, 2, 0  # values of a preference
KNOWN_PAIR = "known pair"  # the floor of preferences
ORDER_MARGIN = 0.1
ORDER_BIAS = Expectation(
    f"0.5, within {ORDER_MARGIN:g}; fails if surely not 0.5", (0.5 - ORDER_MARGIN, 0.5 + ORDER_MARGIN), (0.5, 0.5)
)
CONTRADICTIONS = Expectation("below 0.5, the share of coins; fails if surely above", (-math.inf, 0.5), (-math.inf, 0.5))
KNOWN_RIGHT = Expectation("above 0.5, the share of coins; fails if surely below 0.8", (0.5, math.inf), (0.8, math.inf))


def match_orders(judge_answers: pd.DataFrame, reference: str, arm: str) -> pd.DataFrame:
    """The two verdicts on each pair of answers, one a row of an item and repeat.

    Args:
        judge_answers: columns id, group, task, arm (shown first), rival (shown second), repeat, value.
        reference: one arm.
        arm: the other.

    Returns:
        id, group, repeat, forward (value of the call that shows ``reference`` first), backward (that shows ``arm``
        first), NaN where missing, and wins: 1 if ``arm`` wins in both orders, 0 if ``reference`` does, 0.5 otherwise,
        NaN where a verdict is missing.
    """
    asked = judge_answers[judge_answers["task"] == "preference"]
    keys, parts = ["id", "group", "repeat"], []
    for name, first, second in (("forward", reference, arm), ("backward", arm, reference)):
        of_order = asked[(asked["arm"] == first) & (asked["rival"] == second)]
        parts.append(of_order[[*keys, "value"]].rename(columns={"value": name}))
    matched = parts[0].merge(parts[1], on=keys, how="outer").sort_values(keys, ignore_index=True)
    forward, backward = matched["forward"], matched["backward"]
    won = np.select(
        [forward.isna() | backward.isna(), (forward == SECOND) & (backward == FIRST)], [math.nan, 1.0], default=0.5
    )
    lost = (forward == FIRST) & (backward == SECOND)
    return matched.assign(wins=np.where(lost, 0.0, won))


def check_orders(judge_answers: pd.DataFrame, level: Simultaneous) -> list[dict[str, Any]]:
    """Whether the place of an answer decides: first shown against second, and verdicts that the order turns round.

    - ``order bias``: share of the decided calls (no tie) that the first shown wins, over pairs asked in both orders,
      where it is 0.5 however much better one arm is. The note has the sign test over the items that lean to a place.
    - ``contradictions``: share of pairs with the same place as winner in both orders, among those decided in both. A
      coin makes 0.5; more can only come from the order. Wilson's interval at as many pairs as groups.
    """
    matched = match_orders(judge_answers, *TUNING).dropna(subset=["forward", "backward"])
    return [
        _check_bias(matched, level).row("order bias", "base against tuned", ORDER_BIAS),
        _check_contradictions(matched, level).row("contradictions", "base against tuned", CONTRADICTIONS),
    ]


def check_known_pair(judge_answers: pd.DataFrame, level: Simultaneous) -> dict[str, Any]:
    """Share of the calls that prefer the reference to another question's; a tie is wrong.

    Wilson's interval at as many calls as groups.
    """
    matched = match_orders(judge_answers, GOLD, SHUFFLED)
    calls = matched.melt(id_vars=["id", "group"], value_vars=["forward", "backward"], var_name="order").dropna()
    if calls.empty:
        checked = not_measured(f"no verdict on {GOLD} against {SHUFFLED}")
    else:
        right = calls["value"] == np.where(calls["order"] == "forward", FIRST, SECOND)
        checked = _share(float(right.mean()), calls, level)
    return checked.row(KNOWN_PAIR, "reference against another's", KNOWN_RIGHT)


def _check_bias(matched: pd.DataFrame, level: Simultaneous) -> Checked:
    verdicts = matched[["forward", "backward"]]
    counted = matched.assign(first=(verdicts == FIRST).sum(axis=1), decided=(verdicts != TIE).sum(axis=1))
    items = counted.groupby("id").agg(group=("group", "first"), first=("first", "sum"), decided=("decided", "sum"))
    items = items[items["decided"] > 0]
    if items.empty:
        return not_measured("every verdict is a tie" if len(matched) else "no pair was judged in both orders")
    note = _tell_leaning(items, matched)
    return ratio_of(items["first"], items["decided"], items["group"], level, note)


def _tell_leaning(items: pd.DataFrame, matched: pd.DataFrame) -> str:
    """The items that lean to a place, and the sign test over them."""
    from scipy.stats import binomtest

    lean = np.sign(2 * items["first"] - items["decided"])
    first, leaning = int((lean > 0).sum()), int((lean != 0).sum())
    tied = int((matched[["forward", "backward"]] == TIE).any(axis=1).sum())
    words = f"{first} of the {leaning} items that lean to a place lean to the first"
    test = f" (sign test p = {binomtest(first, leaning).pvalue:.3g})" if leaning else ""
    return f"{words}{test}; {tied} of {len(matched)} pairs hold a tie"


def _check_contradictions(matched: pd.DataFrame, level: Simultaneous) -> Checked:
    decided = matched[(matched["forward"] != TIE) & (matched["backward"] != TIE)]
    if decided.empty:
        return not_measured("no pair was decided in both orders")
    contradicted = decided["forward"] == decided["backward"]
    return _share(float(contradicted.mean()), decided, level)


def _share(share: float, rows: pd.DataFrame, level: Simultaneous) -> Checked:
    """Of rows that are as good as one a group, since those of a group are related."""
    groups = int(rows["group"].nunique())
    return Checked(len(rows), groups, share, *wilson(share, groups, level.confidence), level)
