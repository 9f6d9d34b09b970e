"""Telephone numbers and e-mail addresses to placeholders, without touching doses, ranges, years and identifiers."""

from __future__ import annotations

import re

PHONE = "[PHONE]"
EMAIL = "[EMAIL]"

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,24}(?![\w-])")
# What any of the forms below needs; most texts have none of it.
_CANDIDATE = re.compile(r"\d{3}[-. )/]{0,2}\d{3,4}|1-8\d\d-|\+\d")
# Neither part of a longer number, nor of an identifier such as an ISBN, nor the end of a decimal or a range.
_START = r"(?<![\w.,/+-])"
_END = r"(?!\w|-\w|\.\d)"
_CERTAIN = re.compile(
    _START
    + r"(?:"
    # North America, with separators: 800-555-0142, (800) 555-0142, 1-800-555-0142, +1 800 555 0142, 800.555.0142
    + r"(?:\+?1[-. ])?(?:\([2-9]\d{2}\)[-. ]?|[2-9]\d{2}/)[2-9]\d{2}[-. ]\d{4}"
    + r"|(?:\+?1[-. ])?[2-9]\d{2}(?P<separator>[-.])[2-9]\d{2}(?P=separator)\d{4}"
    # Freephone with letters: 1-800-4-CANCER
    + r"|1-8(?:00|33|44|55|66|77|88)-(?=[\dA-Za-z-]{7,12}(?!\w))\d?[\dA-Za-z-]*[A-Za-z]{2}[\dA-Za-z-]*"
    + r"|1-8(?:00|33|44|55|66|77|88)-[2-9]\d{2}-\d{4}"
    # The exchange kept for fiction
    + r"|555-01\d{2}"
    # International: a plus sign and 8 to 15 digits in groups
    + r"|\+(?=(?:[-. ()]{0,2}\d){8,15}(?!\d))\d{1,3}(?:[-. ]?\(?\d{1,5}\)?){2,6}"
    + r")"
    + _END
)
_CALL = (
    r"\b(?:call|calling|phone|phones|telephone|telephoning|tel|ring|ringing|dial|fax|tty|tdd|hotline|helpline|"
    r"toll[- ]free|mobile|whatsapp|text us|contact number|phone number)\b"
)
_DIGITS = r"(?:\d{10,11}|\(?0\d{2,4}\)?[- ]?\d{3,4}[- ]?\d{3,4}|[2-9]\d{2} [2-9]\d{2} \d{4}|\d{3}[- .]\d{4})"
# A bare number counts only close behind a word for calling, and not in front of a unit.
_UNIT = r"(?!\s*(?:%|mcg|mg|kg|g|ml|l|iu|units?|kcal|kj|calories|mmol|mm|cm|bpm|people|patients|hours?|days?|years?)\b)"
_AFTER_CALL = re.compile(rf"({_CALL}\.?[^.!?\n\d]{{0,40}}){_START}{_DIGITS}{_END}{_UNIT}", re.IGNORECASE)


def mask_contacts(text: str) -> tuple[str, int, int]:
    """The text with ``[PHONE]`` and ``[EMAIL]`` in place of contacts, and the numbers of both.

    A telephone number is one in the international form, in the North American form with its separators, of a
    freephone service, of the fictitious range 555-01xx, or any of seven to eleven digits close behind a word such as
    "call", "ring" or "telephone".
    """
    text, emails = _EMAIL.subn(EMAIL, text) if "@" in text else (text, 0)
    if not _CANDIDATE.search(text):
        return text, 0, emails
    text, certain = _CERTAIN.subn(PHONE, text)
    text, named = _AFTER_CALL.subn(rf"\g<1>{PHONE}", text)
    return text, certain + named, emails
