"""Numbers and places as a reader meets them."""

from __future__ import annotations

import math

import pytest

from med_lora.report_page.wording import minus, show_bytes, show_p, show_seconds, shown_place


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        *((None, "–"), (0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (3599.7, "1 h 0 min")),
        *((125.0, "2 min 5 s"), (7800.0, "2 h 10 min"), (400000.0, "111 h 7 min")),
    ],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert show_seconds(seconds) == shown


def test_sizes_have_binary_units() -> None:
    assert [show_bytes(value) for value in (0, 1023, 1536, 5 * 2**20, 3000 * 2**30)] == [
        *("0 B", "1023 B", "1.5 KiB", "5.0 MiB", "3,000.0 GiB")
    ]


def test_p_values_stand_in_columns_without_a_sign_of_equality() -> None:
    assert [show_p(p) for p in (0.0004, 0.0125, 1.0, math.nan)] == ["< 0.001", "0.013", "1.000", "–"]


def test_minus_is_no_hyphen() -> None:
    assert minus("-0.5 [-1, 2]") == "−0.5 [−1, 2]"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        *(
            ("/home/jane/wards/notes.csv", "notes.csv"),
            ("/srv/corpora/**/*.xml", "*.xml"),
            ("/srv/models/tiny/", "tiny"),
        ),
        *(
            ("~/notes.csv", "notes.csv"),
            ("file:///srv/notes.csv", "notes.csv"),
            ("C:\\Users\\jane\\notes.csv", "notes.csv"),
        ),
        *(("data/01_raw/notes.csv", "data/01_raw/notes.csv"), ("owner/model", "owner/model")),
        *(("s3://bucket/notes.csv", "s3://bucket/notes.csv"), ("package:name/folder", "package:name/folder")),
    ],
)
def test_of_a_place_on_this_machine_the_last_part_is_told(path: str, shown: str) -> None:
    assert shown_place(path) == shown
