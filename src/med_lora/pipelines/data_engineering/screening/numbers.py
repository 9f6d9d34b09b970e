"""Labelled numbers and codes: records, plans, accounts, licences, vehicles, devices, biometrics, images and others."""

from __future__ import annotations

import re
from collections.abc import Callable

from med_lora.pipelines.data_engineering.screening.spans import Rule

_TOKEN = r"[A-Za-z0-9]{1,25}(?:[-/.][A-Za-z0-9]{1,25}){0,6}"
# A code holds a digit: "serial number of the tests" has none.
_CODE = rf"(?P<id>(?:[A-Z]{{1,4}} )?(?=[A-Za-z/.-]{{0,12}}\d){_TOKEN}(?: \d{{3,4}}(?![\w-])){{0,3}})(?![\w%])"
_NUMBER_WORD = r"(?:\s?(?:(?i:numbers?|num|no|nr|id|code)\b\.?|\#))"
_SEPARATOR = r"\s{0,2}(?:[:=#]|(?i:is|was|of|as)\b|\((?![A-Za-z]))?\s{0,3}"
_NUMBER_WORD_OR_COLON = rf"(?:{_NUMBER_WORD}{_SEPARATOR}|\s{{0,2}}[:#]\s{{0,3}})"

_YEAR = re.compile(r"(?:19|20)\d{2}")
_CODE_GUARD = re.compile(r"[0-9](?:[0-9]{2}|[0-9]?[A-Za-z/.-]{1,4}[0-9])").search


def _has_digits(least: int) -> Callable[[re.Match[str]], bool]:
    """A check that a code has so many digits and is no year."""
    return lambda match: sum(map(str.isdigit, match["id"])) >= least and not _YEAR.fullmatch(match["id"])


def _labelled(kind: str, cues: tuple[str, ...], label: str, digits: int = 3, is_bare: bool = False) -> Rule:
    """A code with at least so many digits behind a label; ``is_bare`` labels need no "number" or colon after them."""
    middle = rf"{_NUMBER_WORD}?{_SEPARATOR}" if is_bare else _NUMBER_WORD_OR_COLON
    pattern = re.compile(rf"(?<![\w-])(?i:{label}){middle}{_CODE}")
    return Rule(kind, pattern, cues, guard=_CODE_GUARD, accepts=_has_digits(digits))


def _is_plate(match: re.Match[str]) -> bool:
    return any(map(str.isdigit, match["id"])) and any(map(str.isalpha, match["id"]))


def _is_group_of_a_plan(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - 80) : match.start()]
    return sum(map(str.isdigit, match["id"])) >= 4 and _PLAN.search(before) is not None


def _is_ssn(match: re.Match[str]) -> bool:
    """Areas 000 and 666, group 00 and serial 0000 are never issued."""
    area, group, serial = match["id"].split("-")
    return area not in ("000", "666") and group != "00" and serial != "0000"


_SSN = re.compile(r"(?<![\w.,/+-])(?P<id>\d{3}-\d{2}-\d{4})(?![\w-]|\.\d)")
_SSN_GUARD = re.compile("[0-9]{3}-[0-9]{2}-[0-9]{4}").search
_SSN_LABELLED = re.compile(
    r"\b(?i:ssn|social security(?: (?:number|no\.?|\#))?)\s{0,2}(?:[:=#]|is|was)?\s{0,3}"
    r"(?P<id>\d{3}[- ]?\d{2}[- ]?\d{4})(?!\w)"
)
_VIN = re.compile(
    r"\b(?i:vin|chassis(?: number| no\.?)?|vehicle identification number)\b[\s:#]{0,3}(?:is\s)?"
    r"(?P<id>[A-HJ-NPR-Z0-9]{17})\b"
)
_PLATE = re.compile(
    r"\b(?i:(?:licen[cs]e|number|registration|car|vehicle) plates?|plates?|vehicle registration|reg(?:istration)? "
    r"(?:number|no\.?))"
    r"(?:\s?(?i:number|no\.?|\#))?\s{0,2}(?:[:=#]|(?i:is|was)\b)?\s{0,2}(?P<id>[A-Z0-9]{1,4}"
    r"(?:[- ]?[A-Z0-9]{2,5}){1,3})"
    r"(?![\w-])"
)
_UDI = re.compile(r"\(01\)\d{14}(?:\(\d{2}\)[A-Za-z0-9-]{1,20}){0,4}")
_IBAN = re.compile(r"\b(?i:iban)[\s:]{1,3}(?P<id>[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?)\b")
_GROUP = re.compile(rf"\b(?i:group){_NUMBER_WORD}?\s?{_CODE}")
_PLAN = re.compile(r"(?i)\b(?:insurance|insurer|member|policy|subscriber|plan)\b[^.\n]{0,60}$")
_IMAGE_GUARD = re.compile(r"\.(?i:jp|png|gif|heic|tif|bmp|webp|mp4|mov)").search
_FACE = r"(?i:photo(?:graph)?s?|picture|selfie|portrait|headshot|mugshot|face|facial|full-face)"
_IMAGE = r"(?P<id>(?:https?://)?[\w./~%-]{1,200}\.(?i:jpe?g|png|gif|heic|tiff?|bmp|webp|mp4|mov))(?!\w)"
_PHOTOGRAPH = re.compile(rf"\b{_FACE}\b[^.\n]{{0,60}}?(?<![\w./~%-]){_IMAGE}")
_BIOMETRIC = re.compile(
    r"\b(?i:finger ?prints?|thumb ?prints?|palm ?prints?|voice ?prints?|(?:retinal?|iris) (?:scan|code|template)|"
    r"face ?id|faceprint|face template|biometrics?|dna profile)\b"
    rf"(?:[\s,:#]{{1,2}}(?i:id|no|number|template|code|record|file|scan|reference|ref|is|"
    rf"was)\b\.?){{0,3}}[\s,:#]{{0,3}}{_CODE}"
)

