"""Places below a state: street addresses, cities with a postcode or behind "lives in"; states and countries stay."""

from __future__ import annotations

import re

from med_lora.pipelines.data_engineering.screening.lists import read_list
from med_lora.pipelines.data_engineering.screening.spans import Rule

_WORD = r"[A-ZÀ-ÖØ-ÞĀ-Ž][^\W\d_]{1,24}(?:[-'’][A-ZÀ-ÖØ-ÞĀ-Ž]?[^\W\d_]{1,24})?"
_CITY = (
    rf"(?:St\. |(?:San|Los|Las|El|La|Le|New|Fort|Port|Saint|Bad) )?{_WORD}(?:[ -](?:upon |on |am |an der |sur |"
    rf"de la |de )?{_WORD}){{0,2}}"
)
_STATE_CODES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|"
    "SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|DC|PR|ON|QC|BC|AB|MB|SK|NS|NB|NL|PE"
)
_STATE = rf"(?:(?:{_STATE_CODES})\b|(?:New|North|South|West|Rhode|British) [A-Z][a-z]{{3,12}}|[A-Z][a-z]{{3,12}})"
_ZIP = r"\d{5}(?:-\d{4})?(?![\w-])"
_UK = r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b"
_CANADA = r"[ABCEGHJ-NPRSTVXY]\d[A-Z] ?\d[A-Z]\d\b"
_CITY_AND_CODE = (
    rf"(?:{_CITY},? (?:{_STATE},? )?(?:{_ZIP}|{_CANADA})|{_CITY},? {_UK}|\d{{5}} {_CITY}|{_CITY},? "
    rf"(?:{_STATE_CODES})\b)"
)
_KIND = (
    r"(?:Street|St\.?|Avenue|Ave\.?|Road|Rd\.?|Lane|Ln\.?|Drive|Dr\.?|Boulevard|Blvd\.?|Court|Ct\.?|Close|Crescent|"
    r"Place|Pl\.?|"
    r"Square|Sq\.?|Terrace|Way|Parkway|Pkwy\.?|Highway|Hwy\.?|Gardens|Grove|Mews|Pike|Circle)(?![\w])"
)
_UNIT = (
    r"(?:,? (?:\d{1,3}(?:st|nd|rd|th) Floor|(?:Apt|Apartment|Suite|Ste|Unit|Floor|Flat|Room|Rm|Bldg|Building|"
    r"MSC|#)\.? ?[A-Z0-9-]{1,8}))"
)
_STREET = re.compile(
    rf"(?<![\w.,/-])\d{{1,5}}[A-Za-z]? (?:(?:[NSEW]|NE|NW|SE|SW)\.? )?(?:{_WORD} |[A-Z] |\d{{1,3}}(?:st|nd|rd|"
    rf"th) ){{1,4}}{_KIND}"
    rf"(?:,? (?:[NSEW]|NE|NW|SE|SW)\b\.?)?{_UNIT}?(?:[,\n]? ?{_CITY_AND_CODE})?(?:,? (?:{_ZIP}|{_UK}|{_CANADA}))?"
)
_STREET_GUARD = re.compile(rf"[0-9][A-Za-z]? (?:[NSEW]{{1,2}}\. )?[^.\n]{{2,60}}?\b{_KIND}").search
_YEAR = re.compile(r"(?:1[89]|20)\d{2} ")
_GERMAN = re.compile(
    rf"\b(?:{_WORD} )?(?:[A-ZÄÖÜ][a-zäöüß-]{{1,24}}(?:straße|strasse|str\.|weg|platz|allee|gasse|damm|ufer)|"
    rf"(?:Am|An der|Im|Auf dem|Zum|Zur) {_WORD}) \d{{1,3}}[a-z]?(?![\w%])(?:,? (?:D-)?\d{{5}} {_CITY})?"
)
_GERMAN_NEEDS = (
    "straße", "strasse", "str. ", "weg ", "platz ", "allee ", "gasse ", "damm ", "ufer ", "Am ", "An der ", "Im ",
    "Auf dem ", "Zum ", "Zur ",
)  # fmt: skip
_ZIP_GUARD = re.compile(r"[0-9]{5}(?<=[A-Za-z,] [0-9]{5})(?![0-9])").search
_ZIP_LINE = re.compile(rf"\b{_CITY},? (?P<state>{_STATE}),? {_ZIP}")
_UK_LINE = re.compile(rf"\b{_CITY},? {_UK}")
_CANADA_LINE = re.compile(rf"\b{_CITY},? (?:{_STATE},? )?{_CANADA}")
_POSTCODE_GUARD = re.compile(r"[A-Z][0-9][A-Z0-9]? ?[0-9][A-Z]").search
_LIVES = (
    r"(?:\b(?<!that )(?<!which )(?i:live|lives|lived|living|reside|resides|resided|residing|moved|relocated|relocating|"
    r"grew up|settled|(?:hometown|home) is)(?: (?:alone|now|here|currently|back|there))?"
    r"(?: in| at| to| from| near| outside)|"
    r"\b(?i:born|raised)(?: and raised)?(?: in| at| near| outside)|\b(?i:native of|hometown is)|"
    # "I am suffering from" and "is different from" name no place.
    r"\b(?i:I am|I'm|I’m|he is|I come)(?: (?!\w{1,15}(?:ing|ed)\b|different|free|far|away|apart|not)[\w-]{1,20},?){0,3}"
    r" from)"
)
_LIVES_IN = re.compile(rf"{_LIVES} (?P<id>{_CITY}(?:, (?:{_STATE_CODES})\b)?)")
_LIVES_CUES = (
    "live", "living", "resid", "moved", "relocat", "born", "raised", "grew up", "settled", "native of",
    "hometown is", "home is", "i am", "i'm", "i’m", "he is", "i come",
)  # fmt: skip
_ADDRESS = re.compile(
    r"\b(?i:(?:home |postal |mailing |street )?address|adresse|anschrift|wohnhaft|resides at|residing at|"
    r"lives at)\s?:?\s"
    r"(?P<id>\d{1,5}[A-Za-z]?(?:,? (?:[A-ZÀ-ÖØ-ÞĀ-Ž0-9#][\w'’/-]{0,24}|of|the|de|am|upon)){1,14})"
)


