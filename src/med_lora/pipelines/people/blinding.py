"""What keeps a rater blind: codes and orders that follow from a secret which no sheet holds."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence

import pandas as pd

# Without vowels, digits and E: a code is no word, and no spreadsheet takes it for a number, a date or a truth value.
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
ITEM_LETTERS = 10
SHEET_LETTERS = 20


def spell(digest: bytes, length: int) -> str:
    """The digest as ``length`` letters, about 4.3 bits each."""
    number = int.from_bytes(digest)
    letters = []
    for _ in range(length):
        number, place = divmod(number, len(LETTERS))
        letters.append(LETTERS[place])
    return "".join(letters)


class Blinding:
    """Codes and orders by a keyed hash (HMAC-SHA256).

    The key is the hash of the experiment, the seed and all answers of all arms. So equal inputs give equal sheets, and
    a rater who knows the seed and the ids of the pairs cannot work the codes out without the table of answers.
    """

    def __init__(self, arm_texts: pd.DataFrame, experiment: str, seed: int) -> None:
        """Hash the answers; the order of the rows of ``arm_texts`` (columns id, arm, answer) does not matter."""
        rows = arm_texts.sort_values(["id", "arm"])[["id", "arm", "answer"]].to_numpy().tolist()
        self._key = hashlib.sha256(json.dumps([experiment, seed, rows]).encode()).digest()

    def _digest(self, parts: Sequence[str]) -> bytes:
        return hmac.digest(self._key, json.dumps(parts).encode(), "sha256")

    def code(self, *parts: str) -> str:
        """The code of an item."""
        return spell(self._digest(["code", *parts]), ITEM_LETTERS)

    def shuffle(self, names: Sequence[str], *purpose: str) -> list[str]:
        """``names`` in an order of their own for each purpose; their given order does not matter."""
        return sorted(names, key=lambda name: self._digest(["order", *purpose, name]))
