"""Rows of the report's tables, ready to be shown: names as readers meet them, numbers as aligned text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.pipelines.reporting.cells import Cells, align, show_detectable, show_direction, show_values
from med_lora.pipelines.reporting.headline import find_best_control, judge_control
from med_lora.report_page.records import Record, read_records
from med_lora.report_page.wording import (
    CONTROL_MEANINGS,
    DIMENSION_TITLES,
    MATCHED,
    decimals,
    in_groups,
    minus,
    number,
    percent_change,
    show_p,
    title,
)

# What an answer is worth, and what it is like: two tables.
VALUE_FAMILIES = ("loss", "overlap", "meaning", "choice")
CONDUCT_FAMILIES = ("conduct", "copying", "flag")
CORPUS_METRICS = ("bleu_unsmoothed", "sacrebleu", "chrf")
SUBGROUP_METRICS = ("cross_entropy", "rougeL")
UNSEEN = "shared with a training pair; nothing was trained on pairs"
LEAST_GROUPS = 5  # of a part that is not folded: with fewer, a signed-rank test cannot reach 0.05


def list_comparison(comparison: pd.DataFrame) -> list[Cells]:
    """Rows of the main table: losses and text metrics, with the gain in percent, effect size and p-values."""
    rows = _rows_of(comparison, VALUE_FAMILIES)
    names = ("base", "tuned", "best_control_mean", "difference")
    shown = [show_values(_with_control(row), names) for row in rows]
    for cells, row in zip(shown, rows, strict=True):
        cells |= _show_metric(row)
        cells |= {"gain": percent_change(row["ratio"], row["ratio_low"], row["ratio_high"])}
        cells |= {"control": title(row["best_control"]) if row["best_control"] else "–"}
        cells |= {"effect": minus(number(row["rank_biserial"], 2))}
        cells |= {"detectable": show_detectable(row)}
        cells |= {"p": show_p(row["p_value"]), "p_holm": show_p(row["p_holm"])}
    return align(shown, (*names, "effect", "detectable", "p", "p_holm"))


def _with_control(row: Record) -> Record:
    """The row with the bounds of its best control under the names that go with its mean."""
    return row | {f"best_control_mean_{end}": row[f"best_control_{end}"] for end in ("low", "high")}


def list_conduct(comparison: pd.DataFrame, on_pairs: bool = True) -> list[Cells]:
    """Rows of the table on what the answers are like, beside what the same measure finds in the references.

    Where nothing was trained on pairs, the rows on copying say that they compare with pairs not trained on.
    """
    rows = _rows_of(comparison, CONDUCT_FAMILIES)
    names = ("base", "tuned", "gold", "difference")
    shown = [show_values(row, names) | _show_metric(row) for row in rows]
    for cells, row in zip(shown, rows, strict=True):
        if row["family"] == "copying" and not on_pairs:
            cells["note"] = "; ".join(filter(None, [cells["note"], UNSEEN]))
    return align(shown, names)


def list_whole(comparison: pd.DataFrame) -> list[Cells]:
    """Rows of the table over all pairs: the metrics from which the main table leaves pairs out."""
    rows = [
        {
            "metric": row["metric"],
            "base": row["base_all"],
            "tuned": row["tuned_all"],
            "difference": row["difference_all"],
        }
        | {"difference_low": row["difference_all_low"], "difference_high": row["difference_all_high"]}
        for row in read_records(comparison)
        if row["excluded"]
    ]
    shown = [{"metric": title(row["metric"]), **show_values(row, ("base", "tuned", "difference"))} for row in rows]
    return align(shown, ("base", "tuned", "difference"))


def list_best_controls(controls: pd.DataFrame, comparison: pd.DataFrame) -> list[Cells]:
    """For every tested text metric its best null control, and whether the tuned model beats it."""
    tested = comparison[(comparison["better"] == "higher") & comparison["p_value"].notna()]
    shown = []
    for row in read_records(tested):
        best = find_best_control(controls, row["metric"])
        if best is None:
            continue
        values = row | best
        cells = {"metric": title(row["metric"]), "arm": title(best["arm"])} | show_values(
            values, ("tuned", "mean", "tuned_difference")
        )
        verdict = judge_control(best)
        shown.append(cells | {"verdict": "beaten" if verdict == "beaten" else "not clearly beaten"})
        if verdict == "not beaten":
            shown[-1]["verdict"] = "better than the tuned model"
        if row["base"] == row["tuned"] == best["mean"] == 0:
            shown[-1]["verdict"] = "nothing to beat: 0 throughout"
    return align(shown, ("tuned", "mean", "tuned_difference"))


def list_controls(controls: pd.DataFrame, comparison: pd.DataFrame) -> list[Cells]:
    """Rows of the table of null controls, in the order of ``comparison``; "beaten" goes by the interval alone."""
    better = dict(zip(comparison["metric"], comparison["better"], strict=True))
    names = ("mean", "tuned_difference", "mean_all", "tuned_difference_all")
    order = {metric: place for place, metric in enumerate(comparison["metric"])}
    shown = []
    for row in sorted(read_records(controls), key=lambda row: (order[row["metric"]], row["arm"])):
        cells = {"metric": title(row["metric"]), "arm": title(row["arm"]), "n": f"{row['n']:,}"}
        cells |= {"beaten": _show_beaten(row) if better[row["metric"]] == "higher" else "–"}
        named = row | {"mean_low": row["low"], "mean_high": row["high"]}
        shown.append(cells | show_values(named, names))
    return align(shown, names)


def list_corpus_scores(corpus_scores: pd.DataFrame) -> list[Cells]:
    """Rows of the table of scores of the test set as a whole, metric by metric; means over pairs stand elsewhere."""
    scored = corpus_scores[corpus_scores["metric"].isin(CORPUS_METRICS) & corpus_scores["value"].notna()]
    shown = []
    for row in read_records(scored.sort_values("metric", kind="stable")):
        bounds = {"value_low": row["low"], "value_high": row["high"]}
        cells = {"metric": title(row["metric"]), "arm": title(row["arm"]), "n": f"{row['n']:,}"}
        cells |= {"signature": row["signature"]}
        shown.append(cells | show_values(row | bounds, ("value",)))
    return align(shown, ("value",))


def list_parts(subgroups: pd.DataFrame) -> dict[str, Any]:
    """Parts of the test set, a row a part with all ``SUBGROUP_METRICS`` beside each other.

    Returns:
        metrics: titles; large and small: (dimension, rows) of parts with at least, and with fewer than ``LEAST_GROUPS``
        groups; least: that number; small_count: rows of ``small``. Cells "scores" of a row are in the order of metrics.
    """
    of: dict[tuple[str, str], dict[str, Record]] = {}
    for row in read_records(subgroups[subgroups["metric"].isin(SUBGROUP_METRICS)]):
        of.setdefault((row["dimension"], str(row["level"])), {})[row["metric"]] = row
    metrics = [metric for metric in SUBGROUP_METRICS if any(metric in rows for rows in of.values())]
    sizes: dict[str, dict[str, list[dict[str, Any]]]] = {"large": {}, "small": {}}
    for (dimension, level), rows in of.items():
        size = "large" if max(row["groups"] for row in rows.values()) >= LEAST_GROUPS else "small"
        sizes[size].setdefault(DIMENSION_TITLES[dimension], []).append(_show_part(level, rows, metrics))
    return {
        "metrics": [title(metric) for metric in metrics],
        "least": LEAST_GROUPS,
        "small_count": sum(len(rows) for rows in sizes["small"].values()),
        **{size: list(dimensions.items()) for size, dimensions in sizes.items()},
    }


def _show_part(level: str, rows: dict[str, Record], metrics: Sequence[str]) -> dict[str, Any]:
    last = rows.get(metrics[-1], {})
    control = last.get("best_control", "")
    counted = next(iter(rows.values())) | last
    return {
        "level": level,
        "n": f"{counted['n']:,}",
        "groups": in_groups(counted),
        "excluded": f"{counted['excluded']:,}",
        "scores": [_show_part_score(rows.get(metric)) for metric in metrics],
        "control": title(control) if control else "",
        "control_mean": number(last["best_control_mean"], decimals(last)) if control else "–",
        "note": "; ".join(dict.fromkeys(row["note"] for row in rows.values() if row["note"])),
    }


def _show_part_score(row: Record | None) -> Cells:
    """Both arms and their difference in one metric; dashes where the part was not scored by it."""
    if row is None:
        return dict.fromkeys(("base", "tuned", "difference", "p_holm"), "–") | {"difference_interval": ""}
    return show_values(row, ("base", "tuned", "difference")) | {"p_holm": show_p(row["p_holm"])}


def list_forgetting(forgetting: pd.DataFrame) -> list[Cells]:
    """Rows of the table of what the model lost in general English."""
    shown = []
    for row in read_records(forgetting):
        named = {**row, "metric": row["measure"], "difference_low": row["low"], "difference_high": row["high"]}
        cells = {"measure": title(row["measure"]), "n": f"{row['n']:,}", "note": row["note"]}
        shown.append(cells | show_values(named, ("base", "tuned", "difference")))
    return shown


def list_published(as_published: pd.DataFrame) -> list[Cells]:
    """Rows of the table of figures as studies publish them, beside the sound ones; a variant's fault is told once."""
    told: set[str] = set()
    rows = []
    for row in read_records(as_published):
        cells = {"quantity": title(row["quantity"]), "variant": str(row["variant"]), "sound": str(row["sound"])}
        cells |= {name: f"{row[name]:,}" for name in ("n", "excluded")}
        cells |= {name: _show_figure(row[name]) for name in ("base", "tuned", "value")}
        rows.append(cells | {"note": "" if row["variant"] in told else row["note"]})
        told.add(row["variant"])
    return rows


