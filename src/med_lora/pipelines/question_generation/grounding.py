"""Whether a generated pair rests on its passage, as far as words and numbers can tell.

A quotation that stands in the passage and numbers that stand there too do not prove that the answer follows from it;
their absence proves that something was invented.
"""

from __future__ import annotations

import re
import unicodedata

from med_lora.stated_numbers import numbers

# Signs count where they change the meaning of a number ("<5", "5 %"); all other punctuation does not.
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[^\W_]|[<>=≤≥±%]")

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
