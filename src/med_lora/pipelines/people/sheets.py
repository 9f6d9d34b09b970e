"""Blind rating sheets: who rates which answer, in which order, under which code."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from med_lora.errors import InputError
from med_lora.parameters import PeopleParams
from med_lora.parameters.rubric import AxisParams
from med_lora.pipelines.evaluation.comparison.contrasts import TUNING
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.pipelines.people.blinding import SHEET_LETTERS, Blinding, spell
from med_lora.plain_text import show_plainly
from med_lora.sampling import draw_pairs

logger = logging.getLogger(__name__)

RATED_KINDS = ("model", "gold")
# What can be chosen of two answers: the one shown first, the one shown second, neither.
CHOICES = ("A", "B", "tie")
EMPTY_ANSWER = "(empty answer)"
KEY_COLUMNS = ["sheet", "rater", "item", "position", "id", "group", "arm", "rival"]
# Columns of sheets and of returned files beside the axes.
OWN_COLUMNS = ("no.", "question", "answer", "answer a", "answer b", "preference", "comment", "seconds", "item", "sheet")
# What XML 1.0 cannot hold, halves of surrogate pairs included.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Item:
    """One answer to rate on every axis, or two to compare; ``arms`` and ``answers`` in the order shown."""

    code: str
    position: int
    id: str
    question: str
    arms: tuple[str, ...]
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Sheet:
    """What one rater gets; ``code`` is a hash of all that the sheet shows."""

    code: str
    rater: str
    axes: tuple[AxisParams, ...]
    items: tuple[Item, ...]


def make_rating_sheets(
    test: Split, arm_texts: pd.DataFrame, people: PeopleParams, experiment: str
) -> tuple[dict[str, bytes], pd.DataFrame]:
    """A workbook and an HTML form for each rater, and the key that says which code is which arm.

    The answers of every model arm and the references (a hidden answer, the ceiling) to the same drawn pairs are rated
    one by one. The sheet goes through the questions in rounds, each question once a round with an answer that the rater
    has not seen, so that answers to one question lie as far apart as they can. The comparisons of base and tuned come
    last, since they put answers side by side; each of the two is shown first in half of a rater's comparisons.
    Questions and answers are shown without the marks that a judge does not see either (:func:`show_plainly`).

    Returns:
        rating_sheets: ``<rater>.xlsx`` and ``<rater>.html``; equal inputs give equal bytes.
        rating_key: ``KEY_COLUMNS``; ``sheet`` is a hash of the codes and texts of that sheet, ``position`` counts from
            1; for a comparison ``arm`` was shown as A and ``rival`` as B, for a single answer ``rival`` is "".

    Raises:
        InputError: if nobody rates, an axis is called like another column of a sheet, or the texts are not about the
            test pairs.
    """
    from med_lora.pipelines.people.forms import write_form
    from med_lora.pipelines.people.workbooks import write_workbook

    _check_people(people)
    pairs = read_pairs(test, "test")
    drawn = draw_pairs(pairs, people.items, people.seed)
    questions = pairs.set_index("id")["question"].reindex(drawn)
    answers = _rated_answers(arm_texts, drawn)
    blinding = Blinding(arm_texts, experiment, people.seed)
    sheets = [_draw_sheet(rater, questions, answers, people, blinding) for rater in people.raters]
    logger.info("Rating sheets for %d raters, %d items each.", len(sheets), len(sheets[0].items))
    files = {}
    for sheet in sheets:
        files[f"{sheet.rater}.xlsx"] = write_workbook(sheet)
        files[f"{sheet.rater}.html"] = write_form(sheet)
    return files, _tabulate_key(sheets, pairs.set_index("id")["group"])


def displayed(text: str) -> str:
    """The text with U+FFFD for what XML forbids."""
    return _FORBIDDEN.sub("\ufffd", text)


def _check_people(people: PeopleParams) -> None:
    if not people.raters:
        raise InputError("people.raters is empty; give a code for each person who rates, such as [anna, ben].")
    taken = [axis.name for axis in people.axes if axis.name in OWN_COLUMNS]
    if taken:
        raise InputError(f"people.axes names an axis {taken[0]}, as another column of a sheet is called; rename it.")


def _rated_answers(arm_texts: pd.DataFrame, drawn: list[str]) -> pd.DataFrame:
    """The answers to rate, one row a drawn pair and one column an arm."""
    texts = arm_texts[arm_texts["kind"].isin(RATED_KINDS) & arm_texts["id"].isin(drawn)]
    answers = texts.pivot(index="id", columns="arm", values="answer").reindex(drawn)
    lacking = [arm for arm in answers.columns if answers[arm].isna().any()]
    if lacking or answers.empty:
        raise InputError(
            f"arm_texts lacks answers of {lacking[0] if lacking else 'every arm'} to drawn test pairs; run the "
            "evaluation again from its beginning."
        )
    return answers


def _draw_sheet(
    rater: str, questions: pd.Series, answers: pd.DataFrame, people: PeopleParams, blinding: Blinding
) -> Sheet:
    order = list(_order_items(rater, answers, people.preference, blinding))
    items = tuple(
        Item(
            code=blinding.code(rater, pair, *arms),
            position=position,
            id=pair,
            question=displayed(show_plainly(questions[pair])),
            arms=arms,
            answers=tuple(displayed(show_plainly(str(answers.at[pair, arm]))) for arm in arms),
        )
        for position, (pair, arms) in enumerate(order, start=1)
    )
    shown = {
        "rater": rater,
        "axes": [axis.model_dump(mode="json") for axis in people.axes],
        "items": [[item.code, item.question, *item.answers] for item in items],
    }
    digest = hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).digest()
    return Sheet(code=spell(digest, SHEET_LETTERS), rater=rater, axes=tuple(people.axes), items=items)


def _order_items(
    rater: str, answers: pd.DataFrame, preference: bool, blinding: Blinding
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Pair and arms of each item in a rater's order."""
    pairs = list(answers.index)
    arms = {pair: blinding.shuffle(list(answers.columns), rater, "arms", pair) for pair in pairs}
    last = ""
    for turn in range(len(answers.columns)):
        order = _avoid_first(blinding.shuffle(pairs, rater, "round", str(turn)), last)
        yield from ((pair, (arms[pair][turn],)) for pair in order)
        last = order[-1]
    if preference:
        reversed_pairs = set(blinding.shuffle(pairs, rater, "sides")[::2])
        for pair in _avoid_first(blinding.shuffle(pairs, rater, "comparisons"), last):
            yield pair, TUNING[::-1] if pair in reversed_pairs else TUNING


def _avoid_first(order: list[str], pair: str) -> list[str]:
    """The order, with its first two exchanged if the first is ``pair``."""
    return [*order[1:2], order[0], *order[2:]] if order[0] == pair else order


def _tabulate_key(sheets: list[Sheet], groups: pd.Series) -> pd.DataFrame:
    rows = [
        (
            sheet.code,
            sheet.rater,
            item.code,
            item.position,
            item.id,
            groups[item.id],
            item.arms[0],
            "".join(item.arms[1:]),
        )
        for sheet in sheets
        for item in sheet.items
    ]
    return pd.DataFrame(rows, columns=KEY_COLUMNS)
