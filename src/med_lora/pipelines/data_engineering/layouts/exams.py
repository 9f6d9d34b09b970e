"""Exams: PubMedQA's yes, no and maybe, and multiple-choice questions."""

from __future__ import annotations

import json
import re
from string import ascii_uppercase
from typing import Any

import pandas as pd

from med_lora.chunks import Chunks
from med_lora.errors import InputError

_LETTERS = tuple(ascii_uppercase)
_OPTION_COLUMNS = (("opa", "opb", "opc", "opd"), ("A", "B", "C", "D"))
_DECISIONS = frozenset({"yes", "no", "maybe", ""})
# A file whose column has gaps comes with numbers such as 2.0.
_NUMBER = re.compile(r"(-?\d{1,3})(?:\.0)?")
_CHOICE_COLUMNS = ("question", "answer", "choice", "question_type", "fault")


def parse_pubmedqa(records: pd.DataFrame) -> pd.DataFrame:
    """PubMedQA with its abstracts (Jin et al. 2019, arXiv:1909.06146: the reasoning-required setting).

    The question is the title's question, an empty line, and ``Context:`` with the abstract; the answer is the
    conclusion of the abstract. The document is the article's PubMed id.
    """
    contexts = [_contexts(text) for text in records["CONTEXTS"]]
    decisions = records["final_decision"].str.strip().str.lower()
    questions = [
        f"{question}\n\nContext: {context}" if question.strip() and context else question
        for question, context in zip(records["QUESTION"], contexts, strict=True)
    ]
    faults = [
        "not_in_layout" if context is None else "" if decision in _DECISIONS else "unknown_decision"
        for context, decision in zip(contexts, decisions, strict=True)
    ]
    return pd.DataFrame(
        {
            "document": records["pubid"].where(records["pubid"] != "", records["row"]),
            "question": questions,
            "answer": records["LONG_ANSWER"],
            "choice": decisions,
            "fault": faults,
        },
        index=records.index,
        dtype="str",
    )


def _contexts(text: str) -> str | None:
    """The paragraphs of an abstract, one a line: of a list, of the hub's ``{"contexts": [...]}``, or of plain text.

    None if it is a list or an object of something else.
    """
    if not text.lstrip().startswith(("[", "{")):
        return text.strip()
    listed = _from_json(text)
    if isinstance(listed, dict):
        listed = listed.get("contexts")
    if not isinstance(listed, list) or not all(isinstance(paragraph, str) for paragraph in listed):
        return None
    return "\n".join(listed)


def first_number(records: Chunks, name: str) -> int | None:
    """The number that ``cop`` gives the first option: 0 or 1, or None where no record has a ``cop``.

    MedMCQA's own files count from 1, the hub's from 0 with -1 for no answer. The first record that names option 0, or
    the one behind the last option when counted from 0, decides; reading stops there.

    Raises:
        InputError: if there are numbers, and none of them decides.
    """
    numbered = False
    for chunk in records:
        if "cop" not in chunk.columns:
            continue
        for record in chunk[chunk["cop"] != ""].to_dict("records"):
            number, options = _number(record["cop"]), _options(record)
            if number is None or number < 0 or not options:
                continue
            if number in (0, len(options)):
                return 0 if number == 0 else 1
            numbered = True
    if numbered:
        raise InputError(
            f"cop in raw_{name} is never 0 and never the number of the last option, so it does not say whether options "
            "are counted from 0 or from 1; put letters into a column answer_idx, or, if they are counted from 0, map "
            f"`answer: cop` in corpora.{name}.columns."
        )
    return None


def parse_choices(records: pd.DataFrame, first: int | None, name: str) -> pd.DataFrame:
    """Multiple-choice questions (MedQA, MedMCQA, MMLU): the options below the stem, the right one as answer.

    The question is the stem and a line ``A. text`` for each option that is not empty; the answer is the line of the
    right one, with the explanation below it where there is one. The right one is ``answer_idx`` (letter, or number from
    0), else ``cop`` (number from ``first``), else ``answer`` (letter, or number from 0).

    Raises:
        InputError: if ``cop`` counts from 0 in some records and from 1 in others.
    """
    rows = [_choice_row(record, first, name) for record in records.to_dict("records")]
    return pd.DataFrame(rows, index=records.index, columns=_CHOICE_COLUMNS, dtype="str")


def _choice_row(record: dict[Any, str], first: int | None, name: str) -> tuple[str, ...]:
    options = _options(record)
    shown = {letter: text for letter, text in options.items() if text}
    if len(shown) < 2:
        return "", "", "", "", "no_options"
    letter = _right_letter(record, list(options), first, name)
    if letter is None:
        return "", "", "", "", "no_answer"
    if letter not in shown:
        return "", "", "", "", "answer_not_among_options"
    # MedQA repeats the text of the right option beside its letter.
    stated = _line(record["answer"])
    if stated != shown[letter] and stated in shown.values():
        return "", "", "", "", "conflicting_answers"
    stem = record["question"].strip()
    question = "\n".join([stem, *(f"{key}. {text}" for key, text in shown.items())]) if stem else ""
    answer = f"{letter}. {shown[letter]}"
    explanation = record["explanation"].strip()
    return question, f"{answer}\n\n{explanation}" if explanation else answer, letter, record["subject"], ""


def _right_letter(record: dict[Any, str], letters: list[str], first: int | None, name: str) -> str | None:
    """The letter of the right option, "" if what is given names none of the options, None if nothing is given."""
    given, start = record["answer_idx"].strip(), 0
    if not given and record["cop"].strip():
        given, start = record["cop"].strip(), first or 0
        if (first, _number(given)) in {(0, len(letters)), (1, 0)}:
            raise InputError(
                f"cop in raw_{name} counts options from 0 in some records and from 1 in others, such as row "
                f"{record['row']}; make a corpus of each."
            )
    given = given or record["answer"].strip()
    if given in ("", "-1"):
        return None
    if given.upper() in letters:
        return given.upper()
    number = _number(given)
    return letters[number - start] if number is not None and 0 <= number - start < len(letters) else ""


def _options(record: dict[Any, str]) -> dict[str, str]:
    """Letter and text of each option, in the order of the letters; {} if the record has none that can be read."""
    listed = record.get("options", "") or record.get("choices", "")
    if listed:
        return _listed_options(_from_json(listed))
    for columns in _OPTION_COLUMNS:
        texts = [_line(record.get(column, "")) for column in columns]
        if any(texts):
            return dict(zip(_LETTERS, texts, strict=False))
    return {}


def _listed_options(listed: Any) -> dict[str, str]:
    """Options of an object letter -> text, of a list of texts, or of a list of ``{"key": letter, "value": text}``."""
    if isinstance(listed, list) and all(isinstance(option, dict) for option in listed):
        listed = {str(option.get("key", position)): option.get("value") for position, option in enumerate(listed)}
    elif isinstance(listed, list) and len(listed) <= len(_LETTERS):
        listed = dict(zip(_LETTERS, listed, strict=False))
    if not isinstance(listed, dict):
        return {}
    options = {str(letter).strip().upper(): text for letter, text in listed.items()}
    if len(options) != len(listed) or not all(letter in _LETTERS for letter in options):
        return {}
    if any(isinstance(text, list | dict | bool) for text in options.values()):
        return {}
    return {letter: "" if options[letter] is None else _line(str(options[letter])) for letter in sorted(options)}


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _number(text: str) -> int | None:
    match = _NUMBER.fullmatch(text.strip())
    return int(match[1]) if match else None


def _line(text: str) -> str:
    return " ".join(text.split())
