"""The result in two sentences without scores: whether the tuned model beats the base model, and the null controls."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from med_lora.pipelines.evaluation.comparison.verdicts import decide
from med_lora.report_page.records import read_records
from med_lora.report_page.wording import name_deed, title

NAMED = 4  # metrics that are named before the others are counted


def write_lead(
    comparison: pd.DataFrame,
    best_controls: Mapping[str, Mapping[str, str]],
    alpha: float,
    zero: Collection[str] = (),
) -> str:
    """On how many tested metrics the tuned model beats the base model, and whether it beats the null controls.

    Args:
        comparison: as the evaluation writes it.
        best_controls: arm and verdict of the best null control of each text metric to speak of.
        alpha: level of significance.
        zero: tested metrics in which both models and the best control score 0; they are counted, and named as such.
    """
    tested = [row for row in read_records(comparison) if row["better"] != "neither" and row["p_holm"] >= 0]
    of: dict[str, list[str]] = {"improved": [], "worsened": [], "unclear": [], "zero": []}
    for row in tested:
        of["zero" if row["metric"] in zero else decide(row, alpha)].append(row["metric"])
    return " ".join(filter(None, [_say_base(of, len(tested)), _say_controls(best_controls)]))


def _say_base(of: dict[str, list[str]], tested: int) -> str:
    if not tested:
        return "The tuned and the base model could not be compared."
    improved = of["improved"]
    count = f"all {tested}" if len(improved) == tested > 1 else f"{len(improved)} of {tested}"
    metrics = "metric" if tested == 1 else "metrics"
    if improved:
        said = f"Tuned beats base on {count} tested {metrics} ({_name(improved)})"
    else:
        said = f"Tuned is not shown to beat base on any of {tested} tested {metrics}"
    worse = f"; it is worse on {_name(of['worsened'])}" if of["worsened"] else ""
    unclear = f"; no difference is shown on {_name(of['unclear'])}" if of["unclear"] and improved else ""
    verb = "is" if len(of["zero"]) == 1 else "are"
    zero = f"; {_name(of['zero'])} {verb} 0 throughout" if of["zero"] else ""
    return f"{said}{worse}{unclear}{zero}."


def _say_controls(best: Mapping[str, Mapping[str, str]]) -> str:
    if not best:
        return ""
    unbeaten = [metric for metric, found in best.items() if found["verdict"] != "beaten"]
    below = [metric for metric in unbeaten if best[metric]["verdict"] == "not beaten"]
    if not unbeaten:
        each = "the one text metric" if len(best) == 1 else f"each of {len(best)} text metrics"
        return f"It beats the best null control in {each}, by intervals that are not corrected for their number."
    first = "rougeL" if "rougeL" in unbeaten else unbeaten[0]
    verb = "scores below" if first in below else "does not clearly beat"
    said = f"By {title(first)} it {verb} {name_deed(best[first]['arm'])}"
    if len(best) > 1:
        said += f"; in {len(unbeaten)} of {len(best)} text metrics it does not clearly beat the best null control"
        said += f", and scores below it in {len(below)}" if below else ""
    return f"{said}."


def _name(metrics: Sequence[str]) -> str:
    """Titles of a few metrics, and how many more there are."""
    names = [_lower(title(metric)) for metric in metrics]
    if len(names) > NAMED + 1:
        names = [*names[:NAMED], f"{len(names) - NAMED} others"]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _lower(name: str) -> str:
    """A title within a sentence; abbreviations stay as they are."""
    return name[0].lower() + name[1:] if name[1:2].islower() else name
