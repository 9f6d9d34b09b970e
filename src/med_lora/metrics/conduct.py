"""How an answer conducts itself: repetition, length, refusal, and quantities that nothing given supports."""

from __future__ import annotations

import re
from typing import Literal

from med_lora.metrics.definition import Metric
from med_lora.metrics.phrases import disclaims, refers, refuses
from med_lora.metrics.quantities import Quantities

GRAM = 4  # words
DEGENERATE = 0.5  # share of repeated 4-grams
_WORD = re.compile(r"\w+")


def conduct_metrics() -> list[Metric]:
    """All of them describe: none is tested, and only repetition and unsupported quantities have a direction."""
    gram = "1 - distinct / all 4-grams of words|lower case, \\w+|0 below 4 words"
    degenerate = f"answers with repeated_4grams of {DEGENERATE} or more / all answers"
    ratio = "words of the answer / words of the reference|split at white space"
    given = "answers with one that neither the question nor the reference states / all answers"
    floor = "reference answers are judged by another reference to the same question, focus or group"
    listed = "answers with a wording of med_lora.metrics.phrases / all answers|English"
    return [
        _describing("repeated_4grams", "lower", gram),
        _describing("degenerate", "lower", degenerate),
        _describing("length_ratio", "neither", ratio),
        _describing("unsupported_numbers", "lower", f"{given}|digits, two to twelve in words|{floor}"),
        _describing("unsupported_doses", "lower", f"{given}|amount with unit, times a day|{floor}"),
        *(_describing(name, "neither", listed) for name in ("disclaimer", "referral", "refusal")),
    ]


def _describing(name: str, better: Literal["lower", "neither"], signature: str) -> Metric:
    return Metric(name, "conduct", better, False, signature)


def own_conduct(answer: str) -> dict[str, float]:
    """What the answer alone shows, by metric; all but the share of repeated 4-grams are 0 or 1."""
    repeated = repeated_grams(answer)
    return {
        "repeated_4grams": repeated,
        "degenerate": float(repeated >= DEGENERATE),
        "disclaimer": float(disclaims(answer)),
        "referral": float(refers(answer)),
        "refusal": float(refuses(answer)),
    }


def repeated_grams(answer: str) -> float:
    """Share of repeated 4-grams of words; 0 below 4 words (seq-rep-4, Welleck et al. 2020, arXiv:1908.04319)."""
    words = _WORD.findall(answer.lower())
    grams = list(zip(*(words[start:] for start in range(GRAM)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def length_ratio(answer: str, reference: str) -> float:
    """Words of the answer over those of the reference, which has at least one."""
    return len(answer.split()) / len(reference.split())


def unsupported(answer: Quantities, given: Quantities) -> dict[str, float]:
    """Whether an answer states a number, and a dose, that question and reference do not: 1 or 0."""
    return {
        "unsupported_numbers": float(not answer.numbers <= given.numbers),
        "unsupported_doses": float(not answer.doses <= given.doses),
    }
