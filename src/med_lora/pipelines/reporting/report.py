"""The report: one HTML file that opens from disk, asks nothing of any network, and is the same for the same inputs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.pipelines.reporting.headline import judge_control
from med_lora.pipelines.reporting.wording import (
    CONTROL_MEANINGS,
    decimals,
    in_groups,
    interval,
    number,
    p_value,
    percent,
    title,
)
from med_lora.report_page import render_page

FIGURE_SPACE = "\u2007"  # as wide as a digit


def write_report(
    headline: dict[str, Any],
    comparison: pd.DataFrame,
    controls: pd.DataFrame,
    loss_curve: Any,
    perplexity_bars: Any,
    score_bars: Any,
    examples: pd.DataFrame,
    data: dict[str, Any],
    settings: dict[str, Any],
) -> str:
    """The whole report as one HTML document; plotly.js and the figures are inside, everything else is plain HTML.

    Args:
        headline: as :func:`write_headline` returns it.
        comparison: as the evaluation writes it.
        controls: as the evaluation writes it.
        loss_curve: ``plotly`` figure, as the next two.
        perplexity_bars: perplexity of the arms.
        score_bars: text scores of arms and controls.
        examples: as :func:`choose_examples` returns them.
        data: as :func:`describe_data` returns it.
        settings: as :func:`describe_settings` returns them.
    """
    figures = {"perplexity-bars": perplexity_bars, "score-bars": score_bars, "loss-curve": loss_curve}
    comparison = comparison.assign(note=comparison["note"].fillna(""))  # a CSV file gives "" back as missing
    arms = set(controls["arm"])
    values = {
        "headline": headline,
        "sentence": _keep_together(headline["sentence"]),
        "confidence": percent(headline["confidence"]),
        "comparison": list_comparison(comparison),
        "whole": list_whole(comparison),
        "pairs": data["splits"]["test"],
        "groups": int(comparison["groups"].max()),
        "excluded": int(comparison["excluded"].max()),
        "controls": list_controls(controls, comparison),
        "control_meanings": [f"“{title(arm)}” {CONTROL_MEANINGS[arm]}" for arm in CONTROL_MEANINGS if arm in arms],
        "examples": examples.to_dict("records"),
        "data": data,
        "settings": settings,
    }
    filters = {"plain": lambda name: name.replace("_", " ")}
    return render_page(__package__, "report.html.j2", figures, filters, values)


def list_comparison(comparison: pd.DataFrame) -> list[dict[str, str]]:
    """Rows of the main table, ready to be shown: values aligned by column, intervals, p-values and notes."""
    rows = [{str(key): value for key, value in row.items()} for row in comparison.to_dict("records")]
    shown = [_show_values(row, ("base", "tuned", "difference")) for row in rows]
    for cells, row in zip(shown, rows, strict=True):
        cells |= {"metric": title(row["metric"]), "direction": _direction(row["better"])}
        cells |= {"n": f"{row['n']:,}", "groups": in_groups(row), "excluded": f"{row['excluded']:,}"}
        cells |= {"signature": row["signature"], "note": _name_arms(row["note"])}
        cells |= {"p": _show_p(row["p_value"]), "p_holm": _show_p(row["p_holm"])}
    return _align(shown, ("base", "tuned", "difference", "p", "p_holm"))


def list_whole(comparison: pd.DataFrame) -> list[dict[str, str]]:
    """Rows of the table over all pairs: the metrics from which the main table leaves pairs out."""
    rows = [
        {
            "metric": row["metric"],
            "base": row["base_all"],
            "tuned": row["tuned_all"],
            "difference": row["difference_all"],
        }
        | {"difference_low": row["difference_all_low"], "difference_high": row["difference_all_high"]}
        for row in comparison.to_dict("records")
        if row["excluded"]
    ]
    shown = [{"metric": title(row["metric"]), **_show_values(row, ("base", "tuned", "difference"))} for row in rows]
    return _align(shown, ("base", "tuned", "difference"))


def list_controls(controls: pd.DataFrame, comparison: pd.DataFrame) -> list[dict[str, str]]:
    """Rows of the table of null controls, in the order of ``comparison``; "beaten" goes by the interval alone."""
    better = dict(zip(comparison["metric"], comparison["better"], strict=True))
    names = ("mean", "tuned_difference", "mean_all", "tuned_difference_all")
    order = {metric: place for place, metric in enumerate(comparison["metric"])}
    rows = [{str(key): value for key, value in row.items()} for row in controls.to_dict("records")]
    shown = []
    for row in sorted(rows, key=lambda row: (order[row["metric"]], row["arm"])):
        cells = {"metric": title(row["metric"]), "arm": title(row["arm"]), "n": f"{row['n']:,}"}
        cells |= {"beaten": _show_beaten(row) if better[row["metric"]] == "higher" else "–"}
        named = row | {"mean_low": row["low"], "mean_high": row["high"]}
        shown.append(cells | _show_values(named, names))
    return _align(shown, names)


def _show_beaten(row: dict[str, Any]) -> str:
    """Whether the tuned model beats a control, over all pairs where the exclusions leave too few."""
    suffix = "_all" if math.isnan(row["tuned_difference"]) else ""
    bounds = {f"tuned_difference_{bound}": row[f"tuned_difference{suffix}_{bound}"] for bound in ("low", "high")}
    return "yes" if judge_control(bounds) == "beaten" else "no"


def _show_values(row: dict[str, Any], names: Sequence[str]) -> dict[str, str]:
    """Each named value with a fixed number of decimals, and under ``<name>_interval`` its interval where it has one."""
    places = decimals(row)
    cells: dict[str, str] = {}
    for name in names:
        low, high = (row.get(f"{name}_{bound}", math.nan) for bound in ("low", "high"))
        cells[name] = number(row[name], places).replace("-", "−")
        cells[f"{name}_interval"] = interval(low, high, places).replace("-", "−")
    return cells


def _show_p(p: float) -> str:
    return "–" if math.isnan(p) else p_value(p).removeprefix("= ")


def _direction(better: str) -> str:
    return "" if better == "neither" else f"{better} is better"


def _name_arms(note: str) -> str:
    """The evaluation's note with the controls called as in the tables."""
    for arm in CONTROL_MEANINGS:
        note = note.replace(arm, title(arm).lower())
    return note


def _align(rows: list[dict[str, str]], names: Sequence[str]) -> list[dict[str, str]]:
    """Rows whose numbers are padded to equally many decimals, so that right-aligned columns align at the point."""
    for name in names:
        tails = [row[name].partition(".")[1:] for row in rows]
        longest = max((len(tail) for _, tail in tails), default=0)
        for row, (point, tail) in zip(rows, tails, strict=True):
            missing = longest - len(tail)
            row[name] += FIGURE_SPACE * missing if point else ""
    return rows


def _keep_together(text: str) -> str:
    """``text`` with spaces that do not break inside brackets, around ``=`` and ``<`` and before ``%``."""
    return re.sub(r"\[[^\]]*\]|\w+ [=<] [\d.]+|\d %", lambda match: match[0].replace(" ", "\u00a0"), text)
