"""Corpora and splits in numbers: words, groups, topics and the reasons for which rows were left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from med_lora.pipelines.data_report.bars import SPLIT_COLOURS
from med_lora.pipelines.data_report.summary import ends_of_rows
from med_lora.pipelines.data_report.wording import count, in_words
from med_lora.pipelines.evaluation.splits import Split
from med_lora.report_page.figures import break_label, make_figure
from med_lora.report_page.wording import share

FEWEST_PAIRS = 5  # of a topic that is named: a rare disease in a small hospital may point to one person
PARTS = ("question", "answer")


def count_reasons(row_outcomes: pd.DataFrame) -> pd.DataFrame:
    """Rows by stage and reason, a column a corpus, ``kept`` among the reasons.

    Args:
        row_outcomes: corpus, rows_read, stage, outcome, rows; what screening found is no end of a row and is left out.
    """
    ends = ends_of_rows(row_outcomes)
    counted = ends.assign(outcome=[in_words(str(reason)) for reason in ends["outcome"]])
    table = counted.pivot_table(index=["stage", "outcome"], columns="corpus", values="rows", aggfunc="sum", sort=False)
    return table.fillna(0).astype(int).rename_axis(columns=None)


def count_words(splits: Mapping[str, Split]) -> pd.DataFrame:
    """Words of every pair, split at white space: columns split, corpus, question, answer; no id and no text."""
    tables = []
    for name, split in splits.items():
        pairs = split.to_pandas()
        words = {part: pairs[part].str.split().str.len().astype(int) for part in PARTS}
        tables.append(pd.DataFrame({"split": name, "corpus": pairs["corpus"], **words}))
    return pd.concat(tables, ignore_index=True)


def describe_words(words: pd.DataFrame) -> pd.DataFrame:
    """Median, 95th percentile and maximum of the words by corpus and part; all are lengths that occur."""
    rows = []
    for corpus, of_corpus in words.groupby("corpus"):
        for part in PARTS:
            median, high = np.percentile(of_corpus[part], (50, 95), method="inverted_cdf")
            sizes = {"median": int(median), "p95": int(high), "max": int(of_corpus[part].max())}
            rows.append({"corpus": corpus, "part": part, "pairs": len(of_corpus)} | sizes)
    return pd.DataFrame(rows)


def draw_words(words: pd.DataFrame) -> Any:
    """Words of the answers of each corpus as boxes (quartiles; whiskers to the 5th and 95th percentile)."""
    import plotly.graph_objects as go

    traces = []
    for corpus, lengths in words.groupby("corpus")["answer"]:
        low, first, median, third, high = (float(value) for value in np.percentile(lengths, (5, 25, 50, 75, 95)))
        box = {"lowerfence": [low], "q1": [first], "median": [median], "q3": [third], "upperfence": [high]}
        label = f"{break_label(str(corpus))}<br>n = {len(lengths):,}"
        traces.append(go.Box(y=[label], name=str(corpus), orientation="h", marker_color=SPLIT_COLOURS["train"], **box))
    medians = words.groupby("corpus")["answer"].median()
    caption = f"Medians of the corpora lie between {medians.min():.0f} and {medians.max():.0f} words."
    figure = make_figure(traces, "Words of the answers", f"n = {len(words):,} pairs of all splits", caption)
    figure.update_xaxes(title_text="words (between white space)", rangemode="tozero")
    return figure.update_layout(showlegend=False, height=200 + 70 * len(traces), margin_t=100)


def count_groups(splits: Mapping[str, Split]) -> pd.DataFrame:
    """Pairs and groups of every split, how uneven the groups are, and groups that another split has as well.

    Returns:
        Columns split, pairs, groups, median_pairs and largest (pairs of a group), largest_share (of the split's pairs),
        shared (groups also in another split, which a split by group leaves none of).
    """
    groups = {name: split.to_pandas()["group"] for name, split in splits.items()}
    rows = []
    for name, of_split in groups.items():
        sizes = of_split.value_counts()
        others = {group for other, values in groups.items() if other != name for group in values}
        rows.append(
            {"split": name, "pairs": len(of_split), "groups": len(sizes)}
            | {"median_pairs": float(sizes.median()), "largest": int(sizes.max())}
            | {"largest_share": share(float(sizes.max() / len(of_split))), "shared": len(others & {*sizes.index})}
        )
    return pd.DataFrame(rows)


def count_topics(splits: Mapping[str, Split], fewest: int = FEWEST_PAIRS) -> pd.DataFrame:
    """Pairs of every topic in each split, the most frequent first.

    Topics with fewer than ``fewest`` pairs are counted together and not named; so are pairs without one.

    Returns:
        Columns topic, pairs, and one of each split.
    """
    pairs = pd.concat(split.to_pandas()[["focus"]].assign(split=name) for name, split in splits.items())
    totals = pairs.loc[pairs["focus"] != "", "focus"].value_counts()
    rare = {str(topic) for topic, size in totals.items() if size < fewest}
    names = {"": "no topic given"} | dict.fromkeys(rare, f"{count(len(rare), 'topic')} with fewer than {fewest} pairs")
    counted = pd.crosstab(pairs["focus"].map(lambda topic: names.get(topic, topic)), pairs["split"])
    table = counted.reindex(columns=list(splits), fill_value=0).rename_axis("topic", axis=0).rename_axis(None, axis=1)
    table.insert(0, "pairs", table.sum(axis=1))
    ordered = table.reset_index().sort_values(["pairs", "topic"], ascending=[False, True], ignore_index=True)
    last = ordered["topic"].isin({*names.values()})
    return pd.concat([ordered[~last], ordered[last]], ignore_index=True)
