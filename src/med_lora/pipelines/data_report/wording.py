"""Names of the data run as a reader meets them: reasons, classes and kinds of leakage in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from med_lora.report_page.wording import share

ABBREVIATED = {"urls": "URLs", "ip_addresses": "IP addresses"}
LEAKAGE_WORDS = {
    "exact_pair": "have their question and answer in training",
    "exact_question": "have their question in training",
    "exact_answer": "have their answer in training",
    "same_focus": "share their disease or topic with a training pair",
    "same_concept": "share their UMLS concepts with a training pair",
    "same_document": "come from the document of a training pair",
    "near_pair": "have nearly the question and answer of a training pair",
    "near_question": "have nearly the question of a training pair",
    "near_answer": "have nearly the answer of a training pair",
    "contained_answer": "have an answer that mostly stands in that of a training pair",
}
ACTIONS = {
    "mask": "masked by a placeholder",
    "reject": "pair left out",
    "report": "counted and left in place",
    "ignore": "not looked for",
}
OVERLONG = {
    "truncate": "training cuts the end of the answer",
    "drop": "training and validation leave the pair out",
    "stop": "the run stops",
}


def in_words(name: str) -> str:
    """A reason, class or kind without its underscores."""
    return ABBREVIATED.get(name, name.replace("_", " "))


def count(number: int, noun: str) -> str:
    """A number with its noun: ``1 row``, ``2,000 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def describe_leakage(leakage: Sequence[dict[Any, Any]]) -> list[str]:
    """A sentence for each finding: ``3 of 60 test pairs (5 %) have their question in training.``

    Args:
        leakage: rows split, kind, pairs, of, share. None are left where nothing was measured; where something was,
            and no pair was found, one sentence says so.
    """
    measured = [row for row in leakage if row["of"]]
    found = [
        f"{row['pairs']:,} of {row['of']:,} {row['split']} pairs ({share(row['share'])}) {leakage_words(row['kind'])}."
        for row in measured
        if row["pairs"]
    ]
    kinds = len({row["kind"] for row in measured})
    return found or (
        [f"No pair has a counterpart in training, of {count(kinds, 'kind')} looked for."] if measured else []
    )


def leakage_words(kind: str) -> str:
    """What the pairs counted under a kind of leakage do."""
    return LEAKAGE_WORDS.get(kind, f"have a counterpart in training of the kind “{in_words(kind)}”")
