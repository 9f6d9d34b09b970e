"""Telephone, fax and e-mail, URLs and IP addresses."""

from __future__ import annotations

import ipaddress
import re

from med_lora.pipelines.data_engineering.screening.spans import Rule

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_URL = re.compile(r"(?i)\b(?:https?://|ftp://|www\.)[^\s<>\"'\[\]{}|\\^`]{3,2000}(?<![.,;:!?)])")
_BARE_URL = re.compile(
    r"(?i)(?<![\w@./-])(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,6}(?:com|org|net|gov|edu|info|co\.uk|nhs\.uk|"
    r"ac\.uk)"
    r"(?:/[^\s<>\"'\[\]]{0,500}(?<![.,;:!?)]))?(?![\w@-])"
)

# Neither part of a longer number, nor of an identifier such as an ISBN, nor the end of a decimal or a range.
_START = r"(?<![\w.,/+-])"
_END = r"(?!\w|-\w|\.\d)"
_NUMBER = (
    r"(?:"
    # North America, with separators: 800-555-0142, (800) 555-0142, 1-800-555-0142, +1 800 555 0142, 800.555.0142
    r"(?:\+?1[-. ]){0,1}(?:\([2-9]\d{2}\)[-. ]?|[2-9]\d{2}/)[2-9]\d{2}[-. ]\d{4}"
    r"|(?:\+?1[-. ])?[2-9]\d{2}(?:-[2-9]\d{2}-|\.[2-9]\d{2}\.)\d{4}"
    # Freephone with letters: 1-800-4-CANCER
    r"|1-8(?:00|33|44|55|66|77|88)-(?=[\dA-Za-z-]{7,12}(?!\w))\d?[\dA-Za-z-]{0,11}[A-Za-z]{2}[\dA-Za-z-]{0,11}"
    r"|1-8(?:00|33|44|55|66|77|88)-[2-9]\d{2}-\d{4}"
    # The exchange kept for fiction
    r"|555-01\d{2}"
    # International: a plus sign and 8 to 15 digits in groups
    r"|\+(?=(?:[-. ()]{0,2}\d){8,15}(?!\d))\d{1,3}(?:[-. ]?\(?\d{1,5}\)?){2,6}"
    r")"
)
_CALL = (
    r"\b(?i:call|calling|phone|phones|telephone|telephoning|tel|ring|ringing|dial|tty|tdd|hotline|helpline|"
    r"toll[- ]free|"
    r"mobile|cell|whatsapp|text (?:us|me)(?: on| at)?|contact number|phone number)\b"
)
# A bare number counts only close behind a word for calling, and not in front of a unit.
_DIGITS = r"(?:\d{10,11}|\(?0\d{2,4}\)?[- ]?\d{3,4}[- ]?\d{3,4}|[2-9]\d{2} [2-9]\d{2} \d{4}|\d{3}[- .]\d{4})"
_UNIT = (
    r"(?!\s?(?i:%|mcg|mg|kg|g|ml|l|iu|units?|kcal|kj|calories|mmol|mm|cm|bpm|people|patients|hours?|days?|years?)\b)"
)
_FAX = r"\b(?i:fax|telefax|facsimile)\b(?:(?!(?i:tel|phone|call))[^.!?\n\d(+]){0,40}"
_PHONE_GUARD = re.compile(
    r"[0-9+](?:[0-9]{2}[-. )/]{1,2}[0-9]{3}|[0-9]{8}|[0-9]{2,4} [0-9]{3}|(?<=\+)[0-9]|(?<=1)-8[0-9]{2}-)"
).search

_IPV4_GUARD = re.compile(r"[0-9](?:\.[0-9]{1,3}){3}").search
_IPV6_GUARD = re.compile(r":[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{1,4}(?![^\s])|:[0-9A-Fa-f]{1,4}:").search
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{4,38}(?![\w:]))[0-9A-Fa-f:]{6,39}")
_NUMBERING = re.compile(r"(?i)\b(?:version|section|chapter|release|ec|v|table|figure|paragraph|clause)[ .:]{0,3}$")
_NETWORK = re.compile(r"(?i)\b(?:ip|ipv4|address|server|host|login|router|logged|access(?:ed)?|session)\b[^.\n]{0,40}$")


def _is_ipv4(match: re.Match[str]) -> bool:
    octets = [int(part) for part in match[0].split(".")]
    before = match.string[max(0, match.start() - 60) : match.start()]
    if max(octets) > 255 or _NUMBERING.search(before):
        return False
    # Enzyme and section numbers have small parts; an address without a word for it needs a large one.
    return max(octets) >= 100 or _NETWORK.search(before) is not None


def _is_ipv6(match: re.Match[str]) -> bool:
    try:
        ipaddress.IPv6Address(match[0])
    except ValueError:
        return False
    return True


RULES = (
    Rule("emails", _EMAIL, needs=("@",)),
    Rule("urls", _URL, cues=("http", "www.", "ftp://")),
    Rule("urls", _BARE_URL, needs=(".com", ".org", ".net", ".gov", ".edu", ".info", ".uk")),
    Rule("ip_addresses", _IPV4, guard=_IPV4_GUARD, accepts=_is_ipv4),
    Rule("ip_addresses", _IPV6, guard=_IPV6_GUARD, accepts=_is_ipv6),
    Rule(
        "faxes",
        re.compile(rf"{_FAX}(?P<id>{_START}(?:{_NUMBER}|{_DIGITS}){_END}){_UNIT}"),
        ("fax", "telefax", "facsimile"),
    ),
    Rule("phones", re.compile(f"{_START}{_NUMBER}{_END}"), guard=_PHONE_GUARD),
    Rule(
        "phones", re.compile(rf"{_CALL}\.?[^.!?\n\d]{{0,40}}(?P<id>{_START}{_DIGITS}{_END}){_UNIT}"), guard=_PHONE_GUARD
    ),
)
