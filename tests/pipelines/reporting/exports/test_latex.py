"""LaTeX tables: nothing special unescaped, every row as wide as its head, and a real engine where there is one."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.reporting.exports.latex import write_latex
from med_lora.pipelines.reporting.exports.study_tables import show_study
from med_lora.pipelines.reporting.exports.typesetting import ROWS_A_PAGE, Table, escape, typeset

HOSTILE = "50 % of $5 & #1_x {y}^2 ~ \\end{tabular} <b> |q| \"r\" 's' `t` [u] -- '' – — − ± × ≤ é ß 漢 \n end"
DOCUMENT = (
    r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs,graphicx}\begin{document}%s\end{document}"
)


@pytest.fixture
def source(
    evaluation: EvaluationParams,
    comparison: pd.DataFrame,
    controls: pd.DataFrame,
    corpus_scores: pd.DataFrame,
    forgetting: pd.DataFrame,
) -> str:
    names = {"base": "reference_mean", "tuned": "arm_mean"}
    judged = comparison.rename(columns=names).assign(reference="base", arm="tuned")
    study = pd.DataFrame(
        [{"model": HOSTILE, "rank": 8, "bleu": -3.14159}, {"model": "[GPT]", "rank": None, "bleu": None}]
    ).assign(source="rehearsal")
    figure = {"study": "kim", "quantity": "bleu", "system": "GPT_2", "arm": "tuned", "published": 40.0, "note": ""}
    figure |= {"printed": "40 %", "published_n": math.nan, "impossible": "above 1", "ours": 1.4412, "ours_low": 1.2}
    figure |= {"ours_high": 1.6, "ours_n": 60, "way": "", "why_they_differ": "another tokeniser"}
    second = figure | {"quantity": "rougeL", "impossible": "", "why_they_differ": "another tokeniser; another split."}
    summary = {"verdict": "fails its floor controls", "nothing_said": ["judge_accuracy"]}
    return write_latex(
        "embedded_1",
        evaluation,
        comparison,
        controls,
        corpus_scores,
        forgetting,
        judge_comparison=judged,
        study_table=study,
        published_comparison=pd.DataFrame([figure, second]),
        judge_summary=summary,
    )


def tables_of(source: str) -> dict[str, str]:
    """Each table by its label."""
    found = re.findall(r"\\begin\{table\}.*?\\end\{table\}", source, re.DOTALL)
    return {re.findall(r"\\label\{(.*?)\}", table)[0]: table for table in found}


def cells_of(table: str) -> list[list[str]]:
    """Cells of the head and of every row."""
    body = (
        table.partition(r"\toprule")[2]
        .partition(r"\bottomrule")[0]
        .replace(r"\midrule", "")
        .strip()
        .removesuffix(r"\\")
    )
    return [re.split(r"(?<!\\)&", row) for row in body.split(r"\\" + "\n")]


def test_source_is_balanced_and_every_row_as_wide_as_its_columns(source: str) -> None:
    for name in ("table", "tabular"):
        assert source.count(rf"\begin{{{name}}}") == source.count(rf"\end{{{name}}}") > 0
    for table in tables_of(source).values():
        columns = re.findall(r"\\begin\{tabular\}\{(.*)\}$", table, re.MULTILINE)[0]
        width = len(re.sub(r"p\{.*?\}", "p", columns))
        assert {len(row) for row in cells_of(table)} == {width}
        plain = re.sub(r"\\.", "", table)
        assert plain.count("{") == plain.count("}")


def test_labels_and_captions_say_what_a_table_rests_on(source: str) -> None:
    tables = tables_of(source)
    assert list(tables) == [
        f"tab:embedded-1-{name}"
        for name in ("comparison", "controls", "corpus", "forgetting", "judge", "study", "published")
    ]
    main = tables["tab:embedded-1-comparison"]
    for part in (
        "43 to 60 test pairs in 60 groups",
        r"95 \% intervals",
        "2,000 resamples",
        "Holm-adjusted over 7 tests",
    ):
        assert part in main
    assert source.startswith("% ")
    assert r"\usepackage{booktabs,graphicx}" in source.splitlines()[0]


def test_main_table_shows_the_numbers_of_the_comparison(source: str, comparison: pd.DataFrame) -> None:
    row = comparison.set_index("metric").loc["rougeL"]
    cells = [[cell.strip() for cell in cells] for cells in cells_of(tables_of(source)["tab:embedded-1-comparison"])]
    place = next(place for place, cell in enumerate(cells) if cell[0].startswith("ROUGE-L"))
    assert cells[place][1:4] == ["43", f"{row['base']:.3f}", f"{row['tuned']:.3f}"]
    assert cells[place + 1][2] == f"[{row['base_low']:.3f}, {row['base_high']:.3f}]"
    assert cells[place + 1][6] == "Nearest training answer"


def test_controls_not_clearly_beaten_carry_a_star(source: str, controls: pd.DataFrame) -> None:
    cells = cells_of(tables_of(source)["tab:embedded-1-controls"])
    column = [cell.strip() for cell in cells[0]].index("ROUGE-L F")
    scored = controls[controls["metric"] == "rougeL"].sort_values("arm")
    expected = [not low > 0 for low in scored["tuned_difference_low"]]
    assert [row[column].strip().endswith("*") for row in cells[3:]] == expected


def test_a_judge_that_fails_its_checks_is_not_quoted_without_it(source: str) -> None:
    judge = tables_of(source)["tab:embedded-1-judge"]
    assert "The judge fails its floor controls. Its ratings of accuracy say nothing." in judge


def test_reasons_that_figures_share_are_told_once(source: str) -> None:
    published = tables_of(source)["tab:embedded-1-published"]
    assert [row[-1].strip() for row in cells_of(published)[1:]] == ["", "1"]
    assert "In every figure of ours: another tokeniser." in published
    assert "1: another split." in published
    assert "& Rehearsal &" in published  # in place of Ours, as the study's table says
    assert [row[4].strip() for row in cells_of(published)[1:]] == ["1.44 [1.20, 1.60]", "1.441 [1.200, 1.600]"]


def test_ratings_beside_a_study_are_not_quoted_without_the_judges_checks() -> None:
    table = pd.DataFrame({"metric": ["bleu", "judge_accuracy"], "tuned": [2.1, 3.0], "impossible": ["tuned", ""]})
    doubted = show_study(table, ["The judge fails its floor controls."])
    assert doubted.notes == ["The judge fails its floor controls."]
    assert (doubted.head, [row[1] for row in doubted.rows]) == (["metric", "tuned"], ["2.1 (!)", "3"])
    assert show_study(table.head(1), ["The judge fails its floor controls."]).notes == ()


def test_hostile_text_comes_out_escaped() -> None:
    shown = escape(HOSTILE)
    plain = re.sub(r"\\[%$&#_{}]|\\[a-zA-Z]+\{\}|\$[^$]*\$", "", shown)
    assert not set('%$&#_{}^\\<>|"`\n') & set(plain.replace("{}", ""))
    assert "{}-" in shown
    assert "é ß" in shown
    assert "U+6F22" in shown


def test_a_long_table_is_continued_and_an_uneven_one_refused() -> None:
    long = typeset(Table("many", "All.", ["a", "b"], [["x", "1"]] * (ROWS_A_PAGE + 1)), "tab:e")
    assert r"\label{tab:e-many}" in long
    assert r"\label{tab:e-many-2}" in long
    assert "(part 2 of 2)" in long
    paragraphs = Table("many", "All.", ["a", "b"], [["x", "1"]] * (ROWS_A_PAGE // 2 + 1), columns="p{5cm}l")
    assert r"\label{tab:e-many-2}" in typeset(paragraphs, "tab:e")
    assert "\n{}[u] & [v] \\\\\n" in typeset(Table("brackets", "All.", ["a", "b"], [["[u]", "[v]"]]), "tab:e")
    with pytest.raises(ValueError, match="has not 2 cells"):
        typeset(Table("few", "All.", ["a", "b"], [["x"]]), "tab:e")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
def test_a_real_engine_sets_the_tables(source: str, tmp_path: Path) -> None:
    (tmp_path / "tables.tex").write_text(DOCUMENT % source, encoding="utf-8")
    command = ["pdflatex", "-draftmode", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "[1" in done.stdout  # a page came out
    assert "Overfull" not in done.stdout