RULES = (
    Rule("photographs", _PHOTOGRAPH, guard=_IMAGE_GUARD),
    Rule(
        "biometrics",
        _BIOMETRIC,
        ("finger", "thumb", "palm", "voice", "retina", "iris", "face", "biometric", "dna profile"),
        guard=_CODE_GUARD,
        accepts=_has_digits(3),
    ),
    Rule("vehicle_numbers", _VIN, ("vin", "chassis", "vehicle ident"), guard=_CODE_GUARD),
    Rule("vehicle_numbers", _PLATE, ("plate", "vehicle reg", "registration", "reg n"), accepts=_is_plate),
    _labelled(
        "device_numbers",
        ("serial", "s/n", "sn", "device id", "imei", "udi"),
        r"serial|s/n|sn|device id(?:entifier)?|imei|udi",
        digits=4,
        is_bare=True,
    ),
    _labelled("device_numbers", ("lot", "batch", "device", "implant"), "lot|batch|device|implant", digits=4),
    Rule(
        "device_numbers",
        re.compile(r"\b(?i:lot) (?P<id>[A-Z]{1,3}\d{2,12}[A-Z0-9-]{0,15})(?![\w-])"),
        ("lot ",),
        guard=_CODE_GUARD,
        accepts=_has_digits(3),
    ),
    Rule("device_numbers", _UDI, ("(01)",)),
    _labelled(
        "health_plan_numbers",
        (
            "member",
            "subscriber",
            "policy",
            "beneficiary",
            "insurance",
            "medicare",
            "medicaid",
            "hicn",
            "mbi",
            "plan",
            "health card",
        ),
        "member(?:ship)?|subscriber|policy|beneficiary|insurance|medicare|medicaid|hicn|mbi|plan|health card",
        digits=4,
    ),
    _labelled(
        "health_plan_numbers",
        ("policy", "subscriber", "beneficiary", "member"),
        "policy|subscriber|beneficiary|member",
        digits=5,
        is_bare=True,
    ),
    Rule("health_plan_numbers", _GROUP, ("group",), guard=_CODE_GUARD, accepts=_is_group_of_a_plan),
    _labelled("licence_numbers", ("licen", "certificate", "npi", "dea", "gmc"), "licen[cs]e|certificate|npi|dea|gmc"),
    _labelled("licence_numbers", ("licen", "npi", "dea", "gmc"), "licen[cs]e|npi|dea|gmc", digits=5, is_bare=True),
    _labelled("account_numbers", ("account", "acct", "invoice", "card"), "account|acct|invoice|card", digits=4),
    _labelled("account_numbers", ("account", "acct"), r"account|acct\.?", digits=5, is_bare=True),
    Rule("account_numbers", _IBAN, ("iban",)),
    _labelled(
        "medical_record_numbers",
        ("record", "hospital", "chart", "patient", "nhs", "unit"),
        "record|hospital|chart|patient|nhs|unit",
        digits=4,
    ),
    _labelled("medical_record_numbers", ("mrn", "emr id"), "mrn|emr id", digits=4, is_bare=True),
    Rule("social_security_numbers", _SSN_LABELLED, ("ssn", "social security")),
    Rule("social_security_numbers", _SSN, guard=_SSN_GUARD, accepts=_is_ssn),
    _labelled(
        "other_identifiers",
        ("subject", "participant", "case", "study", "specimen", "sample", "accession", "barcode", "passport"),
        "subject|participant|case|study|specimen|sample|accession|barcode|passport",
        digits=4,
    ),
    _labelled(
        "other_identifiers",
        ("passport", "barcode", "national insurance", "aadhaar"),
        "passport|barcode|national insurance|aadhaar",
        digits=4,
        is_bare=True,
    ),
    _labelled("other_identifiers", ("id",), "id"),
)
