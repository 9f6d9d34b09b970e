"""Seven pairs with the answers of two arms, the references and two controls, and a plan of few questions."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd
import pytest

from med_lora.parameters import JudgeParams
from med_lora.pipelines.judge.plan import plan_judging
from tests import recipes
from tests.pipelines.evaluation.conftest import ANSWERS, QUESTIONS, Table

IDS = [f"corpus:{number:02d}" for number in (3, 1, 7, 2, 6, 5, 4)]
TEXTS = {
    ("base", "model"): [f"Base says: {answer[:20]}" for answer in ANSWERS],
    ("tuned", "model"): [f"Tuned says: {answer[:30]}" for answer in ANSWERS],
    ("shuffled_reference", "control"): [*ANSWERS[1:], ANSWERS[0]],
    ("echoed_question", "control"): list(QUESTIONS),
    ("empty_answer", "control"): [""] * len(ANSWERS),
    ("gold", "gold"): list(ANSWERS),
}


def make_test() -> Table:
    groups = [0, 1, 2, 3, 4, 5, 5]
    return Table(pd.DataFrame({"id": IDS, "question": QUESTIONS, "answer": ANSWERS, "group": groups}))


def make_texts() -> pd.DataFrame:
    parts = [
        pd.DataFrame({"id": IDS, "arm": arm, "kind": kind, "answer": answers}) for (arm, kind), answers in TEXTS.items()
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def test_split() -> Table:
    return make_test()


@pytest.fixture
def arm_texts() -> pd.DataFrame:
    return make_texts()


class Planned(NamedTuple):
    """What a judge is asked, and the settings that say so."""

    plan: pd.DataFrame
    forecast: dict[str, Any]
    judge: JudgeParams


def planned(test: Table, arm_texts: pd.DataFrame, **changes: Any) -> Planned:
    judge = recipes.judge(**changes)
    return Planned(*plan_judging(test, arm_texts, judge, recipes.evaluation()), judge)
