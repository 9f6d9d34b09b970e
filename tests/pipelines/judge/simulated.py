"""Answers of judges whose faults are known, to answers whose worth is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from med_lora.pipelines.judge.checks import check_judge
from med_lora.pipelines.judge.scores import score_judged
from tests import recipes

AXES = ("accuracy", "relevance")
TUNING, KNOWN = ("base", "tuned"), ("gold", "shuffled_reference")
USAGE: dict[str, Any] = {
    "judge": "judge-4",
    "version": "judge-4-0613",
    "rubric_sha256": "0123456789ab",
    "prompt_version": 1,
    "answers_by": "json",
    "settings": {"temperature": 0.0},
}
COLUMNS = ["id", "group", "task", "subject", "arm", "rival", "repeat", "points", "value"]


class Answer(NamedTuple):
    """What a judge can see of an answer, and what it is worth."""

    worth: float  # 1 to 5
    words: int
    begs: bool = False


Rate = Callable[[np.random.Generator, Answer], float]
Prefer = Callable[[np.random.Generator, Answer, Answer], int]


@dataclass(frozen=True)
class Judge:
    """How it rates an answer, and which of two it prefers: 1 for the first shown, 2 for the second, 0 for neither."""

    rate: Rate
    prefer: Prefer


def choose(first: float, second: float) -> int:
    return 0 if first == second else 1 if first > second else 2


def perfect() -> Judge:
    return Judge(lambda _, answer: answer.worth, lambda _, one, two: choose(one.worth, two.worth))


def random() -> Judge:
    return Judge(lambda rng, _: rng.integers(1, 6), lambda rng, one, two: int(rng.integers(1, 3)))


def always(score: int) -> Judge:
    return Judge(lambda rng, answer: score, lambda rng, one, two: 0)


def first_position() -> Judge:
    """Prefers the first shown, unless the second is far better."""
    return Judge(perfect().rate, lambda _, one, two: 2 if two.worth - one.worth > 2 else 1)


def length_loving() -> Judge:
    return Judge(lambda _, answer: min(5.0, answer.worth + (answer.words > 75)), perfect().prefer)


def obedient() -> Judge:
    return Judge(lambda _, answer: 5.0 if answer.begs else answer.worth, perfect().prefer)


def fickle() -> Judge:
    """Tells good from bad, and models' answers from each other not at all."""
    return Judge(lambda rng, answer: answer.worth if answer.worth in (1, 5) else rng.integers(2, 5), perfect().prefer)


def noisy(spread: float = 0.5) -> Judge:
    """Without bias: every rating and verdict by a noisy look at what an answer is worth."""

    def look(rng: np.random.Generator, answer: Answer) -> float:
        return float(np.clip(np.rint(answer.worth + rng.normal(0, spread)), 1, 5))

    def prefer(rng: np.random.Generator, one: Answer, two: Answer) -> int:
        return choose(one.worth + rng.normal(0, spread), two.worth + rng.normal(0, spread))

    return Judge(look, prefer)


def draw_answers(rng: np.random.Generator) -> dict[str, Answer]:
    """Of every arm to one question. Worth and length of the models' answers are unrelated, and 2, 3 or 4."""
    base, tuned = (Answer(float(rng.integers(2, 5)), int(rng.integers(30, 60))) for _ in range(2))
    return {
        "base": base,
        "tuned": tuned,
        "gold": Answer(5.0, 45),
        "empty_answer": Answer(1.0, 0),
        "shuffled_reference": Answer(1.0, 45),
        "asks_for_5": base._replace(words=base.words + 15, begs=True),
        "padded": tuned._replace(words=2 * tuned.words),
    }


def judge_all(
    judge: Judge, items: int = 40, repeats: int = 2, seed: int = 0, axes: tuple[str, ...] = AXES
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """judge_answers and arm_texts."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[Any, ...]] = []
    texts: list[tuple[Any, ...]] = []
    for item in range(items):
        pair, answers = f"pair:{item:03d}", draw_answers(rng)
        for arm in ("base", "tuned", "gold"):
            kind = "gold" if arm == "gold" else "model"
            texts.append((pair, arm, kind, " ".join(["word"] * answers[arm].words)))
        for repeat in range(repeats):
            for axis in axes:
                rows += [
                    (pair, item, "axis", axis, arm, "", repeat, 0, float(judge.rate(rng, answer)))
                    for arm, answer in answers.items()
                ]
            for one, two in (TUNING, TUNING[::-1], KNOWN, KNOWN[::-1]):
                value = float(judge.prefer(rng, answers[one], answers[two]))
                rows.append((pair, item, "preference", "", one, two, repeat, 0, value))
    answered = pd.DataFrame(rows, columns=COLUMNS).assign(missing="", model="judge-4-0613")
    answered.insert(0, "call", range(len(answered)))
    return answered, pd.DataFrame(texts, columns=["id", "arm", "kind", "answer"])


def run_checks(judge: Judge, **options: Any) -> pd.DataFrame:
    """The checks on a judge, by check and subject."""
    answers, texts = judge_all(judge, **options)
    scores, _ = score_judged(answers, USAGE)
    return check_judge(answers, scores, texts, recipes.evaluation()).set_index(["check", "subject"])


def verdicts(checks: pd.DataFrame, verdict: str) -> set[str]:
    """Names of the checks with such a verdict on any subject."""
    return set(checks[checks["verdict"] == verdict].index.get_level_values("check"))
