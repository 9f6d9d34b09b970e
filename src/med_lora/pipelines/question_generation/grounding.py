"""Whether a generated pair rests on its passage, as far as words and numbers can tell.

A quotation that stands in the passage and numbers that stand there too do not prove that the answer follows from it;
their absence proves that something was invented.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

# Signs count where they change the meaning of a number ("<5", "5 %"); all other punctuation does not.
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[^\W_]|[<>=≤≥±%]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_LIST_MARK = re.compile(r"^\s*\(?\d{1,2}[.)]\s", re.MULTILINE)
# "one" is mostly a pronoun.
_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBER_WORDS = {word: Decimal(value) for value, word in enumerate(_WORDS, start=2)}

_TEXT = r"(?:passages?|texts?|excerpts?|extracts?|paragraphs?|chapters?|documents?|articles?|book|textbook|context)"
# "the passage of urine" and "in the context of diabetes" are medicine: `of` ends the suspicion.
_NOT_OF = r"(?!\s+of\b)"
_REFERENCES = re.compile(
    rf"\b(?:according to|based on|described in|mentioned in|stated in|discussed in|given in|from|in|by)\s+"
    rf"(?:the|this)\s+{_TEXT}\b{_NOT_OF}"
    rf"|\b(?:the|this)\s+(?:above|given|provided|following|preceding|present)\s+{_TEXT}\b{_NOT_OF}"
    rf"|\b(?:the|this)\s+{_TEXT}\s+(?:above|below|say|state|mention|describe|discuss|explain|list|suggest|define|note)"
    rf"|\b(?:do|does|did)\s+(?:the|this)\s+(?:{_TEXT}|authors?)\b{_NOT_OF}"
    rf"|\b(?:the|this)\s+authors?\b"
    rf"|\b(?:mentioned|described|stated|listed|discussed|shown)\s+(?:above|below|here)\b"
    rf"|\b(?:fig(?:ure|\.)|table)\s+\d",
    re.IGNORECASE,
)


def tokens(text: str) -> list[str]:
    """Words, numbers and comparison signs: what stays when white space, case, quotes and punctuation are set aside."""
    return _TOKEN.findall(unicodedata.normalize("NFC", text).casefold())


def is_quoted(evidence: str, passage: str, min_words: int) -> bool:
    """Whether ``evidence`` stands in ``passage`` without a gap, and has ``min_words`` words or more."""
    words = tokens(evidence)
    return len(words) >= min_words and f" {' '.join(words)} " in f" {' '.join(tokens(passage))} "


def numbers(text: str) -> set[Decimal]:
    """Values of the numbers in a text, in digits or (two to twelve) in words; numerals of a list do not count."""
    text = _LIST_MARK.sub(" ", text)
    found = {value for match in _NUMBER.findall(text) for value in _values(match)}
    return found | {_NUMBER_WORDS[word] for word in tokens(text) if word in _NUMBER_WORDS}


def _values(number: str) -> list[Decimal]:
    if _THOUSANDS.fullmatch(number):
        return [Decimal(number.replace(",", ""))]
    if number.count(".") + number.count(",") == 1:
        return [Decimal(number.replace(",", "."))]  # a decimal comma
    return [Decimal(part) for part in re.split("[.,]", number)]


def refers_to_passage(text: str) -> bool:
    """Whether a question or an answer speaks of its source, which a reader of the pair does not have."""
    return _REFERENCES.search(text) is not None


def find_fault(question: str, answer: str, evidence: str, passage: str, min_evidence_words: int) -> str:
    """``""`` for a pair that may go on, else the reason why not."""
    if not is_quoted(evidence, passage, min_evidence_words):
        return "ungrounded"
    if not numbers(answer) <= numbers(passage):
        return "ungrounded_number"
    if refers_to_passage(question) or refers_to_passage(answer):
        return "refers_to_passage"
    return ""
