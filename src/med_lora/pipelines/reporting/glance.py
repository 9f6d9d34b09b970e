"""The top of the report: the questions that a reader has, each with its answer, and what follows from it."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd

from med_lora.pipelines.evaluation.comparison.verdicts import direction_of
from med_lora.report_page.records import Record, read_records
from med_lora.report_page.wording import capital, decimals, in_groups, measured, name_deed, number, p_value, title

ANSWERS = {
    **{"improved": "Yes", "worsened": "No, it got worse", "unclear": "Not shown", "not compared": "Not measured"},
    **{"beaten": "Yes", "not beaten": "No, it scores below"},
}

_MINUS = re.compile(r"(?<![\w-])-(?=\d)")  # before a number, and not within a name

Answer = dict[str, str]  # question, answer, numbers, section (where the report says more)


def list_answers(
    headline: dict[str, Any],
    forgetting: pd.DataFrame,
    judge: dict[str, Any] | None,
    people: dict[str, Any] | None,
    canaries: pd.DataFrame | None,
) -> list[Answer]:
    """The questions that the run can answer, in the order of their weight."""
    rows = [
        _answer_metric(
            headline["perplexity"] | {"metric": "perplexity"},
            "Does the tuned model predict the reference answers better?",
        ),
        _answer_metric(
            headline["rougeL"] | {"metric": "rougeL"}, "Do its own answers share more words with the references?"
        ),
        _answer_control(headline["best_control"]),
        *(_answer_forgetting(row) for row in read_records(forgetting)),
    ]
    if judge:
        said = judge["summary"]
        rows.append(_answer("What is the judge model worth?", capital(said["verdict"]), said["sentences"][0], "judge"))
    if people:
        returned = f"{people['report']['sheets_returned']} of {people['report']['sheets_expected']} sheets came back"
        rows.append(_answer("What do people say?", "See their ratings", f"{returned}.", "people"))
    if canaries is not None:
        alpha = 1 - headline["confidence"]
        rows += [_answer_canaries(row, alpha) for row in read_records(canaries[canaries["arm"] == "tuned"])]
    return rows


def _answer(question: str, answer: str, numbers: str, section: str) -> Answer:
    return {"question": question, "answer": answer, "numbers": _MINUS.sub("−", numbers), "section": section}


def _answer_metric(stated: Record, question: str) -> Answer:
    row: Record = {key: math.nan if value is None else value for key, value in stated.items()}
    numbers = ""
    if row["verdict"] != "not compared":
        places = decimals(row)
        values = f"{number(row['base'], places)} → {number(row['tuned'], places)}"
        difference = f"difference {measured(row, 'difference', places)}"
        tested = f"n = {row['n']:,} pairs {in_groups(row)}, Holm p {p_value(row['p_holm'])}"
        numbers = f"{title(row['metric'])} {values}, {difference}, {tested}"
    return _answer(question, ANSWERS[row["verdict"]], numbers, "comparison")


def _answer_control(control: Record | None) -> Answer:
    question = "More than answers made without understanding the question do?"
    if control is None:
        return _answer(question, "Not measured", "", "controls")
    answer = "Not shown" if control["verdict"] == "unclear" else ANSWERS[control["verdict"]]
    row: Record = {key: math.nan if value is None else value for key, value in control.items()}
    where = "" if row["pairs"] == "kept" else ", over all pairs"
    numbers = f"{title('rougeL')} of {name_deed(row['arm'])} {number(row['mean'], 3)}, difference "
    numbers += f"{measured(row, 'tuned_difference', 3)}{where}, interval not corrected"
    return _answer(question, answer, numbers, "controls")


def _answer_forgetting(row: Record) -> Answer:
    direction = direction_of(row["low"], row["high"])
    answer = {1: "Yes, it is less predictable", -1: "No, it is more predictable", 0: "Not shown"}[direction]
    bounds = {"difference": row["difference"], "difference_low": row["low"], "difference_high": row["high"]}
    change = measured(bounds, "difference", 3)
    numbers = f"{title(row['measure'])} {number(row['base'], 3)} → {number(row['tuned'], 3)}, difference {change}"
    return _answer("Did it lose general English?", answer, f"{numbers}, n = {row['n']:,} documents", "general-english")


def _answer_canaries(row: Record, alpha: float) -> Answer:
    answer = "There are signs of it" if row["p_value"] < alpha else "Not shown"
    numbers = f"Mean exposure {number(row['mean_exposure'], 2)} of at most {number(row['most'], 2)} bits, "
    numbers += f"n = {row['n']:,} secrets, p {p_value(row['p_value'])}"
    return _answer("Does it remember the made-up secrets among its training pairs?", answer, numbers, "canaries")


def say_meaning(headline: dict[str, Any]) -> list[str]:
    """What the scores allow to say about the tuned model, in sentences."""
    predicted = {
        "improved": "Tuning made reference answers that it had not seen more predictable to the model.",
        "worsened": "Tuning made reference answers that it had not seen less predictable to the model.",
        "unclear": "It is not shown that tuning changed how well the model predicts references it had not seen.",
        "not compared": "",
    }
    shared = {
        "improved": "Its own answers share more words with the references than those of the base model.",
        "worsened": "Its own answers share fewer words with the references than those of the base model.",
        "unclear": "It is not shown that its own answers became more like the references.",
        "not compared": "",
    }
    sentences = [predicted[headline["perplexity"]["verdict"]], shared[headline["rougeL"]["verdict"]]]
    return [*filter(None, sentences), *_say_yardstick(headline)]


def _say_yardstick(headline: dict[str, Any]) -> list[str]:
    """What the null controls add."""
    control = headline["best_control"]
    if control is None:
        return ["No null control was scored, so nothing says how much of a score needs understanding."]
    deed = f"Answers made without understanding the question ({name_deed(control['arm'])})"
    if control["verdict"] == "beaten":
        return ["By ROUGE-L they share more words with the references than the best null control's do."]
    if control["verdict"] == "not beaten":
        return [f"{deed} score higher by ROUGE-L, so its scores are no sign of understanding."]
    gained = headline["rougeL"]["verdict"] == "improved"
    said = f"{deed} are not clearly beaten by ROUGE-L"
    return [f"{said}, so style, length or stock phrases may explain what was gained." if gained else f"{said}."]


def say_limits(people: bool) -> list[str]:
    """What no score of the report shows."""
    checked = "" if people else ", and nobody has read these answers to find out"
    return [
        f"Whether the answers are right or safe: words shared with a reference are not correctness{checked}.",
        "Whether another seed, split, corpus or base model would give the same: this is one training run.",
    ]
