"""The figures of the data report: where rows ended, how long pairs are, what they ask, and what the splits share.

In the style of the figures of the report on the models; every figure carries its finding in words under
``layout.meta["caption"]``. Names that come with the data are escaped, since plotly reads tags in labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from med_lora.parameters import CorpusParams, TrainingParams
from med_lora.pipelines.data_report.bars import (
    ROW,
    SPLIT_COLOURS,
    colour_of,
    empty_figure,
    height_of,
    label,
    name_rows,
    note,
    shorten,
    split_bars,
    stage_bars,
)
from med_lora.pipelines.data_report.summary import LENGTH_PARTS, add_lengths, ends_of_rows, order_stages, title_of
from med_lora.pipelines.data_report.wording import describe_leakage, in_words
from med_lora.pipelines.evaluation.splits import Split
from med_lora.report_page.figures import VERMILION, make_figure
from med_lora.report_page.wording import share

SPLIT_DASHES = {"train": "solid", "validation": "dash", "test": "dot"}
READABLE_SHARE = 10.0  # percent of a bar below which its number would not fit
MOST_REASONS = 12
MOST_TYPES = 9  # with more, bars of three splits would not fit on a printed page
BIN_GROWTH = 1.2
TICKS = {True: (1, 3), False: (1, 2, 5)}  # in each power of ten: fewer where the axis is long
BETWEEN = 110  # pixels from one part of a figure to the next


def plot_outcomes(outcomes: pd.DataFrame, corpora: dict[str, Any]) -> Any:
    """Where the rows of each corpus ended, in percent, and the reasons behind it in rows, as a ``plotly`` figure.

    Args:
        outcomes: corpus, rows_read, stage, outcome, rows.
        corpora: the parameter ``corpora``, values as :class:`CorpusParams` or as plain mappings.
    """
    ends = ends_of_rows(outcomes)
    read = ends.groupby("corpus", sort=False)["rows_read"].first()
    reasons = _rank_reasons(ends)
    caption = _caption_outcomes(ends, read)
    heading, subtitle = "What became of the rows", f"n = {int(read.sum()):,} rows read from {len(read)} corpora"
    if not read.sum():
        return empty_figure(heading, subtitle, caption)
    figure = make_figure(_outcome_bars(ends, read), heading, subtitle, caption)
    upper, lower = 2 * ROW * len(read) + ROW, ROW * max(2, len(reasons))
    drawn = upper + BETWEEN + lower
    heights = [upper / drawn, lower / drawn]
    figure.set_subplots(rows=2, cols=1, row_heights=heights, vertical_spacing=BETWEEN / drawn)
    figure.add_traces(_reason_bars(reasons), rows=2, cols=1)
    titles = {name: CorpusParams.model_validate(corpus).title for name, corpus in corpora.items()}
    name_rows(figure, [f"{label(title_of(str(name), titles))}<br>n = {rows:,}" for name, rows in read.items()], row=1)
    name_rows(figure, [label(in_words(reason)) for _, reason, _ in reasons], row=2)
    longest = max((rows for *_, rows in reasons), default=1)
    figure.update_xaxes(title_text="share of the rows read (%)", range=[0, 100], row=1, col=1)
    figure.update_xaxes(title_text="rows left out, by reason", range=[0, 1.15 * longest], row=2, col=1)
    if not reasons:
        note(figure, "no row was left out", "x2 domain", "y2 domain")
    height = drawn + 225
    # over the whole width: the labels of the bars leave too little of it to six names
    legend = {"x": 0.02, "xref": "container", "y": 1 - 75 / height, "yref": "container", "yanchor": "top"}
    figure.update_layout(legend=legend, barmode="stack", height=height, margin_t=165, margin_b=60, bargap=0.25)
    return figure


def _outcome_bars(ends: pd.DataFrame, read: pd.Series) -> list[Any]:
    """One bar a corpus, of the rows kept and those that ended at each stage, in percent of those read."""
    is_kept = ends["outcome"] == "kept"
    parts = [("kept", ends[is_kept])]
    given = ends[~is_kept & (ends["rows"] > 0)]
    parts += [(stage, given[given["stage"] == stage]) for stage in order_stages(given["stage"])]
    bars = []
    for name, rows in parts:
        counts = rows.groupby("corpus")["rows"].sum().reindex(read.index, fill_value=0)
        shares = (100 * counts / read.where(read > 0, 1)).tolist()
        bars.append(stage_bars(name, shares, [f"{count:,}" for count in counts], READABLE_SHARE))
    return bars


def _reason_bars(reasons: Sequence[tuple[str, str, int]]) -> list[Any]:
    import plotly.graph_objects as go

    counts = [rows for *_, rows in reasons]
    bars = go.Bar(
        y=list(range(len(reasons))),
        x=counts,
        text=[f"{count:,}" for count in counts],
        textposition="outside",
        cliponaxis=False,
        orientation="h",
        marker_color=[colour_of(stage) for stage, *_ in reasons],
        showlegend=False,
        name="reasons",
        hovertemplate="%{x:,} rows<extra></extra>",
    )
    return [bars] if reasons else []


def _rank_reasons(ends: pd.DataFrame) -> list[tuple[str, str, int]]:
    """(stage, reason, rows) of the most frequent reasons, by stage and then by rows; the rest of a stage in one."""
    given = ends[(ends["outcome"] != "kept") & (ends["rows"] > 0)]
    totals = given.groupby(["stage", "outcome"])["rows"].sum().reset_index()
    ranked = totals.sort_values(["rows", "stage", "outcome"], ascending=[False, True, True], ignore_index=True)
    rest = ranked[MOST_REASONS:].groupby("stage")["rows"].sum().reset_index().assign(outcome="other_reasons")
    listed = pd.concat([ranked[:MOST_REASONS], rest], ignore_index=True)
    return [
        (stage, str(reason), int(rows))
        for stage in order_stages(given["stage"])
        for of_stage, reason, rows in listed[["stage", "outcome", "rows"]].itertuples(index=False)
        if of_stage == stage
    ]


def _caption_outcomes(ends: pd.DataFrame, read: pd.Series) -> str:
    kept = int(ends.loc[ends["outcome"] == "kept", "rows"].sum())
    if not read.sum():
        return "No row was read."
    reasons = _rank_reasons(ends)
    caption = f"{kept:,} of {int(read.sum()):,} rows were kept ({share(kept / int(read.sum()))})."
    if not reasons:
        return f"{caption} None was left out."
    _, reason, rows = max(reasons, key=lambda reason: reason[2])
    return f"{caption} The most frequent reason to leave one out: {in_words(reason)} ({rows:,} rows)."


def plot_lengths(token_lengths: pd.DataFrame, training: TrainingParams) -> Any:
    """Histograms of the tokens of prompts, answers and both, of each split, as a ``plotly`` figure.

    Args:
        token_lengths: as :func:`read_lengths` returns them.
        training: its ``max_length`` is marked where prompt and answer stand together, which is what it bounds.
    """
    lengths = add_lengths(token_lengths)
    of = {name: rows for name in SPLIT_COLOURS if len(rows := lengths[lengths["split"] == name])}
    counts = ", ".join(f"{len(rows):,} {name}" for name, rows in of.items())
    heading, subtitle = "Length of the pairs", f"n = {counts or 0} pairs; bins grow with the length"
    caption = _caption_lengths(of, training.max_length)
    if not of:
        return empty_figure(heading, subtitle, caption)
    parts = lengths[list(LENGTH_PARTS.values())]
    edges = _bin_edges(int(parts.to_numpy().min()), int(parts.to_numpy().max()))
    first, *others = LENGTH_PARTS.values()
    figure = make_figure(
        [_histogram(rows[first], edges, name) for name, rows in of.items()], heading, subtitle, caption
    )
    figure.set_subplots(
        rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.09, subplot_titles=_title_parts(of, training.max_length)
    )
    for row, column in enumerate(others, start=2):
        traces = [_histogram(rows[column], edges, name) for name, rows in of.items()]
        figure.add_traces([trace.update(showlegend=False) for trace in traces], rows=row, cols=1)
    _scale_by_tokens(figure, edges)
    figure.update_xaxes(title_text="tokens of the base model's tokenizer (logarithmic)", row=3, col=1)
    figure.update_annotations(x=0, xanchor="left", font_size=13)
    figure.update_layout(height=780, margin_t=160, legend_y=1.06).update_yaxes(rangemode="tozero")
    figure.update_yaxes(title_text="share of a split's pairs in a bin (%)", row=2, col=1)
    figure.add_vline(x=training.max_length, line={"color": VERMILION, "width": 2}, row=3, col=1)
    return figure.add_annotation(
        **{"x": float(np.log10(training.max_length)), "xref": "x3", "y": 1, "yref": "y3 domain"},
        **{"text": f"max_length {training.max_length:,}", "font": {"color": VERMILION, "size": 14}},
        **{"showarrow": False, "xanchor": "right", "yanchor": "top", "xshift": -6, "bgcolor": "#ffffff"},
    )


def _bin_edges(shortest: int, longest: int) -> list[int]:
    """Whole numbers, each a fifth above the one before and at least 1; the first bin and what is above are empty."""
    edges = [1]
    while edges[-1] <= longest:
        edges.append(max(edges[-1] + 1, round(BIN_GROWTH * edges[-1])))
    return edges[max(0, int(np.searchsorted(edges, shortest, side="right")) - 2) :]


def _scale_by_tokens(figure: Any, edges: Sequence[int]) -> None:
    ticks = [number * 10**power for power in range(7) for number in TICKS[edges[-1] > 50 * edges[0]]]
    bounds = [float(np.log10(edges[0])), float(np.log10(1.05 * edges[-1]))]
    figure.update_xaxes(type="log", range=bounds, tickvals=ticks, ticktext=[f"{tick:,}" for tick in ticks])


def _title_parts(of: Mapping[str, pd.DataFrame], max_length: int) -> list[str]:
    """A title for each part; that of the whole says how much of each split lies beyond ``max_length``."""
    *parts, _ = LENGTH_PARTS
    beyond = [f"{name} {share(float((rows['tokens'] > max_length).mean()))}" for name, rows in of.items()]
    return [*parts, f"prompt + answer; over max_length: {', '.join(beyond)}"]


def _histogram(lengths: pd.Series, edges: Sequence[int], split: str) -> Any:
    import plotly.graph_objects as go

    counts, _ = np.histogram(lengths, edges)
    shares = (100 * counts / len(lengths)).tolist()
    ranges = [f"{low:,} to {high - 1:,}" for low, high in pairwise(edges)]
    return go.Scatter(
        x=list(edges),
        y=[*shares, 0.0],
        customdata=[*zip(ranges, counts.tolist(), strict=True), ("", 0)],
        name=split,
        legendgroup=split,
        mode="lines",
        line={"shape": "hv", "color": SPLIT_COLOURS[split], "dash": SPLIT_DASHES[split], "width": 2},
        hovertemplate="%{customdata[0]} tokens: %{customdata[1]:,} pairs (%{y:.1f} %)<extra>%{fullData.name}</extra>",
    )


def _caption_lengths(of: Mapping[str, pd.DataFrame], max_length: int) -> str:
    if not of:
        return "No split holds a pair."
    words = []
    for name, rows in of.items():
        over = int((rows["tokens"] > max_length).sum())
        words.append(f"{over:,} of {len(rows):,} {name} pairs ({share(over / len(rows))})")
    return f"Prompt and answer together are longer than {max_length:,} tokens in {', '.join(words)}."


def plot_question_types(train: Split, validation: Split, test: Split) -> Any:
    """Share of each question type in the pairs of each split that have one, as a ``plotly`` figure.

    Args:
        train: pairs with question_type ("" where the corpus names none), as the next two.
        validation: validation pairs.
        test: test pairs.
    """
    splits = {"train": train, "validation": validation, "test": test}
    types = {name: split.to_pandas()["question_type"] for name, split in splits.items()}
    pairs = sum(len(of_split) for of_split in types.values())
    typed = {name: of_split[of_split != ""] for name, of_split in types.items() if (of_split != "").any()}
    n = sum(len(of_split) for of_split in typed.values())
    heading, subtitle = "What the questions ask", f"n = {n:,} of {pairs:,} pairs, those with a question type"
    if not typed:
        return empty_figure(heading, subtitle, "No pair carries a question type; its corpora name none.")
    ranked = _rank_types(pd.concat(typed.values()))
    shown, rest = ranked[:MOST_TYPES], len(ranked[MOST_TYPES:])
    traces = []
    for name, of_split in typed.items():
        counts = [int((of_split == kind).sum()) for kind, _ in shown]
        counts += [len(of_split) - sum(counts)] if rest else []
        shares = [100 * count / len(of_split) for count in counts]
        traces.append(split_bars(name, shares, [f"{count:,}" for count in counts], len(of_split)))
    first, rows = ranked[0]
    caption = f"Of {n:,} pairs with a question type, {rows:,} have the type “{shorten(first)}” ({share(rows / n)})."
    figure = make_figure(traces, heading, subtitle, caption)
    labels = [label(kind) for kind, _ in shown] + ([f"{rest} other types"] if rest else [])
    name_rows(figure, labels)
    figure.update_xaxes(title_text="share of a split's pairs with a question type (%)", rangemode="tozero")
    return figure.update_layout(height=height_of(len(labels), len(traces)), margin_t=130, bargap=0.25)


def _rank_types(types: pd.Series) -> list[tuple[str, int]]:
    """Question types and their pairs, the most frequent first, and by name among equals."""
    counts = [(str(kind), int(rows)) for kind, rows in types.value_counts().items()]
    return sorted(counts, key=lambda counted: (-counted[1], counted[0]))


def plot_leakage(leakage: pd.DataFrame) -> Any:
    """Share of the validation and test pairs that have something in common with training, as a ``plotly`` figure.

    Args:
        leakage: split, kind, pairs, of, share.
    """
    leakage = leakage[leakage["of"] > 0]  # an empty split shares nothing
    kinds = list(dict.fromkeys(leakage["kind"]))
    traces = []
    for name, rows in leakage.groupby("split", sort=False):
        by_kind = rows.set_index("kind").reindex(kinds)
        words = [
            f"{int(part):,} of {int(of):,}" if of == of else "" for part, of in by_kind[["pairs", "of"]].to_numpy()
        ]
        shares = (100 * by_kind["share"].fillna(0.0)).tolist()
        traces.append(split_bars(str(name), shares, words, int(rows["of"].max())))
    pairs = ", ".join(f"{of:,} {name}" for name, of in leakage.groupby("split", sort=False)["of"].max().items())
    heading, subtitle = "What the splits share with training", f"n = {pairs or 0} pairs; 0 is what a fair test needs"
    caption = " ".join(describe_leakage(leakage.to_dict("records"))) or "Leakage was not measured."
    if not leakage["pairs"].any():
        return empty_figure(heading, subtitle, caption)
    figure = make_figure(traces, heading, subtitle, caption)
    name_rows(figure, [label(in_words(kind)) for kind in kinds])
    longest = max(5.0, 100 * float(leakage["share"].max()))
    figure.update_xaxes(title_text="share of a split's pairs (%)", range=[0, 1.2 * longest])
    return figure.update_layout(height=height_of(len(kinds), len(traces)), margin_t=130, bargap=0.25)
