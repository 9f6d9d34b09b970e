"""Telephone numbers and e-mail addresses, and the numbers of medical text that look like them."""

from __future__ import annotations

import pytest

from med_lora.pipelines.data_engineering.screening import Screened, Screener
from tests.pipelines.data_engineering.screening.test_screening import params

MASKER = Screener(params())


@pytest.mark.parametrize(
    "text",
    [
        "ring the ward on 555-0142.",
        "Call 1-800-422-6237 (toll-free)",
        "at (800) 555-0199 all day",
        "800.555.0199",
        "(800)555-0199",
        "+44 20 7946 0958",
        "+44 (0)20 7946 0958 is the line",
        "+1-301-496-5248",
        "Information at 1-800-4-CANCER,",
        "1-800-Medicare",
        "telephone 020 7946 0958",
        "Phone: 01632 960123",
        "please call the clinic at 946-0958 today",
        "TTY users should call 18774862048",
        "Tel. 3014965248",
        "301/496-5248",
    ],
)
def test_telephone_numbers_are_masked(text: str) -> None:
    masked, found, _ = MASKER.screen(text)
    assert masked.count("[PHONE]") == 1
    assert found == ("phones",)
    assert not any(character.isdigit() for character in masked)


@pytest.mark.parametrize(
    "text",
    [
        "250-1000 mg twice daily",
        "ferritin 850-4000 ng/mL",
        "call your doctor about 500-1000 mg doses",
        "call if you need 400-1200 units",
        "from 1998-2004 and 2019/2020",
        "120/80 mmHg, 130-139/85-89",
        "ISBN 978-0-306-40615-7 or 0-306-40615-2",
        "ISBN 9780306406157, PMID 12345678",
        "doi:10.1186/s12859-019-3119-4",
        "CAS 50-78-2, NCT01234567, rs1801133",
        "platelets 150,000-400,000 and 150 000 to 400 000",
        "1 in 100,000; 0.555-0.142",
        "CD4+ 200 cells, Na+ 135-145, +5 to +10",
        "ZIP 20892-2560",
        "gene 1-800 and code 4100-555-0142-7",
        "23-24 weeks; 3-4-5 rule; 555-0242",
        "10 000 000 000 cells",
        "E.g. dose@night, 5 @ 10 mg",
    ],
)
def test_doses_ranges_years_and_identifiers_stay(text: str) -> None:
    assert MASKER.screen(text) == Screened(text, (), ())


def test_a_date_with_a_time_is_no_telephone_number() -> None:
    assert Screener(params(dates="ignore")).screen("2024-05-01 10:30") == Screened("2024-05-01 10:30", (), ())


def test_every_address_is_masked() -> None:
    masked = MASKER.screen("Write to first.last+tag@mail.example.org, or a_b@example.co.uk. Call 555-0100.")
    assert masked == Screened("Write to [EMAIL], or [EMAIL]. Call [PHONE].", ("emails", "phones"), ())
