"""The arms on the same items of the benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.arms import BARE_ARMS
from med_lora.errors import InputError
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.benchmarks.tasks import PROMPTS
from med_lora.statistics.paired import holm
from med_lora.statistics.resampling import resample

KEY = ["benchmark", "id"]


def compare_benchmarks(
    benchmark_questions: pd.DataFrame,
    base_items: pd.DataFrame,
    tuned_items: pd.DataFrame,
    evaluation: EvaluationParams,
) -> pd.DataFrame:
    """Accuracy of both arms on each benchmark, beside what needs no understanding.

    Args:
        benchmark_questions: columns benchmark, id, choices, gold, fault.
        base_items: columns benchmark, id, choice, correct, prompt_truncated, signature; all rows without a fault.
        tuned_items: likewise, of the same items.
        evaluation: level of the intervals; resamples and seed of the difference's.

    Returns:
        One row a benchmark: benchmark, n (items), excluded (items that could not be asked), chance (mean of one over
        the number of choices), majority (share of the most frequent right choice), base, base_low, base_high, tuned,
        tuned_low, tuned_high (accuracy with Wilson's 1927 interval), difference (tuned - base), difference_low,
        difference_high (paired bootstrap over items), base_only, tuned_only (items right in one arm alone), p_value
        (McNemar's exact test on these), p_holm, base_macro_f1, tuned_macro_f1 (unweighted mean over choices),
        truncated (items whose prompt was cut), signature, note (the arms whose interval reaches down to the majority
        line, among others).

    Raises:
        InputError: if the arms did not answer the same items in the same way.
    """
    asked = benchmark_questions[benchmark_questions["fault"] == ""].set_index(KEY)
    answers = {arm: _align(items, asked, arm) for arm, items in zip(BARE_ARMS, (base_items, tuned_items), strict=True)}
    _check_signatures(answers)
    excluded = (benchmark_questions["fault"] != "").groupby(benchmark_questions["benchmark"]).sum()
    rows = []
    for name in asked.index.unique("benchmark"):
        items = {arm: answers[arm].loc[name] for arm in BARE_ARMS}
        row = _compare(asked.loc[name], items, evaluation)
        rows.append({"benchmark": name, "n": len(asked.loc[name]), "excluded": int(excluded[name]), **row})
    comparison = pd.DataFrame(rows)
    place = list(comparison.columns).index("p_value") + 1
    comparison.insert(place, "p_holm", holm(list(comparison["p_value"])))
    return comparison


def mcnemar_p(base_only: int, tuned_only: int) -> float:
    """Two-sided exact p-value of McNemar's test (1947) that either arm is as likely to be the only one right.

    1 where the arms never differ.
    """
    from scipy.stats import binomtest

    discordant = base_only + tuned_only
    return float(binomtest(base_only, discordant).pvalue) if discordant else 1.0


def macro_f1(choices: Sequence[str], gold: Sequence[str]) -> float:
    """Mean over the labels that occur of the F1 of each, however many items it has."""
    import torch
    from torchmetrics.functional.classification import multiclass_f1_score

    labels = sorted({*choices, *gold})
    if len(labels) == 1:
        return 1.0  # torchmetrics takes no single class
    chosen, right = (torch.tensor([labels.index(label) for label in given]) for given in (choices, gold))
    return float(multiclass_f1_score(chosen, right, num_classes=len(labels), average="macro"))


def _align(items: pd.DataFrame, asked: pd.DataFrame, arm: str) -> pd.DataFrame:
    """The answers of one arm in the order of the items."""
    indexed = items.set_index(KEY)
    if indexed.index.has_duplicates or set(indexed.index) != set(asked.index):
        raise InputError(
            f"{arm}_benchmark_items does not hold the items of benchmark_questions, each once; run the pipeline "
            "benchmarks again."
        )
    return indexed.loc[asked.index]


def _check_signatures(answers: dict[str, pd.DataFrame]) -> None:
    signatures = sorted({signature for items in answers.values() for signature in items["signature"]})
    if len(signatures) > 1:
        raise InputError(
            f"base_benchmark_items and tuned_benchmark_items were made in different ways ({'; '.join(signatures)}); "
            "run the pipeline benchmarks again."
        )


def _compare(asked: pd.DataFrame, items: dict[str, pd.DataFrame], evaluation: EvaluationParams) -> dict[str, Any]:
    base, tuned = (items[arm]["correct"].astype(bool) for arm in BARE_ARMS)
    row: dict[str, Any] = {
        "chance": float((1 / (asked["choices"].str.count(" ") + 1)).mean()),
        "majority": float(asked["gold"].value_counts(normalize=True).iloc[0]),
    }
    for arm, correct in (("base", base), ("tuned", tuned)):
        row |= _accuracy(arm, correct, evaluation.confidence)
    low, high = _difference_interval(base, tuned, evaluation)
    base_only, tuned_only = int((base & ~tuned).sum()), int((tuned & ~base).sum())
    row |= {
        "difference": float(tuned.mean() - base.mean()),
        "difference_low": low,
        "difference_high": high,
        "base_only": base_only,
        "tuned_only": tuned_only,
        "p_value": mcnemar_p(base_only, tuned_only),
    }
    row |= {f"{arm}_macro_f1": macro_f1(list(items[arm]["choice"]), list(asked["gold"])) for arm in BARE_ARMS}
    truncated = items["base"]["prompt_truncated"] | items["tuned"]["prompt_truncated"]
    row |= {
        "truncated": int(truncated.sum()),
        "signature": f"{items['base']['signature'].iat[0]}, prompts {PROMPTS}",
    }
    return row | {"note": _note(row, len(asked))}


def _accuracy(arm: str, correct: pd.Series, confidence: float) -> dict[str, float]:
    from scipy.stats import binomtest

    interval = binomtest(int(correct.sum()), len(correct)).proportion_ci(confidence, method="wilson")
    return {arm: float(correct.mean()), f"{arm}_low": float(interval.low), f"{arm}_high": float(interval.high)}


def _difference_interval(base: pd.Series, tuned: pd.Series, evaluation: EvaluationParams) -> tuple[float, float]:
    items = pd.DataFrame({("base", "correct"): base, ("tuned", "correct"): tuned}).astype(float)
    groups = pd.Series(range(len(items)), index=items.index)
    resamples = resample(items, groups, evaluation.bootstrap_samples, evaluation.seed)
    return (resamples.mean(("tuned", "correct")) - resamples.mean(("base", "correct"))).interval(evaluation.confidence)


def _note(row: dict[str, Any], n: int) -> str:
    notes = []
    low = [arm for arm in BARE_ARMS if row[f"{arm}_low"] <= row["majority"]]
    if low:
        notes.append(f"{' and '.join(low)} not above the majority line")
    if n < 2:
        notes.append("one item has no spread")
    if row["truncated"]:
        notes.append(f"{row['truncated']} of {n} prompts lost their beginning to the model's context")
    return "; ".join(notes)
