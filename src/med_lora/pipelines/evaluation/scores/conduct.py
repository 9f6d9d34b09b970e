"""Conduct of every arm's answers, and of the references themselves: what a rate is where nothing is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from med_lora.metrics.conduct import conduct_metrics, length_ratio, own_conduct, unsupported
from med_lora.metrics.definition import SCORE_COLUMNS, tabulate_metrics
from med_lora.metrics.quantities import Quantities, stated_quantities
from med_lora.pipelines.evaluation.splits import Split, read_pairs


def score_conduct(arm_texts: pd.DataFrame, test: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Repetition, length, unsupported quantities, disclaimers, referrals and refusals of every answer.

    The references are judged as answers too (kind ``gold``), as a floor. Against itself a reference states nothing
    unsupported, so its numbers and doses are held against the reference of another pair, :func:`find_others`; where
    there is none, these are NaN. So is its length ratio, which could only be 1.

    Returns:
        Columns id, arm, metric, score; and the table of the metrics.
    """
    pairs = read_pairs(test, "test").set_index("id").sort_index()
    references, others = dict(pairs["answer"]), find_others(pairs)
    asked = {pair: stated_quantities(question) for pair, question in pairs["question"].items()}
    answers = sorted({*arm_texts["answer"], *pairs["answer"]})
    own = {answer: own_conduct(answer) for answer in answers}
    stated = {answer: stated_quantities(answer) for answer in answers}
    rows = []
    for pair, arm, kind, answer in arm_texts[["id", "arm", "kind", "answer"]].itertuples(index=False):
        is_gold = kind == "gold"
        reference = others.get(pair) if is_gold else references[pair]
        rows.append(
            {
                "id": pair,
                "arm": arm,
                **own[answer],
                "length_ratio": math.nan if is_gold else length_ratio(answer, references[pair]),
                **_unsupported(stated, asked[pair], answer, reference),
            }
        )
    metrics = conduct_metrics()
    wide = pd.DataFrame(rows, columns=["id", "arm", *(metric.name for metric in metrics)])
    scores = wide.melt(id_vars=["id", "arm"], var_name="metric", value_name="score")
    return scores[SCORE_COLUMNS], tabulate_metrics(metrics)


def find_others(pairs: pd.DataFrame) -> dict[str, str]:
    """To a pair's id the answer of another pair with the same question, else focus, else group; none without one.

    It is the next by id of those with a different answer; after the last comes the first.

    Args:
        pairs: index id, sorted; columns question, answer, group, and focus where the corpus names topics.
    """
    others: dict[str, str] = {}
    for column in ("question", "focus", "group"):
        if column not in pairs:
            continue
        keys = pairs[column].astype("str").fillna("").str.strip().str.lower()
        related: dict[str, list[tuple[str, str]]] = {}
        for key, pair, answer in zip(keys, pairs.index, pairs["answer"], strict=True):
            if key:
                related.setdefault(key, []).append((pair, answer))
        for members in related.values():
            following = _next_others([answer for _, answer in members])
            for (pair, _), other in zip(members, following, strict=True):
                if other is not None:
                    others.setdefault(pair, other)
    return others


def _next_others(answers: Sequence[str]) -> list[str | None]:
    """To each answer the next that differs, the first behind the last; None where all are equal."""
    count = len(answers)
    found: list[str | None] = [None] * count
    for place in reversed(range(2 * count)):  # the second round knows what follows the last
        own, after = place % count, (place + 1) % count
        found[own] = answers[after] if answers[after] != answers[own] else found[after]
    return found


def _unsupported(
    stated: Mapping[str, Quantities], asked: Quantities, answer: str, reference: str | None
) -> dict[str, float]:
    if reference is None:
        return dict.fromkeys(("unsupported_numbers", "unsupported_doses"), math.nan)
    return unsupported(stated[answer], asked | stated[reference])
