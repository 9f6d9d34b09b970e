"""The topic of a pair, where the wording of its question or a list of terms gives it away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pandas as pd

from med_lora.pipelines.data_engineering.text import words

# Question type (in MedQuAD's words) and the wording that names the topic, as WikiDoc's patient pages use them.
_WORDINGS = [
    ("causes", r"what causes? {topic}"),
    ("causes", r"what are (?:the )?causes (?:(?:of|for) )?{topic}"),
    ("symptoms", r"what are (?:the )?(?:signs and )?symptoms (?:(?:of|for) )?{topic}"),
    ("susceptibility", r"who (?:is|are) at (?:the )?(?:highest |high )?risk (?:for|of) {topic}"),
    ("when to seek care", r"when (?:to|should i) seek urgent medical care (?:when i have|with|for) {topic}"),
    ("outlook", r"what to expect if i have {topic} ?\(outlook/prognosis\)"),
    ("outlook", r"what to expect if i have {topic}"),
    ("exams and tests", r"how to know (?:you have|your baby has) {topic} ?\(diagnosis\)"),
    ("exams and tests", r"how to know (?:you have|your baby has) {topic}"),
    ("exams and tests", r"how (?:is|are) {topic} diagnosed"),
    ("treatment", r"what are the treatment options for {topic}"),
    ("treatment", r"how (?:is|are) {topic} treated"),
    ("prevention", r"how (?:is|are) {topic} prevented"),
    ("procedure", r"how (?:is|are) {topic} (?:done|performed)"),
    ("procedure", r"who needs {topic}"),
    ("procedure", r"what are the risks of {topic}"),
    ("procedure", r"what to expect (?:before|during|after) {topic}"),
    ("procedure", r"how to prepare for {topic}"),
    ("where to find care", r"where to (?:find|get) medical care for {topic}"),
    ("where to find care", r"where to find centers that (?:perform|do) {topic}"),
    ("after care", r"when could i drive after i underwent {topic} discharge instructions"),
    ("after care", r"when can i go back to work after {topic} discharge instructions"),
    ("after care", r"what medications should i take after {topic} discharge instructions"),
]
_TOPIC = r"(?:(?:an?|the) )?(?P<topic>[^?]{2,80}?)"
_PATTERNS = [(kind, re.compile(wording.format(topic=_TOPIC), re.IGNORECASE)) for kind, wording in _WORDINGS]
# What stands in the topic's place without naming one.
_UNNAMED = re.compile(
    r"\(?(?:it|this|that|these|those|my|your|risks?|symptoms?|surgery|disease|condition|procedure|treatment|test)\b.*",
    re.IGNORECASE,
)


def question_topic(question: str) -> tuple[str, str]:
    """Topic and question type of a patient question, ("", "") where no known wording fits.

    The rule: the whole question, without its question mark and an article before the topic, must be one of the fixed
    wordings of WikiDoc's patient pages ("What causes X?", "Who is at highest risk for X?", "What to expect if I have
    X (Outlook/Prognosis)?" and so on); X is the topic, unless it is a bare "it", "the procedure" and the like.

    Args:
        question: cleaned text of the question.
    """
    text = " ".join(question.rstrip(" ?").split())
    for kind, pattern in _PATTERNS:
        match = pattern.fullmatch(text)
        if match:
            topic = match["topic"].strip()
            return ("", "") if _UNNAMED.fullmatch(topic) else (topic, kind)
    return "", ""


def focus_from_terms(pairs: pd.DataFrame, terms: Iterable[str]) -> pd.DataFrame:
    """The pairs, of which one without a focus gets the only term that its answer names.

    Terms are found as whole words, whatever their case, the longest one at each place; an answer that names two
    different ones names none. On GenMedGPT-5k with the 796 diseases of its database, 3,539 of 4,879 answers name
    exactly one, 738 diseases in all and none more than 31 times; 1,004 name none, 336 several.

    Args:
        pairs: table with the columns focus and answer.
        terms: names of topics, such as diseases.
    """
    known: dict[tuple[str, ...], str] = {}
    for term in terms:
        known.setdefault(tuple(words(term)), term)
    known.pop((), None)
    longest = max(map(len, known), default=0)
    focus = [
        focus or _only_term(words(answer), known, longest)
        for focus, answer in zip(pairs["focus"], pairs["answer"], strict=True)
    ]
    return pairs.assign(focus=pd.Series(focus, index=pairs.index, dtype="str"))


def _only_term(text: list[str], known: Mapping[tuple[str, ...], str], longest: int) -> str:
    """The term among the words, "" where there is none or more than one."""
    found: set[str] = set()
    place = 0
    while place < len(text):
        sizes = range(min(longest, len(text) - place), 0, -1)
        size = next((size for size in sizes if tuple(text[place : place + size]) in known), 0)
        if size:
            found.add(known[tuple(text[place : place + size])])
        place += size or 1
    return found.pop() if len(found) == 1 else ""
