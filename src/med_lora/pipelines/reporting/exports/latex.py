"""Tables for a paper: the run's statistics in LaTeX, one table each."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.reporting.exports.study_tables import show_published, show_study
from med_lora.pipelines.reporting.exports.typesetting import DASH, FIT, Table, typeset
from med_lora.pipelines.reporting.headline import find_best_control, judge_control
from med_lora.pipelines.reporting.judge_verdict import describe_verdict
from med_lora.pipelines.reporting.studies.shapes import REHEARSAL
from med_lora.report_page.records import Record, read_records
from med_lora.report_page.wording import decimals, in_groups, interval, minus, number, percent, show_p, title

VALUE_FAMILIES = ("loss", "overlap", "meaning", "choice")
CORPUS_METRICS = ("sacrebleu", "bleu_unsmoothed", "chrf")
HEADER = (
    "% Tables of experiment {experiment}, one float each. In the preamble: \\usepackage{{booktabs,graphicx}}; in the "
    "text: \\input{{latex_tables}} and Table~\\ref{{tab:{experiment}-comparison}}."
)


def write_latex(
    experiment: str,
    evaluation: EvaluationParams,
    comparison: pd.DataFrame,
    controls: pd.DataFrame,
    corpus_scores: pd.DataFrame,
    forgetting: pd.DataFrame,
    judge_comparison: pd.DataFrame | None = None,
    retrieval_comparison: pd.DataFrame | None = None,
    ratings_comparison: pd.DataFrame | None = None,
    benchmark_comparison: pd.DataFrame | None = None,
    study_table: pd.DataFrame | None = None,
    published_comparison: pd.DataFrame | None = None,
    judge_summary: dict[str, Any] | None = None,
) -> str:
    """All tables as one LaTeX source without a preamble.

    Args:
        experiment: its name, the beginning of every label.
        evaluation: level and resamples of the intervals.
        comparison: as the evaluation writes it, like all that follow.
        controls: null controls.
        corpus_scores: metrics of the test set as a whole.
        forgetting: general English before and after.
        judge_comparison: None, like all that follow, where the experiment has none.
        retrieval_comparison: contrasts of the arms with and without passages.
        ratings_comparison: contrasts of people's ratings.
        benchmark_comparison: exams.
        study_table: a study's main table in its own shape.
        published_comparison: a study's figures beside those of the run.
        judge_summary: what the judge's own checks say of it.
    """
    intervals, doubt = _describe_intervals(evaluation), _doubt(judge_summary)
    own = "Ours" if study_table is None or (study_table["source"] != REHEARSAL).all() else "Rehearsal"
    contrasts = {
        "retrieval": ("Arms with and without passages", retrieval_comparison, []),
        "judge": ("A language model as judge, ratings from 1 to 5", judge_comparison, doubt),
        "ratings": ("Ratings by people, from 1 to 5", ratings_comparison, []),
    }
    tables = [
        _comparison(comparison, intervals),
        _controls(comparison, controls),
        _corpus_scores(corpus_scores, intervals),
        _forgetting(forgetting, evaluation),
        *(
            _contrasts(name, what, given, intervals)._replace(notes=notes)
            for name, (what, given, notes) in contrasts.items()
            if given is not None
        ),
        *([] if benchmark_comparison is None else [_benchmarks(benchmark_comparison, evaluation)]),
        *([] if study_table is None else [show_study(study_table, doubt)]),
        *([] if published_comparison is None else [show_published(published_comparison, evaluation, doubt, own)]),
    ]
    label = "tab:" + "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in experiment)
    head = [HEADER.format(experiment=label.removeprefix("tab:")), FIT]
    return "\n\n".join([*head, *(typeset(table, label) for table in tables if table.rows)]) + "\n"


def _describe_intervals(evaluation: EvaluationParams) -> str:
    return (
        f"Brackets: {percent(evaluation.confidence)} intervals of a cluster bootstrap over groups "
        f"({evaluation.bootstrap_samples:,} resamples)."
    )


def _comparison(comparison: pd.DataFrame, intervals: str) -> Table:
    """Two lines a metric: the numbers, and their intervals below."""
    kept = comparison[comparison["family"].isin(VALUE_FAMILIES) & comparison["base"].notna()]
    rows: list[list[str]] = []
    for row in read_records(kept):
        places, control = decimals(row), row["best_control"]
        values = [_show(row[name], places) for name in ("base", "tuned", "difference")]
        bounds = [_bounds(row, name, places) for name in ("base", "tuned", "difference")]
        best = _show(row["best_control_mean"], places) if control else DASH
        rows.append([_arrow(row), str(row["n"]), *values, show_p(row["p_holm"]), best])
        rows.append(["", "", *bounds, "", title(control) if control else ""])
    tests = int(comparison["p_value"].notna().sum())
    caption = (
        f"Base and tuned model on {_pairs(kept)}. {intervals} p: signed-rank test on groups, Holm-adjusted over "
        f"{tests} tests; a dash where nothing was tested. Best control: the null control with the best mean, of which "
        "nothing is tested. Arrows: the better direction."
    )
    head = ["Metric", "n", "Base", "Tuned", "Difference", "p", "Best control"]
    return Table("comparison", caption, head, rows, notes=[*_cut(comparison), *_absent(comparison)])


def _pairs(rows: pd.DataFrame) -> str:
    """``60 test pairs in 28 groups``, with the range where metrics rest on different numbers."""
    if rows.empty:
        return "the test pairs"
    low, high = int(rows["n"].min()), int(rows["n"].max())
    n = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{n} test pairs {in_groups({'groups': int(rows['groups'].max())})}"


def _cut(comparison: pd.DataFrame) -> list[str]:
    """What share of the answers reached the limit: it weighs on every text metric."""
    cut = read_records(comparison[comparison["metric"] == "answer_cut"])
    shares = [f"{row['base']:.0%} of the base and {row['tuned']:.0%} of the tuned model's answers" for row in cut]
    return [f"{share} were cut at the length limit." for share in shares]


def _absent(comparison: pd.DataFrame) -> list[str]:
    """Metrics that the table lacks: not computed, or without a pair that the exclusions leave."""
    lost = comparison[comparison["family"].isin(VALUE_FAMILIES) & comparison["base"].isna()]
    names = ", ".join(title(metric) for metric in lost["metric"])
    return [f"Without a value (not computed, or every pair excluded): {names}."] if names else []


def _controls(comparison: pd.DataFrame, controls: pd.DataFrame) -> Table:
    """Arms by metrics; a star marks a control that the tuned model does not clearly beat."""
    tested = read_records(comparison[(comparison["better"] == "higher") & comparison["p_value"].notna()])
    shown = [row for row in tested if find_best_control(controls, row["metric"]) is not None]
    cells = {(row["arm"], row["metric"]): row for row in read_records(controls)}
    rows = [[title(arm), *(_show(row[arm], decimals(row)) for row in shown)] for arm in ("base", "tuned")]
    for arm in sorted(set(controls["arm"])) if shown else []:
        rows.append([title(arm), *(_control(cells.get((arm, row["metric"])), decimals(row)) for row in shown)])
    caption = (
        "Null controls, which answer without understanding the question, beside both models on "
        f"{_pairs(pd.DataFrame(shown))}. A star marks a control that the tuned model does not clearly beat: the "
        "interval of the paired difference holds zero or lies below it. Of the controls nothing is tested. “Same "
        "length”: cut or continued to the length of the tuned model's answers."
    )
    return Table("controls", caption, ["Arm", *(title(row["metric"]) for row in shown)], rows if shown else [])


def _control(row: Record | None, places: int) -> str:
    if row is None or math.isnan(row["mean"]):
        return DASH
    bounds = {f"tuned_difference_{end}": row[f"tuned_difference_{end}"] for end in ("low", "high")}
    return _show(row["mean"], places) + ("" if judge_control(bounds) == "beaten" else "*")


def _corpus_scores(corpus_scores: pd.DataFrame, intervals: str) -> Table:
    known = read_records(corpus_scores[corpus_scores["metric"].isin(CORPUS_METRICS) & corpus_scores["value"].notna()])
    scores = {(row["arm"], row["metric"]): row for row in known}
    metrics = [metric for metric in CORPUS_METRICS if any(metric == of for _, of in scores)]
    rows = []
    for arm in dict.fromkeys(row["arm"] for row in known):
        found = [scores.get((arm, metric)) for metric in metrics]
        rows.append([title(arm), *(f"{row['value']:.2f} {_interval(row)}".strip() if row else DASH for row in found)])
    n = sorted({int(row["n"]) for row in known})
    caption = (
        f"Scores of the test set as a whole ({' to '.join(f'{count:,}' for count in n[:: max(len(n) - 1, 1)])} test "
        f"pairs), from 0 to 100. {intervals} Nothing is tested."
    )
    signatures = {row["metric"]: row["signature"] for row in known}
    notes = [f"{title(metric)}: {signatures[metric]}." for metric in metrics]
    return Table(
        "corpus", caption, ["Arm", *(title(metric).partition(" (")[0] for metric in metrics)], rows, notes=notes
    )


def _interval(row: Record) -> str:
    return minus(interval(row["low"], row["high"], 2))


def _forgetting(forgetting: pd.DataFrame, evaluation: EvaluationParams) -> Table:
    rows = []
    for row in read_records(forgetting):
        named = row | {"metric": row["measure"], "difference_low": row["low"], "difference_high": row["high"]}
        places = decimals(named)
        values = [_show(row[name], places) for name in ("base", "tuned", "difference")]
        rows.append([title(row["measure"]), str(row["n"]), *values, _bounds(named, "difference", places)])
    caption = (
        "General English before and after tuning: documents that neither the base model nor the tuning saw; n: "
        f"documents. Brackets: {percent(evaluation.confidence)} bootstrap interval of the difference. Nothing is "
        "tested."
    )
    return Table("forgetting", caption, ["Measure", "n", "Base", "Tuned", "Difference", ""], rows)


def _contrasts(name: str, what: str, contrasts: pd.DataFrame, intervals: str) -> Table:
    """A row a tested metric of each contrast."""
    tested = contrasts[contrasts["p_value"].notna()]
    rows = []
    for row in read_records(tested):
        places = decimals(row)
        values = [_show(row[column], places) for column in ("reference_mean", "arm_mean")]
        difference = f"{_show(row['difference'], places)} {_bounds(row, 'difference', places)}"
        arms = f"{title(row['arm'])} − {title(row['reference']).lower()}"
        rows.append([arms, title(row["metric"]), str(row["n"]), *values, difference, show_p(row["p_holm"])])
    rows = [["", *row[1:]] if place and row[0] == rows[place - 1][0] else row for place, row in enumerate(rows)]
    caption = (
        f"{what}: {_pairs(tested)}. {intervals} p: signed-rank test on groups, Holm-adjusted over {len(tested)} tests."
    )
    head = ["Contrast", "Metric", "n", "Reference", "Arm", "Difference", "p"]
    return Table(name, caption, head, rows, columns="llrrrrr")


def _doubt(judge_summary: dict[str, Any] | None) -> list[str]:
    """That a judge fails its own checks, and of which axes it therefore says nothing."""
    if judge_summary is None:
        return []
    axes = ", ".join(title(metric).partition(": ")[2] for metric in judge_summary["nothing_said"])
    return [f"The judge {describe_verdict(judge_summary)}." + (f" Its ratings of {axes} say nothing." if axes else "")]


def _benchmarks(benchmarks: pd.DataFrame, evaluation: EvaluationParams) -> Table:
    rows = []
    for row in read_records(benchmarks):
        arms = [f"{_show(row[arm], 3)} {_bounds(row, arm, 3)}" for arm in ("base", "tuned")]
        difference = f"{_show(row['difference'], 3)} {_bounds(row, 'difference', 3)}"
        guesses = [_show(row[name], 3) for name in ("chance", "majority")]
        rows.append([row["benchmark"], str(row["n"]), *guesses, *arms, difference, show_p(row["p_holm"])])
    caption = (
        f"Accuracy on exams; n: questions. Brackets: {percent(evaluation.confidence)} intervals, Wilson's of an arm "
        "and a paired bootstrap over questions of the difference. p: McNemar's exact test, Holm-adjusted over "
        f"{len(rows)} tests. Chance: guessing; majority: always the most frequent answer."
    )
    head = ["Exam", "n", "Chance", "Majority", "Base", "Tuned", "Difference", "p"]
    return Table("benchmarks", caption, head, rows)


def _arrow(row: Record) -> str:
    return title(row["metric"]) + {"higher": " ↑", "lower": " ↓"}.get(row["better"], "")


def _show(value: float, places: int) -> str:
    return minus(number(value, places))


def _bounds(row: Record, name: str, places: int) -> str:
    return minus(interval(row[f"{name}_low"], row[f"{name}_high"], places))
