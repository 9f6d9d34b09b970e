"""The result in a few plain sentences that claim no more than intervals and corrected p-values allow.

Against the null controls there is no test: what is said of them rests on an uncorrected interval, and is so called.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import pandas as pd

from med_lora.parameters import CanariesParams, EvaluationParams
from med_lora.pipelines.evaluation.comparison.verdicts import decide, direction_of
from med_lora.pipelines.reporting.lead import write_lead
from med_lora.report_page.records import plain, read_records
from med_lora.report_page.wording import capital, decimals, in_groups, measured, number, p_value, percent, share, title

HEADLINE_METRICS = ("perplexity", "rougeL")
CONTROLLED_METRIC = "rougeL"
STATED = (
    *("n", "groups", "excluded", "base", "base_low", "base_high", "tuned", "tuned_low", "tuned_high"),
    *("difference", "difference_low", "difference_high", "p_value", "p_holm"),
)


def write_headline(
    comparison: pd.DataFrame,
    controls: pd.DataFrame,
    experiment: str,
    evaluation: EvaluationParams,
    canaries: CanariesParams,
    rehearsal_of: str = "",
) -> dict[str, Any]:
    """What the run found, as sentences and as the numbers behind them.

    A metric counts as changed only if the interval of the paired difference excludes 0 and the Holm-adjusted p-value
    lies below 1 - confidence.

    Args:
        comparison: base and tuned model, as the evaluation writes it.
        controls: null controls.
        experiment: what the run is called.
        evaluation: the level of confidence, and the answers left out.
        canaries: whether secrets were inserted.
        rehearsal_of: the experiment that the run rehearses with a stand-in of its model; empty for none.

    Returns:
        rehearsal: that this is one, in a sentence; "" for a real run. lead: the result in a few plain words, without
        scores; sentence: the same with them, for a terminal or the top of a report, behind ``rehearsal``; experiment;
        confidence; perplexity and rougeL: numbers of their row of ``comparison`` in its own units, and verdict
        ("improved", "worsened", "unclear", "not compared"); best_control: what
        :func:`find_best_control` finds for ROUGE-L, and verdict ("beaten", "not beaten", "unclear"); best_controls: arm
        and verdict of every tested text metric. A number that does not exist is None.
    """
    alpha = evaluation.significance_level
    rows = {name: find_metric(comparison, name) for name in HEADLINE_METRICS}
    control = find_best_control(controls, CONTROLLED_METRIC)
    best = judge_best_controls(comparison, controls)
    beatable = _find_beatable(comparison, controls, best)
    rehearsal = _state_rehearsal(rehearsal_of)
    sentences = [
        rehearsal,
        _state_metric(rows["perplexity"], alpha, "held-out perplexity"),
        _state_metric(rows["rougeL"], alpha, title("rougeL")),
        _state_control(control),
        _state_controls({metric: found["verdict"] for metric, found in beatable.items()}),
        state_cut(comparison, evaluation),
        f"Brackets are {percent(evaluation.confidence)} intervals.",
        "Made-up secrets were among the training pairs (canaries.enabled), so a run without them differs."
        if canaries.enabled
        else "",
    ]
    lead = write_lead(comparison, beatable, alpha, zero=[metric for metric in best if metric not in beatable])
    headline: dict[str, Any] = {
        "rehearsal": rehearsal,
        "lead": f"Rehearsal of {rehearsal_of}. {lead}" if rehearsal_of else lead,
        "sentence": " ".join(filter(None, sentences)),
        "experiment": experiment,
        "confidence": evaluation.confidence,
        "best_control": None,
        "best_controls": best,
    }
    for name, row in rows.items():
        headline[name] = {key: plain(row[key]) for key in STATED} | {"verdict": decide(row, alpha)}
    if control is not None:
        stated = {key: plain(value) for key, value in control.items()}
        headline["best_control"] = stated | {"verdict": judge_control(control)}
    return headline


def _state_rehearsal(rehearsed: str) -> str:
    if not rehearsed:
        return ""
    return (
        f"This is a rehearsal of {rehearsed}: a small model (random weights in the shape of a large one), smaller "
        f"sizes, and other text where its own was not at hand (python -m med_lora rehearse {rehearsed} prints what is "
        "replaced). It shows that the path works; no number of this run says anything about what is rehearsed."
    )


def find_metric(comparison: pd.DataFrame, name: str) -> dict[str, Any]:
    """The row of one metric, with "" for a text that a CSV file gave back as missing."""
    (row,) = read_records(comparison[comparison["metric"] == name])
    return row


def _find_beatable(
    comparison: pd.DataFrame, controls: pd.DataFrame, best: dict[str, dict[str, str]]
) -> dict[str, dict[str, str]]:
    """``best`` without metrics in which both models and the best control score 0: nothing is to beat there."""
    beatable = {}
    for metric, found in best.items():
        row, control = find_metric(comparison, metric), find_best_control(controls, metric)
        if control is None or not row["base"] == row["tuned"] == control["mean"] == 0:
            beatable[metric] = found
    return beatable


def find_best_control(controls: pd.DataFrame, metric: str) -> dict[str, Any] | None:
    """The null control with the highest mean of a metric, the first by name in a tie; None if none has a score.

    Returns:
        arm; pairs ("kept", or "all" where too few are left by the exclusions); mean and tuned_difference with
        their bounds ``_low`` and ``_high``.
    """
    rivals = controls[controls["metric"] == metric].rename(columns={"low": "mean_low", "high": "mean_high"})
    for pairs, suffix in (("kept", ""), ("all", "_all")):
        scored = rivals[rivals[f"mean{suffix}"].notna()]
        if len(scored):
            best = scored.sort_values([f"mean{suffix}", "arm"], ascending=[False, True]).iloc[0]
            names = [(name, bound) for name in ("mean", "tuned_difference") for bound in ("", "_low", "_high")]
            numbers = {f"{name}{bound}": best[f"{name}{suffix}{bound}"] for name, bound in names}
            return {"arm": best["arm"], "pairs": pairs, **numbers}
    return None


def judge_best_controls(comparison: pd.DataFrame, controls: pd.DataFrame) -> dict[str, dict[str, str]]:
    """For every tested metric that is better higher and that controls have scores of: the best one, and the verdict."""
    tested = comparison[(comparison["better"] == "higher") & comparison["p_value"].notna()]
    best = {metric: find_best_control(controls, metric) for metric in tested["metric"]}
    return {
        metric: {"arm": str(control["arm"]), "verdict": judge_control(control)}
        for metric, control in best.items()
        if control is not None
    }


def state_cut(comparison: pd.DataFrame, evaluation: EvaluationParams) -> str:
    """How many answers of each arm did not end within the limit; nothing if all did."""
    row = find_metric(comparison, "answer_cut")
    if not (row["base"] > 0 or row["tuned"] > 0):
        return ""
    base, tuned = share(row["base"]), share(row["tuned"])
    return capital(
        f"{base} of the base model's and {tuned} of the tuned model's answers were cut at "
        f"{evaluation.decoding.max_new_tokens} tokens."
    )


def judge_control(control: dict[str, Any]) -> Literal["beaten", "not beaten", "unclear"]:
    """Whether the tuned arm scores above a control, by the interval of the paired difference."""
    direction = direction_of(control["tuned_difference_low"], control["tuned_difference_high"])
    if not direction:
        return "unclear"
    return "beaten" if direction > 0 else "not beaten"


def _state_metric(row: dict[str, Any], alpha: float, name: str) -> str:
    verdict, places = decide(row, alpha), decimals(row)
    base, tuned, difference = (measured(row, column, places) for column in ("base", "tuned", "difference"))
    facts = f"n = {_count(row)}, Holm-adjusted p {p_value(row['p_holm'])}"
    if verdict == "not compared":
        return capital(f"{name} could not be compared (n = {_count(row)}).{_state_all(row, places)}")
    if verdict == "unclear":
        text = f"no clear change in {name}, {base} before and {tuned} after tuning, difference {difference} ({facts})."
        return capital(text)
    verb = "rose" if row["difference"] > 0 else "fell"
    direction = "" if verdict == "improved" else ", a change for the worse"
    return capital(f"{name} {verb} from {base} to {tuned}{direction} ({facts}).{_state_doubt(row, places)}")


def _count(row: dict[str, Any]) -> str:
    """How many pairs and groups a row rests on, and of how many pairs where some were left out."""
    if not row["excluded"]:
        return f"{row['n']} pairs {in_groups(row)}"
    return f"{row['n']} of {row['n'] + row['excluded']} pairs {in_groups(row)}, the others excluded"


def _state_all(row: dict[str, Any], places: int) -> str:
    """The values over all pairs, where the exclusions leave too few."""
    if not row["excluded"] or math.isnan(row["difference_all"]):
        return ""
    pairs, difference = row["n"] + row["excluded"], measured(row, "difference_all", places)
    base, tuned = number(row["base_all"], places), number(row["tuned_all"], places)
    return (
        f" Over all {pairs} pairs, the excluded ones included, it is {base} for the base and {tuned} for the tuned "
        f"model, difference {difference}."
    )


def _state_doubt(row: dict[str, Any], places: int) -> str:
    """A warning where the pairs left out would take the claim back."""
    same = direction_of(row["difference_all_low"], row["difference_all_high"]) * row["difference"] > 0
    if not row["excluded"] or same:
        return ""
    return f" Over all pairs the difference is {measured(row, 'difference_all', places)}, which does not confirm this."


def _state_control(control: dict[str, Any] | None) -> str:
    if control is None:
        return "No null control could be scored, so the ROUGE-L of the tuned model stands without a yardstick."
    where = "The" if control["pairs"] == "kept" else "Over all pairs, the"
    name = f"the best null control ({title(control['arm']).lower()}, ROUGE-L {measured(control, 'mean', 3)})"
    difference = f"difference {measured(control, 'tuned_difference', 3)} (uncorrected interval)"
    texts = {
        "beaten": f"{where} tuned model beats {name}: {difference}.",
        "not beaten": f"{where} tuned model scores below {name}: {difference}.",
        "unclear": f"{where} tuned model does not clearly beat {name}: {difference}.",
    }
    return texts[judge_control(control)]


def _state_controls(verdicts: dict[str, str]) -> str:
    """In how many metrics the tuned model does not beat its best control; nothing for one metric, told already."""
    if len(verdicts) < 2:
        return ""
    unbeaten = [title(metric) for metric, verdict in verdicts.items() if verdict != "beaten"]
    if not unbeaten:
        return f"In each of {len(verdicts)} text metrics the tuned model beats that metric's best null control."
    return (
        f"In {len(unbeaten)} of {len(verdicts)} text metrics the tuned model does not clearly beat that metric's best "
        f"null control: {', '.join(unbeaten)}."
    )