def _is_city(match: re.Match[str]) -> bool:
    """Whether the place is neither a region nor starts with the name of one ("Germany and ...")."""
    words = match["id"].lower().replace(",", " ").replace("’", "'").replace("'s", "").split()
    heads = {" ".join(words[:count]) for count in range(1, len(words) + 1)}
    return words[0] not in read_list("not_cities") and heads.isdisjoint(read_list("regions"))


def _is_street(match: re.Match[str]) -> bool:
    """A number that could be a year needs more than a street behind it: "the 1956 Highway Act"."""
    return not _YEAR.match(match[0]) or any(map(str.isdigit, match[0][4:])) or "," in match[0]


def _has_state(match: re.Match[str]) -> bool:
    return len(match["state"]) == 2 or match["state"].lower() in read_list("regions")


RULES = (
    Rule("geography", _STREET, guard=_STREET_GUARD, accepts=_is_street),
    Rule(
        "geography", _ADDRESS, ("address", "adresse", "anschrift", "wohnhaft", "resides at", "residing at", "lives at")
    ),
    Rule("geography", _GERMAN, needs=_GERMAN_NEEDS),
    Rule("geography", _ZIP_LINE, guard=_ZIP_GUARD, accepts=_has_state),
    Rule("geography", _UK_LINE, guard=_POSTCODE_GUARD),
    Rule("geography", _CANADA_LINE, guard=_POSTCODE_GUARD),
    Rule("geography", _LIVES_IN, _LIVES_CUES, accepts=_is_city),
)
