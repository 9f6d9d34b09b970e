"""The choice that a free answer makes: a letter of the question's options, or yes, no or maybe."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_uppercase

from med_lora.metrics.definition import Metric

DECISIONS = ("yes", "no", "maybe")
_OPTION = re.compile(r"([A-Z])\. (.+)")
_MARKUP = re.compile(r"\\boxed\{([^{}]*)\}|[*_`$#]+")
_WORD = re.compile(r"\w+")
_NAMED = r"(?:answer|choice|option|conclusion|decision)"
_IS = r"(?:\bis\b|\bwould be\b|:|=)\s*:?\s*"
_STATED_TEXT = re.compile(rf"\b{_NAMED}\b[^.\n]{{0,40}}?{_IS}", re.IGNORECASE)


def choice_metrics() -> list[Metric]:
    """Accuracy, and how often no choice could be read."""
    signature = (
        "letter of the options, or yes, no, maybe|the last one stated as the answer, else the one that begins "
        "or ends the answer, else the option whose text begins it|two different ones are none"
    )
    return [
        Metric("choice_accuracy", "choice", "higher", True, f"{signature}|none counts as wrong"),
        Metric("choice_unparsed", "choice", "lower", False, f"{signature}|answers with none / all answers"),
    ]


def read_options(question: str) -> dict[str, str]:
    """Label and text of each option of a question, {} where it has none.

    The options are its last lines ``A. text``, with ascending letters. A single such line belongs to the stem.
    """
    options: dict[str, str] = {}
    for line in reversed(question.split("\n")):
        option = _OPTION.fullmatch(line)
        if option is None or (options and option[1] >= min(options)):
            break
        options[option[1]] = option[2]
    return dict(sorted(options.items())) if len(options) > 1 else {}


def list_options(question: str, choice: str) -> dict[str, str]:
    """Label and text of each option of a question, of which ``choice`` is the right one; a decision has no texts.

    Where :func:`read_options` does not find the right one, A to E and it serve, without texts.
    """
    if choice in DECISIONS:
        return dict.fromkeys(DECISIONS, "")
    options = read_options(question)
    return options if choice in options else dict.fromkeys(sorted({*ascii_uppercase[:5], choice}), "")


def read_choice(answer: str, options: Mapping[str, str]) -> str | None:
    """The label that ``answer`` chooses, or None where it chooses none, or two.

    What it states last as its answer ("the answer is (B)", "C is correct") decides. Without such a statement it is the
    label that begins the answer, the one that ends it, or the one of the option whose text begins it; those present
    must agree. A list of several options chooses none.

    Args:
        answer: free text.
        options: label and text of each option, as :func:`list_options` gives them.
    """
    text = _MARKUP.sub(lambda match: match[1] or "", answer).strip()
    patterns = _patterns(tuple(options))
    stated = [match for pattern in patterns.stated for match in pattern.finditer(text)]
    if stated:
        last = max(stated, key=lambda match: match.start("label"))
        return None if patterns.second.match(text, last.end("label")) else _label(last, options)
    found = set(_matched(text, patterns, options)) | set(_by_text(text, options))
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True)
class _Patterns:
    """What holds a label, each in a group ``label``; ``second`` is another label that an "or" adds to it."""

    stated: tuple[re.Pattern[str], ...]
    begins: re.Pattern[str]
    ends: re.Pattern[str]
    lines: re.Pattern[str]
    second: re.Pattern[str]


@lru_cache(maxsize=32)
def _patterns(labels: tuple[str, ...]) -> _Patterns:
    if set(labels) == set(DECISIONS):
        return _decision_patterns()
    upper, lower = "".join(labels), "".join(labels).lower()
    capital = rf"[{upper}](?![\w'’-])"
    # a small letter may be the article, so it needs a sign behind it
    label = rf"[(\[]?(?P<label>{capital}|[{lower}](?=\s*(?:[).,;:\]]|$)))"
    right = r"(?:correct|right|best|true|(?:the\s+)?most\s+(?:likely|appropriate))"
    return _Patterns(
        stated=(
            re.compile(rf"\b(?i:{_NAMED})\b[^.\n]{{0,40}}?(?i:{_IS})(?i:{_NAMED}\s+)?{label}"),
            re.compile(rf"\b(?i:choose|chose|pick|select|go with)\s+(?i:{_NAMED}\s+)?{label}"),
            re.compile(rf"(?<![\w'’-])[(\[]?(?P<label>{capital})[)\].]?\s+(?:is|would be)\s+(?:the\s+)?{right}\b"),
        ),
        begins=re.compile(rf"(?i:{_NAMED}\s+)?[(\[]?(?P<label>[{upper}](?=[).:\]]|\s*$|\s*\n|\s+-)|[{lower}](?=\)))"),
        ends=re.compile(rf"(?:(?:^|[.!?:\n]|\bis)\s*|[(\[])(?P<label>[{upper}])[)\]]?[.!]?\s*$"),
        lines=re.compile(rf"^\s*[(\[]?(?P<label>[{upper}{lower}])[).:\]]", re.MULTILINE),
        second=re.compile(rf"[)\]]?\s*(?:,|/|\bor\b|\band\b)\s*(?:{_NAMED}\s+)?[(\[]?[{upper}](?![\w'’-])"),
    )


def _decision_patterns() -> _Patterns:
    # "no evidence" and "no longer" decide nothing
    label = r"(?P<label>yes\b|maybe\b|no(?=\s*(?:[.,;:!)\]\"-]|$|because\b|since\b)))"
    others = "|".join(DECISIONS)
    flags = re.IGNORECASE
    return _Patterns(
        stated=(re.compile(rf"\b{_NAMED}\b[^.\n]{{0,40}}?{_IS}[(\[\"']?{label}", flags),),
        begins=re.compile(rf"[(\[\"']?{label}(?!\s*(?:/|\bor\b|\band\b)\s*(?:{others})\b)", flags),
        ends=re.compile(rf"(?:(?:^|[.!?:\n]|\bis|\bso,?)\s*|[(\[])(?P<label>{others})[)\]]?[.!]?\s*$", flags),
        lines=re.compile(rf"^\s*(?P<label>{others})\b[.:]?\s*$", flags | re.MULTILINE),
        second=re.compile(rf"\s*(?:,|/|\bor\b|\band\b)\s*(?:{others})\b", flags),
    )


def _matched(text: str, patterns: _Patterns, options: Mapping[str, str]) -> Iterator[str]:
    if len({_label(match, options) for match in patterns.lines.finditer(text)}) > 1:
        return
    for match in (patterns.begins.match(text), patterns.ends.search(text)):
        if match:
            yield _label(match, options)


def _by_text(text: str, options: Mapping[str, str]) -> Iterator[str]:
    """The option whose text begins the answer, or what is stated as the answer; of two that do, the longer one."""
    stated = list(_STATED_TEXT.finditer(text))
    begins = [text, text[stated[-1].end() :]] if stated else [text]
    keys = {label: f"{_key(option)} " for label, option in options.items() if _key(option)}
    for begin in begins:
        fitting = [label for label, key in keys.items() if f"{_key(begin)} ".startswith(key)]
        longest = max((len(keys[label]) for label in fitting), default=0)
        yield from (label for label in fitting if len(keys[label]) == longest)


def _key(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))


def _label(match: re.Match[str], options: Mapping[str, str]) -> str:
    found = match["label"]
    return found.lower() if "yes" in options else found.upper()