def _show_figure(value: float) -> str:
    return "–" if math.isnan(value) else minus(f"{value:.4g}")


def _rows_of(comparison: pd.DataFrame, families: Sequence[str]) -> list[Record]:
    """Rows of some families, in the order of the families."""
    return read_records(pd.concat([comparison[comparison["family"] == family] for family in families]))


def _show_metric(row: Record) -> Cells:
    missing = f"not computed: {row['missing']}" if row["missing"] else ""
    return {
        "metric": title(row["metric"]),
        "direction": show_direction(row["better"]),
        "n": f"{row['n']:,}",
        "groups": in_groups(row),
        "excluded": f"{row['excluded']:,}",
        "signature": row["signature"],
        "note": "; ".join(filter(None, [missing, _name_arms(row["note"])])),
    }


def _show_beaten(row: Record) -> str:
    """Whether the tuned model beats a control, over all pairs where the exclusions leave too few."""
    suffix = "_all" if math.isnan(row["tuned_difference"]) else ""
    bounds = {f"tuned_difference_{bound}": row[f"tuned_difference{suffix}_{bound}"] for bound in ("low", "high")}
    return "yes" if judge_control(bounds) == "beaten" else "no"


def _name_arms(note: str) -> str:
    """The evaluation's note with the controls called as in the tables."""
    return re.sub(rf"\b({'|'.join(CONTROL_MEANINGS)})({MATCHED})?\b", lambda name: title(name[0]).lower(), note)
