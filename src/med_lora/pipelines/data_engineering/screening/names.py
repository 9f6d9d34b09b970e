"""Names of persons: behind titles, labels, greetings and relatives, before credentials, and full names from lists.

Eponyms stay: a name in front of "disease", "syndrome", "Foundation" and the like is nobody's here.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from med_lora.pipelines.data_engineering.screening.lists import read_list
from med_lora.pipelines.data_engineering.screening.spans import Rule

_UPPER = "[A-ZÀ-ÖØ-ÞĀ-Ž]"
_WORD = rf"(?:(?:Mc|Mac|O['’]|D['’])?{_UPPER}[^\W\d_A-Z]{{1,24}}(?:[-’']{_UPPER}[^\W\d_A-Z]{{1,24}})?)"
_PARTICLE = r"(?:(?:van der|van den|van|von|de la|de los|de|del|di|da|dos|al|el|bin|ibn) |al-|el-)?"
_NAME = rf"(?P<id>(?:[A-Z]\. ?){{0,2}}{_PARTICLE}{_WORD}(?: (?:[A-Z]\.? )?{_PARTICLE}{_WORD}){{0,3}})(?!\w)"
_LOUD = r"[A-Z]{3,20}(?:,? [A-Z]{1,20}){0,2}"
_LABELLED_NAME = (
    rf"(?P<id>{_WORD}, {_WORD}|(?:[A-Z]\. ?){{0,2}}{_WORD}(?: (?:[A-Z]\.? )?{_PARTICLE}{_WORD}){{0,3}}|{_LOUD})(?!\w)"
)

_TITLED = re.compile(
    rf"\b(?:(?:Dr|Mr|Mrs|Ms|Mx|Prof|Drs|Mme|Hr|Fr)\b\.?|Professor|Doctor|Miss|Herrn?|Frau|Señora?|Monsieur|Madame|"
    rf"Sir|Dame|Rev\.)"
    rf"(?: (?:Dr|Prof|med)\.?)?\s{{1,2}}{_NAME}"
)
_TITLE_GUARD = re.compile(
    r"[DMPHFSR](?:rs?|s|x|rof|me|octor|rofessor|iss|errn?|rau|eñora?|onsieur|adame|ir|ame|ev)\.? "
).search
_CAPITALISED = re.compile(rf"{_UPPER}[a-zß-öø-ÿ]+")
_SELF = re.compile(rf"\b(?i:my name(?: is|['’]s)|name['’]s|i go by|call me|(?:he|she) is called|named)\s{_NAME}")
_SELF_LOWER = re.compile(r"\b(?i:my name is|my name['’]s|i am|i['’]m) (?P<id>[a-z]{3,15}(?: [a-z]{3,15})?)(?=[\s,.!])")
_I_AM = re.compile(rf"\b(?:[Ii] am|I['’]m|[Tt]his is|[Ii]t is|[Ii]t['’]s)\s{_NAME}")
_LABELLED = re.compile(
    r"(?<![\w-])(?i:patient(?:['’]s)?(?: name)?|(?:full |first |last |family |given |sur)?name|"
    r"(?:electronically )?signed(?: electronically)?(?: by)?|"
    r"attending(?: physician)?|(?:referring |treating |primary care )?physician|surgeon|an(?:a?)esthetist|"
    r"consultant|gp|next of kin|"
    r"(?:emergency )?contact(?: person)?|dictated(?: by)?|transcribed by|reviewed by|provider|witness(?:ed by)?|"
    r"interpreter|"
    rf"mother|father|guardian|spouse|carer|caregiver|cc|re|pt)\s?:\s{{0,3}}(?:(?:Dr|Mr|Mrs|Ms|"
    rf"Prof)\.? )?{_LABELLED_NAME}"
)
_BY = re.compile(
    r"\b(?i:signed by|dictated by|witnessed by|reviewed by|referred by|seen by|examined by|patient name|care of|"
    r"attention of|"
    rf"(?:in the )?opinion of|accompanied by|on behalf of|according to|with)\s(?:(?:Dr|Mr|Mrs|Ms|"
    rf"Prof)\.? )?{_NAME}"
)
_GREETED = re.compile(
    r"\b(?:[Dd]ear|[Hh]i|[Hh]ello|[Hh]ey|HELLO|[Gg]ood (?:morning|afternoon|evening|day)|[Gg]reetings),?\s"
    rf"(?:(?:Dr|Mr|Mrs|Ms|Prof)\b\.? )?{_NAME}(?=\s?[,.!:;\n-]|\s?$)"
)
_CLOSING = re.compile(
    r"\b(?:[Rr]egards|[Ss]incerely|[Tt]hank you|[Tt]hanks|[Bb]est wishes|[Yy]ours(?: truly| faithfully)?|"
    r"[Cc]heers),?\s{1,2}"
    rf"{_NAME}(?=\s?[,.!;\n]|\s?$)"
)
_RELATIVE_WORDS = (
    "wife", "husband", "son", "daughter", "mother", "father", "brother", "sister", "friend", "partner", "carer",
    "caregiver", "neighbour", "neighbor", "uncle", "aunt", "cousin", "niece", "nephew", "fiancé", "twin", "baby",
    "mom", "mum", "dad",
)  # fmt: skip
_RELATIVE = re.compile(
    rf"(?:(?<!\w)|(?<=grand)|(?<=step)|(?<=girl)|(?<=boy))(?i:{'|'.join(_RELATIVE_WORDS)})e?(?:,| named| called|:|"
    rf" is)?\s{_NAME}"
)
_CREDENTIALS = (
    r"(?:M\.?D\.?|R\.?N\.?|PA-C|D\.?O\.?|NP|FNP|Ph\.?D\.?|FRCS|FRCP|MRCP|MBBS|MBChB|BSN|MSN|LPN|LCSW|DDS|"
    r"DMD|PharmD|DPT|CRNA)"
)
_QUALIFIED = re.compile(rf"\b{_NAME},? {_CREDENTIALS}(?![\w-])")
_FULL = re.compile(
    rf"(?:[A-Z]\. )?(?P<first>{_UPPER}(?<![\w.'’-].)[^\W\d_A-Z]{{1,15}})(?:-{_UPPER}[^\W\d_A-Z]{{1,15}})? "
    rf"(?:{_UPPER}\.? |{_UPPER}[^\W\d_A-Z]{{2,15}} )?"
    rf"{_PARTICLE}(?P<last>{_WORD})(?![\w-])"
)
_TOLD = re.compile(
    r"(?:,? \(?(?:aged )?\d{1,3}[- ]?(?:years?|y/o|yo|-year)|, (?:his|her|a|an|specialist|staff)\b| (?:is|was) (?:a|"
    r"an|seen|admitted)\b"
    r"| (?:reports|said|told|called|agreed|signed|presented|attended|underwent|who)\b)"
)
_AGE_OR_ORIGIN = re.compile(r",? (?:\d{1,2}\b|an? \d|from\b)")
_INITIAL = re.compile(r"[A-Z]\.")
_SURNAME_SHAPE = re.compile(
    r"(?:mc|o['’]|mac[a-z])[a-z]{3,}|[a-z]{2,}(?:ez|ski|ska|sson|sen|ova|enko|berg|stein|opoulos|escu|wicz|yan|elli|"
    r"etti|ini|quist|strom|"
    r"mann|meyer|baum|worth|field|combe|thwaite|son|shvili|wala|oglu)"
)
# A thing named after a person, or an institution.
_EPONYM = re.compile(
    r"(?:['’]s?)?[ -](?:and [A-Z][\w-]+ )?(?i:syndromes?|diseases?|disorders?|palsy|signs?|tests?|scor(?:e|ing)|"
    r"scales?|methods?|operation|procedures?|virus(?:es)?|"
    r"anomal\w+|malformation|tumou?rs?|cysts?|fractures?|reflex|phenomen\w+|nodules?|nodes?|bod(?:y|ies)|cells?|"
    r"foundation|institute|"
    r"hospitals?|clinics?|cent(?:er|re)s?|universit\w+|college|school|society|association|fund|award|prize|lecture|"
    r"study|trial|criteria|"
    r"classification|law|theory|formula|stag\w+|stain\w*|fever|rash|contracture|deformity|ulcer|fistula|man(?:eu|"
    r"oeu)ver|man(?:eu|oeu)vre|"
    r"catheter|tubes?|lymphomas?|sarcoma|carcinoma|chorea|ataxia|dystrophy|an(?:a)?emia|encephalopathy|neuropathy|"
    r"type|phenotype|gene|"
    r"granulomatosis|arteritis|thyroiditis|esophagus|oesophagus|lines?|rings?|effect|act|index|equation|model|"
    r"questionnaire|inventory|"
    r"medical|health|memorial|comprehensive|cancer|children|library|press|publish\w+|company|inc|ltd|building|house|"
    r"street|road|county|park|"
    r"island|islands|mountains?|river|valley|beach|city|diet|technique|approach|exercises?|bab(?:y|ies)|spots?|"
    r"triad|sequence|tetralogy|glands?)\b"
)
_STRICT_LABEL = re.compile(
    r"(?i)(?:patient(?:['’]s)? name|signed(?: electronically)?(?: by)?|next of kin|emergency contact|dictated(?: by)?|"
    r"transcribed by|reviewed by|witness(?:ed by)?|attending(?: physician)?|referring physician|surgeon)\s?:"
)
_LABEL_GUARD = re.compile(rf":\s{{0,3}}{_UPPER}").search
_RECORD_FIELD = re.compile(
    r"(?i)\b(?:dob|date of birth|born|mrn|age|sex|gender|hospital n|record n|address|account|phone|tel)\b"
)


class _Found(NamedTuple):
    """A candidate cut to its name, and whether the lists know one of its words."""

    span: tuple[int, int]
    words: list[str]
    is_listed: bool


def _candidate(match: re.Match[str]) -> _Found | None:
    """The leading words of the match that may be a name, or None where there is none or it belongs to an eponym."""
    end = match.start("id")
    words: list[str] = []
    for word in re.finditer(r"[^\s,]+", match["id"]):
        bare = word[0].lower().rstrip(".").removesuffix("'s").removesuffix("’s")
        if bare in read_list("not_names") and not _INITIAL.fullmatch(word[0]):
            break
        words.append(bare)
        end = match.start("id") + word.end()
    if not any(len(word) > 1 for word in words):
        return None
    is_listed = any(
        part in read_list("given_names") or part in read_list("surnames")
        for word in words
        for part in (word, *word.split("-"))
    )
    return _Found((match.start("id"), end), words, is_listed)


def is_eponym(text: str, end: int) -> bool:
    """Whether what follows the name that ends at ``end`` makes it a disease, a test or an institution."""
    return _EPONYM.match(text, end) is not None


def _is_given(word: str) -> bool:
    return word in read_list("given_names") or word.split("-")[0] in read_list("given_names")


def _is_full_name(first: str, last: str) -> bool:
    first, last = first.lower(), last.lower().removesuffix("'s").removesuffix("’s")
    if not _is_given(first) or last in read_list("not_names"):
        return False
    parts = [last, *re.split("[-'’]", last), re.sub("['’]", "", last)]
    return any(part in read_list("surnames") for part in parts) or _SURNAME_SHAPE.fullmatch(last) is not None


def _holds_given_name(text: str) -> bool:
    return not _capitalised_given_names().isdisjoint(_CAPITALISED.findall(text))


@cache
def _capitalised_given_names() -> frozenset[str]:
    return frozenset(map(str.capitalize, read_list("given_names")))


def _titled(match: re.Match[str]) -> tuple[int, int] | None:
    found = _candidate(match)
    # "Your Doctor Regularly" stands in headings.
    is_told = found and (found.is_listed or not match[0].startswith("Doctor"))
    return found.span if found and is_told else None


def _known(match: re.Match[str]) -> tuple[int, int] | None:
    """A name of which the lists know the first word, outside an eponym."""
    found = _candidate(match)
    if not found or is_eponym(match.string, found.span[1]):
        return None
    return found.span if _is_given(found.words[0]) else None


def _known_or_full(match: re.Match[str]) -> tuple[int, int] | None:
    found = _candidate(match)
    if not found or is_eponym(match.string, found.span[1]):
        return None
    words = [word for word in found.words if len(word) > 1]
    return (
        found.span
        if len(words) >= 2 and (_is_given(words[0]) and (found.is_listed or _is_full_name(words[0], words[-1])))
        else None
    )


def _introduced(match: re.Match[str]) -> tuple[int, int] | None:
    """A listed name, or any in front of an age or an origin: "I'm Zora, 27" but not "I am Pregnant"."""
    found = _candidate(match)
    is_told = found and _AGE_OR_ORIGIN.match(match.string, found.span[1])
    return found.span if found and is_told else _known(match)


def _self(match: re.Match[str]) -> tuple[int, int] | None:
    found = _candidate(match)
    return found.span if found and not is_eponym(match.string, found.span[1]) else None


def _closing(match: re.Match[str]) -> tuple[int, int] | None:
    """Thanks go to things too; "regards" stand before a name."""
    return _known(match) if match[0].lower().startswith("thank") else _self(match)


def _named(match: re.Match[str]) -> tuple[int, int] | None:
    """Behind "named": only of a person, since diseases are named too."""
    return _known(match) if match[0].lower().startswith("named") else _self(match)


def _is_told_of(match: re.Match[str]) -> bool:
    """A listed given name with a surname that no list knows, where the words behind it tell of a person."""
    is_word = match["last"].lower() in read_list("not_names")
    return _is_given(match["first"].lower()) and not is_word and bool(_TOLD.match(match.string, match.end()))


def _full(match: re.Match[str]) -> tuple[int, int] | None:
    """A listed given name in front of a listed surname, or of a word that is formed like one."""
    is_name = _is_full_name(match["first"], match["last"]) or _is_told_of(match)
    is_name = is_name and not is_eponym(match.string, match.end())
    is_saint = match.string[max(0, match.start() - 6) : match.start()].endswith(("Saint ", "St. ", "St "))
    return match.span() if is_name and not is_saint else None


def _lower_case(match: re.Match[str]) -> tuple[int, int] | None:
    first, *rest = match["id"].split()
    if first not in read_list("given_names") or len(first) < 4:
        return None
    if not match[0].lower().startswith("my name") and not rest:
        return None
    end = match.end("id") if rest and rest[0] in read_list("surnames") else match.start("id") + len(first)
    is_told = match[0].lower().startswith("my name") or end == match.end("id")
    return (match.start("id"), end) if is_told else None


def _labelled(match: re.Match[str]) -> tuple[int, int] | None:
    if match["id"].isupper() and "," not in match["id"]:
        words = match["id"].lower().split()
        return match.span("id") if any(map(_is_given, words)) else None
    found = _candidate(match)
    if not found or is_eponym(match.string, found.span[1]):
        return None
    is_record = _RECORD_FIELD.search(match.string, match.end(), match.end() + 80) is not None
    is_strict = _STRICT_LABEL.match(match[0]) is not None
    return found.span if found.is_listed or is_record or is_strict else None


_SELF_CUES = ("my name", "name's", "name’s", "i go by", "call me", "he is called", "she is called", "named")
_I_AM_CUES = ("i am ", "i'm ", "i’m ", "this is ", "it is ", "it's ", "it’s ")
_LABEL_CUES = (
    "patient", "name", "full n", "first n", "last n", "family n", "given n", "surn", "signed", "electronically",
    "attending", "referring", "treating", "primary care p", "physician", "surgeon", "anesthetist", "anaesthetist",
    "consultant", "gp", "next of kin", "contact", "emergency c", "dictated", "transcribed", "reviewed by",
    "provider", "witness", "interpreter", "mother", "father", "guardian", "spouse", "carer", "caregiver", "cc",
    "re:", "re :", "pt",
)  # fmt: skip
_BY_CUES = (
    "signed by", "dictated by", "witnessed by", "reviewed by", "referred by", "seen by", "examined by",
    "patient name", "care of", "attention of", "opinion of", "accompanied by", "on behalf of", "according to", "with",
)  # fmt: skip
_GREETED_CUES = (
    "dear ", "dear,", "hi ", "hi,", "hello", "hey ", "hey,", "good morning", "good afternoon", "good evening",
    "good day", "greetings",
)  # fmt: skip
_CLOSING_CUES = ("regards", "sincerely", "thank", "best wishes", "yours", "cheers")
_CREDENTIAL_NEEDS = (
    "M.D", " MD", " RN", "R.N", "PA-C", " DO", "D.O", " NP", " FNP", "Ph.D", "PhD", "FRC", "MRC", "MBB", "MBC",
    "BSN", "MSN", "LPN", "LCSW", "DDS", "DMD", "PharmD", "DPT", "CRNA",
)  # fmt: skip
RULES = (
    Rule("names", _TITLED, guard=_TITLE_GUARD, cut=_titled),
    Rule("names", _SELF, _SELF_CUES, cut=_named),
    Rule("names", _SELF_LOWER, ("my name", "i am ", "i'm ", "i’m "), cut=_lower_case),
    Rule("names", _I_AM, _I_AM_CUES, cut=_introduced),
    Rule("names", _LABELLED, _LABEL_CUES, guard=_LABEL_GUARD, cut=_labelled),
    Rule("names", _BY, _BY_CUES, guard=_holds_given_name, cut=_known_or_full),
    Rule("names", _GREETED, _GREETED_CUES, cut=_self),
    Rule("names", _CLOSING, _CLOSING_CUES, cut=_closing),
    Rule("names", _RELATIVE, _RELATIVE_WORDS, guard=_holds_given_name, cut=_known),
    Rule("names", _QUALIFIED, needs=_CREDENTIAL_NEEDS, guard=_holds_given_name, cut=_known_or_full),
    Rule("names", _FULL, guard=_holds_given_name, cut=_full),
)
