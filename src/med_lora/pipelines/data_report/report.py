"""The data report: one HTML file that opens from disk and asks nothing of any network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pandas as pd

from med_lora.pipelines.data_report.summary import order_stages
from med_lora.pipelines.data_report.wording import ACTIONS, OVERLONG, count, describe_leakage, in_words, leakage_words
from med_lora.pipelines.evaluation.splits import Split
from med_lora.report_page import render_page
from med_lora.report_page.markdown import render_markdown
from med_lora.report_page.wording import share

EXAMPLE_WORDS = 60
FILTERS: dict[str, Callable[..., Any]] = {
    "plain": in_words,
    "n": lambda number: f"{number:,}",
    "count": count,
    "part": lambda part, whole: share(part / whole) if whole else "–",
}


def render_data_report(
    summary: dict[str, Any],
    datasheet: str,
    outcomes_figure: Any,
    lengths_figure: Any,
    question_types_figure: Any,
    leakage_figure: Any,
    train: Split,
    experiment: str,
    description: str,
    examples: int,
) -> str:
    """The whole data report as one HTML document; plotly.js and the figures are inside, everything else is plain HTML.

    Args:
        summary: as :func:`summarise_data` returns it.
        datasheet: as :func:`write_datasheet` returns it.
        outcomes_figure: ``plotly`` figure, as the next three.
        lengths_figure: token lengths of each split.
        question_types_figure: question types of each split.
        leakage_figure: what the splits share with training.
        train: pairs from which the examples are taken.
        experiment: its name.
        description: what it asks.
        examples: pairs of each corpus that are shown.
    """
    figures = {
        "outcome-bars": outcomes_figure,
        "leakage-bars": leakage_figure,
        "length-histograms": lengths_figure,
        "question-type-bars": question_types_figure,
    }
    titles = {entry["name"]: entry["title"] for entry in [*summary["corpora"], *summary["sources"]]}
    values = {
        "summary": summary,
        "experiment": experiment,
        "description": description,
        **_describe(summary, titles),
        "examples": choose_examples(train, titles, examples),
        "datasheet": render_markdown(datasheet),
    }
    rebuilt = {name: _rebuild(figure) for name, figure in figures.items()}
    return render_page(__package__, "data_report.html.j2", rebuilt, FILTERS, values)


def _describe(summary: dict[str, Any], titles: dict[str, str]) -> dict[str, Any]:
    """What the page says about the summary beyond its numbers."""
    reasons = summary["reasons"]
    stages = order_stages(pd.Series([reason["stage"] for reason in reasons], dtype="str"))
    return {
        "sentence": state_summary(summary),
        "stages": stages,
        "stage_totals": {name: sum(row["rows"] for row in reasons if row["stage"] == name) for name in stages},
        "duplicates": {in_words(row["reason"]): row["rows"] for row in reasons if row["stage"] == "deduplicate"},
        "leakage": describe_leakage(summary["leakage"]),
        "leaks": any(row["pairs"] for row in summary["leakage"]),
        "leakage_table": tabulate_leakage(summary["leakage"]),
        "benchmark_titles": [titles[name] for name in summary["settings"]["benchmarks"]],
        "actions": ACTIONS,
        "overlong": OVERLONG,
        "words": EXAMPLE_WORDS,
    }


def _rebuild(figure: Any) -> Any:
    """The same figure with its keys in the order that plotly gives them when it loads one from a file."""
    import plotly.graph_objects as go

    return go.Figure(figure.to_plotly_json())


def state_summary(summary: dict[str, Any]) -> str:
    """The data in a few sentences: rows, splits, the worst leakage of the test split, and what training will cut."""
    rows, corpora = summary["rows"], summary["corpora"]
    kept = share(rows["kept"] / rows["read"]) if rows["read"] else "0 %"
    sources = f"{len(corpora)} {'source' if len(corpora) == 1 else 'sources'}"
    sentences = [f"Of {rows['read']:,} rows read from {sources}, {rows['kept']:,} were kept as pairs ({kept})."]
    sizes = [f"{split['name']} {split['pairs']:,}" for split in summary["splits"]]
    sentences.append(f"Pairs in the splits: {', '.join(sizes)}.")
    sentences.append(_state_worst_leakage(summary["leakage"]))
    for row in summary["lengths"]:
        if row["split"] == "train" and row["over"] is not None:
            over = f"{row['over']:,} of {row['pairs']:,} training pairs ({share(row['over'] / row['pairs'])})"
            sentences.append(f"{over} are longer than the {summary['max_length']:,} tokens that training takes.")
    return " ".join(sentences)


def _state_worst_leakage(leakage: list[dict[str, Any]]) -> str:
    of_test = [row for row in leakage if row["split"] == "test" and row["of"]]
    if not of_test:
        return "Leakage of the test split was not measured."
    worst = max(of_test, key=lambda row: row["pairs"])
    if not worst["pairs"]:
        return "No test pair has a counterpart in training."
    counted = f"{worst['pairs']:,} of {worst['of']:,} test pairs ({share(worst['share'])})"
    return f"{counted} {leakage_words(worst['kind'])}."


def tabulate_leakage(leakage: list[dict[str, Any]]) -> dict[str, Any]:
    """Leakage with a row for each kind, in words, and a column for each split.

    Returns:
        splits: names; rows: the words of a kind, and a cell for each split.
    """
    splits, kinds = (list(dict.fromkeys(row[name] for row in leakage)) for name in ("split", "kind"))
    cells = {(row["kind"], row["split"]): f"{row['pairs']:,} of {row['of']:,}" for row in leakage}
    rows = [(leakage_words(kind), [cells.get((kind, split), "–") for split in splits]) for kind in kinds]
    return {"splits": splits, "rows": rows}


def choose_examples(train: Split, titles: dict[str, str], examples: int) -> list[dict[str, str]]:
    """Training pairs of each corpus, chosen by a hash of the id, with the beginning of question and answer."""
    pairs: pd.DataFrame = train.to_pandas()
    chosen = []
    for corpus, rows in pairs.groupby("corpus", sort=False):
        drawn = rows.assign(place=[_draw(pair) for pair in rows["id"]]).sort_values("place").head(examples)
        for pair in drawn[["id", "question", "answer"]].to_dict("records"):
            texts = {name: _begin(pair[name]) for name in ("question", "answer")}
            chosen.append({"id": pair["id"], "title": titles.get(str(corpus), in_words(str(corpus))), **texts})
    return chosen


def _draw(pair: str) -> str:
    return hashlib.sha256(pair.encode()).hexdigest()


def _begin(text: str) -> str:
    """The first words of a text, which is what a reader needs to see what a corpus is like."""
    words = text.split()
    return text if len(words) <= EXAMPLE_WORDS else f"{' '.join(words[:EXAMPLE_WORDS])} …"
