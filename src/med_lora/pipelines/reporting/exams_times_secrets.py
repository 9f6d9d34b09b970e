"""Rows of the tables on exams, speed and secrets."""

from __future__ import annotations

import pandas as pd

from med_lora.pipelines.reporting.cells import Cells, align, show_values
from med_lora.report_page.records import Record, read_records
from med_lora.report_page.wording import number, show_p, title


def list_benchmarks(benchmark_comparison: pd.DataFrame) -> list[Cells]:
    """Rows of the table of exams: accuracy of both arms beside guessing and the most frequent choice."""
    rows = []
    names = ("chance", "majority", "base", "tuned", "difference")
    for row in read_records(benchmark_comparison):
        cells: Cells = {"benchmark": row["benchmark"].replace("_", " "), "n": f"{row['n']:,}"}
        cells |= {"excluded": f"{row['excluded']:,}", "p": show_p(row["p_value"]), "p_holm": show_p(row["p_holm"])}
        cells |= {"only": f"{row['base_only']:,} / {row['tuned_only']:,}"}
        cells |= {"signature": row["signature"], "note": row["note"]}
        rows.append(cells | show_values({"metric": "accuracy", **row}, names))
    return align(rows, (*names, "p", "p_holm"))


def list_latency(latency: pd.DataFrame) -> list[Cells]:
    """Rows of the table of answer times, an arm a row."""
    return [_show_latency(row) for row in read_records(latency)]


def _show_latency(row: Record) -> Cells:
    threads = f"{row['threads']} {'thread' if row['threads'] == 1 else 'threads'}"
    return {
        "arm": title(row["arm"]),
        "n": f"{row['n']:,}",
        "tokens": f"{row['prompt_tokens']:,.0f} + {row['new_tokens']:,}",
        "first": _two(row["first_token_p50"], row["first_token_p95"]),
        "answer": _two(row["answer_p50"], row["answer_p95"]),
        "speed": number(row["tokens_per_second"], 1),
        "memory": number(row["peak_memory_mib"], 0),
        "machine": f"{row['device']}, {row['dtype']}, {threads}",
        "engine": row["engine"],
        "note": row["note"],
    }


def _two(median: float, p95: float) -> str:
    return f"{number(median, 3)} / {number(p95, 3)}"


def list_canaries(canary_audit: pd.DataFrame) -> list[Cells]:
    """Rows of the table of secrets: how far those that were trained on stand out, by arm."""
    rows = []
    for row in read_records(canary_audit):
        cells = {"arm": title(row["arm"]), "n": f"{row['n']:,}", "controls": f"{row['controls']:,}"}
        cells |= {name: number(row[name], 2) for name in ("mean_exposure", "max_exposure", "most")}
        rows.append(cells | {"p": show_p(row["p_value"])})
    return align(rows, ("mean_exposure", "max_exposure", "most", "p"))
