"""Numbers and doses of hand-made sentences."""

from __future__ import annotations

from decimal import Decimal

import pytest

from med_lora.metrics.quantities import Dose, stated_doses, stated_numbers

DOSES = [
    ("500 mg", [("500", "mg")]),
    ("500mg", [("500", "mg")]),
    ("1,000 milligrams", [("1000", "mg")]),
    ("0.5 g", [("500", "mg")]),
    ("250 mcg or 250 µg", [("0.25", "mg")]),
    ("a 1-g dose", [("1000", "mg")]),
    ("two 500mg tablets twice a day", [("500", "mg"), ("2", "times/day")]),
    ("one tablet", [("1", "tablet")]),
    ("Two Tablets", [("2", "tablet")]),
    ("1-2 tablets every 6 hours", [("1", "tablet"), ("2", "tablet"), ("4", "times/day")]),
    ("1 to 2 puffs", [("1", "puff"), ("2", "puff")]),
    ("5–10 ml", [("5", "ml"), ("10", "ml")]),
    ("5mg-10mg", [("5", "mg"), ("10", "mg")]),
    ("every 12 hours", [("2", "times/day")]),
    ("twice daily", [("2", "times/day")]),
    ("3 times per day", [("3", "times/day")]),
    ("15 mg/kg per day", [("15", "mg/kg")]),
    ("8 mg per kg", [("8", "mg/kg")]),
    ("10 IU", [("10", "unit")]),
    ("one teaspoon", [("1", "teaspoon")]),
    # no dose
    ("glucose above 126 mg/dl", []),
    ("haemoglobin of 12 g/dL", []),
    ("5 mmol per litre", []),
    ("type 2G", []),
    ("20210G>A", []),
    ("take a tablet", []),
    ("500 patients", []),
    ("one day", []),
    ("", []),
]


@pytest.mark.parametrize(("text", "doses"), DOSES)
def test_doses_are_read_in_one_unit_each(text: str, doses: list[tuple[str, str]]) -> None:
    assert stated_doses(text) == {Dose(Decimal(amount), unit) for amount, unit in doses}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,000 patients", {"1000"}),
        ("two or 3 days", {"2", "3"}),
        ("500mg", {"500"}),
        ("B12, COVID-19, HbA1c, omega-3 and H1N1", set()),
        ("one of them", set()),
        ("1. Rest\n2. Drink", set()),
        ("1. Rest\n \n\n\t2. Drink\n\n 3 times", {"3"}),
    ],
)
def test_numbers_are_values_and_neither_names_nor_numerals_of_a_list(text: str, expected: set[str]) -> None:
    assert stated_numbers(text) == {Decimal(number) for number in expected}
