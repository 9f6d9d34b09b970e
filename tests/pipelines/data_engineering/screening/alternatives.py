"""Texts that a pattern matches, together through every alternative of it."""

from __future__ import annotations

import random
import re
import string
from collections import Counter
from collections.abc import Iterator
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

# A space is the only white space, since rules name their cues with spaces.
_LETTERS = string.ascii_letters + string.digits + " .,:-/'#ü"
_CATEGORIES = {
    codes.CATEGORY_DIGIT: r"\d",
    codes.CATEGORY_NOT_DIGIT: r"\D",
    codes.CATEGORY_SPACE: r"\s",
    codes.CATEGORY_NOT_SPACE: r"\S",
    codes.CATEGORY_WORD: r"\w",
    codes.CATEGORY_NOT_WORD: r"\W",
}
_LONGEST_REPEAT = 4
_FEWEST_TEXTS, _MOST_TEXTS = 200, 8_000

Alternative = tuple[int, int]  # number of the branch, place in it


class Alternatives:
    """Writes texts for a pattern, the alternatives that have matched least first.

    Attributes:
        matched: for each alternative met how many of the texts that took it matched.
    """

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.matched: Counter[Alternative] = Counter()
        self._pattern = pattern
        self._tree = parser.parse(pattern.pattern, pattern.flags)
        self._random = random.Random(0)
        self._tried: Counter[Alternative] = Counter()
        self._branches: dict[int, int] = {}
        self._sets: dict[int, list[str]] = {}
        self._taken: set[Alternative] = set()
        self._groups: dict[int | None, str] = {}

    def matches(self, before: str, behind: str) -> Iterator[re.Match[str]]:
        """Matches in texts between ``before`` and ``behind``: some, and more until every alternative has matched."""
        for written in range(_MOST_TEXTS):
            if written >= _FEWEST_TEXTS and all(self.matched.values()):
                break
            self._taken, self._groups = set(), {}
            text = before + self._sequence(self._tree) + behind
            self._tried.update(self._taken)
            if match := self._pattern.match(text, len(before)):
                self.matched.update(self._taken)
                yield match

    def _sequence(self, items: Any) -> str:
        return "".join(self._item(code, value) for code, value in items)

    def _item(self, code: Any, value: Any) -> str:
        if code is codes.LITERAL:
            return chr(value)
        if code is codes.IN:
            if id(value) not in self._sets:
                self._sets[id(value)] = _members(value)
            return self._random.choice(self._sets[id(value)])
        if code is codes.BRANCH:
            return self._branch(value[1])
        if code is codes.SUBPATTERN:
            text = self._groups[value[0]] = self._sequence(value[3])
            return text
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            least, most, part = value
            times = self._random.randint(least, min(most, least + _LONGEST_REPEAT))
            return "".join(self._sequence(part) for _ in range(times))
        if code is codes.GROUPREF:
            return self._groups[value]
        assert code in (codes.AT, codes.ASSERT, codes.ASSERT_NOT), code
        return ""

    def _branch(self, branches: Any) -> str:
        number = self._branches.setdefault(id(branches), len(self._branches))
        keys = [(number, place) for place in range(len(branches))]
        for key in keys:
            self.matched[key] += 0
        taken = self._random.choice(keys)
        if self._random.random() < 0.5:
            taken = min(keys, key=lambda key: (self.matched[key], self._tried[key]))
        self._taken.add(taken)
        return self._sequence(branches[taken[1]])


def _members(items: Any) -> list[str]:
    """Letters that a set of characters holds; often a digit or else a space, which codes and words need."""
    named = [chr(value) for code, value in items if code is codes.LITERAL]
    named += [chr(value[0]) for code, value in items if code is codes.RANGE]
    is_negated = items[0][0] is codes.NEGATE
    members = [letter for letter in dict.fromkeys([*_LETTERS, *named]) if _holds(items, letter) != is_negated]
    often = [letter for letter in members if letter.isdigit()] or [letter for letter in members if letter == " "]
    return members + often * (4 * len(members) // max(len(often), 1))


def _holds(items: Any, letter: str) -> bool:
    for code, value in items:
        if code is codes.LITERAL and chr(value) == letter:
            return True
        if code is codes.RANGE and value[0] <= ord(letter) <= value[1]:
            return True
        if code is codes.CATEGORY and re.match(_CATEGORIES[value], letter):
            return True
    return False
