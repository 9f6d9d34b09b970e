"""The numbers that a text states."""

from __future__ import annotations

import re
from decimal import Decimal

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_LIST_MARK = re.compile(r"^[^\S\n]*\(?\d{1,2}[.)]\s", re.MULTILINE)
# "one" is mostly a pronoun.
_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBER_WORDS = {word: Decimal(value) for value, word in enumerate(_WORDS, start=2)}
_NUMBER_WORD = re.compile(rf"(?<![^\W\d_])(?:{'|'.join(_WORDS)})(?![^\W\d_])", re.IGNORECASE)


def numbers(text: str) -> set[Decimal]:
    """Values of the numbers in a text, in digits or (two to twelve) in words; numerals of a list do not count."""
    text = _LIST_MARK.sub(" ", text)
    found = {value for match in _NUMBER.findall(text) for value in _values(match)}
    return found | {_NUMBER_WORDS[word.casefold()] for word in _NUMBER_WORD.findall(text)}


def _values(number: str) -> list[Decimal]:
    if _THOUSANDS.fullmatch(number):
        return [Decimal(number.replace(",", ""))]
    if number.count(".") + number.count(",") == 1:
        return [Decimal(number.replace(",", "."))]  # a decimal comma
    return [Decimal(part) for part in re.split("[.,]", number)]
