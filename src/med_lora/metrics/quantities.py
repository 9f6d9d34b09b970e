"""The numbers and doses that a text states, in a form in which equal ones are equal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from med_lora.stated_numbers import numbers

# B12, COVID-19, HbA1c and omega-3 are names; in "mg500" a space is missing.
_NAME = re.compile(r"\b(?!(?:mg|mcg|ml|iu|rs|usd)\d)[^\W\d_]+-?\d[\w-]*", re.IGNORECASE)
_SMALL = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_AMOUNT = rf"\d+(?:[.,]\d+)*|{'|'.join(_SMALL)}"
_TO = r"\s*(?:-|–|—|to|or)\s*"
# "G" is a letter of gene names. Each unit, its other spellings, and how many of it make one (mass in mg, volume in ml).
_UNITS = [
    ("mg", r"mgs?|milligrams?|milligrammes?", "1"),
    ("mg", r"(?-i:g)|gms?|grams?|grammes?", "1000"),
    ("mg", r"mcgs?|[µμ]g|ug|micrograms?|microgrammes?", "0.001"),
    ("ml", r"mls?|millilit(?:er|re)s?|ccs?", "1"),
    ("ml", r"l|lit(?:er|re)s?", "1000"),
    ("unit", r"units?|iu|i\.u\.|international\s+units?", "1"),
    ("meq", r"meq|milliequivalents?", "1"),
    ("mmol", r"mmol|millimoles?", "1"),
    ("tablet", r"tablets?|tabs?|pills?|capsules?|caps?|caplets?|lozenges?", "1"),
    ("drop", r"drops?", "1"),
    ("puff", r"puffs?|inhalations?|sprays?", "1"),
    ("teaspoon", r"teaspoons?|teaspoonfuls?|tsps?", "1"),
    ("tablespoon", r"tablespoons?|tablespoonfuls?|tbsps?", "1"),
]
_SPELLED = re.compile("|".join(f"(?P<u{place}>{spelling})" for place, (_, spelling, _) in enumerate(_UNITS)), re.I)
_PER_KG = r"\s*(?:/|\bper\b)\s*(?:kg|kilograms?|kilos?)\b"
# A concentration in blood is no dose: mg/dl, g/l, mmol per litre.
_CONCENTRATION = r"\s*(?:/|\bper\b)\s*(?:d|c|m|[µμ])?(?:l|lit(?:er|re)|decilit(?:er|re)|100)\b"
_DOSE = re.compile(
    rf"(?<![\w.,])(?P<low>{_AMOUNT})(?:{_TO}(?P<high>{_AMOUNT}))?[\s-]*"
    rf"(?P<unit>{'|'.join(spelling for _, spelling, _ in _UNITS)})(?![\w])(?!{_CONCENTRATION})(?P<per_kg>{_PER_KG})?",
    re.IGNORECASE,
)
_DAY = r"(?:(?:a|per|each|every|/)\s*day|daily|/\s*d\b)"
_TIMES = re.compile(
    rf"(?<![\w.,])(?:(?P<low>{_AMOUNT})(?:{_TO}(?P<high>{_AMOUNT}))?[\s-]*(?:times|x)|(?P<word>once|twice|thrice))\s*"
    rf"{_DAY}",
    re.IGNORECASE,
)
_EVERY = re.compile(rf"\bevery\s+(?P<low>{_AMOUNT})(?:{_TO}(?P<high>{_AMOUNT}))?[\s-]*(?:hours?|hrs?|h)\b", re.I)
_ADVERBS = {"once": Decimal(1), "twice": Decimal(2), "thrice": Decimal(3)}


class Dose(NamedTuple):
    """An amount in its unit: mg, mg/kg, ml, tablet, ..., or times/day."""

    amount: Decimal
    unit: str


class Quantities(NamedTuple):
    """What a text states."""

    numbers: frozenset[Decimal]
    doses: frozenset[Dose]

    def __or__(self, other: Quantities) -> Quantities:
        return Quantities(self.numbers | other.numbers, self.doses | other.doses)


def stated_quantities(text: str) -> Quantities:
    """The numbers and the doses that a text states."""
    return Quantities(frozenset(stated_numbers(text)), frozenset(stated_doses(text)))


def stated_numbers(text: str) -> set[Decimal]:
    """Values of the numbers in a text, in digits or (two to twelve) in words.

    Left out are the numerals of a list and digits that belong to a name, as in B12 or COVID-19.
    """
    return numbers(_NAME.sub(" ", text))


def stated_doses(text: str) -> set[Dose]:
    """Amounts of a drug and their times a day, each end of a range on its own.

    "500mg", "0.5 g" and "500 milligrams" are equal, and so are "twice a day" and "every 12 hours". Amounts by weight
    of the body are apart (mg/kg); concentrations (mg/dl) are left out.
    """
    return {*_amounts(text), *_frequencies(text)}


def _amounts(text: str) -> Iterator[Dose]:
    for match in _DOSE.finditer(text):
        spelled = _SPELLED.fullmatch(match["unit"])
        if spelled and spelled.lastgroup:
            unit, _, factor = _UNITS[int(spelled.lastgroup[1:])]
            for amount in _ends(match):
                yield Dose((amount * Decimal(factor)), f"{unit}/kg" if match["per_kg"] else unit)


def _frequencies(text: str) -> Iterator[Dose]:
    for match in _TIMES.finditer(text):
        times = [_ADVERBS[match["word"].lower()]] if match["word"] else _ends(match)
        yield from (Dose(amount, "times/day") for amount in times)
    for match in _EVERY.finditer(text):
        yield from (Dose((24 / hours), "times/day") for hours in _ends(match) if hours)


def _ends(match: re.Match[str]) -> Iterator[Decimal]:
    for amount in filter(None, (match["low"], match["high"])):
        yield from numbers(amount) or (Decimal(1),)  # it does not read "one", mostly a pronoun
