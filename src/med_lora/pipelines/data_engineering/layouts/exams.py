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
_OWN_LETTER = re.compile(r"\(?([A-Z])[.):]\s*", re.IGNORECASE)
# The columns that may say which option is right; the first that is not empty does.
_RIGHT_COLUMNS = ("answer_idx", "cop", "answer")
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
    """The number of the first option: 0 or 1, or None where no record gives the right option as a number.

    MMLU counts from 0, MedMCQA's own files from 1, and the hub's copy of them from 0 with -1 for no answer. The first
    record that names option 0, or the one behind the last option when counted from 0, decides; reading stops there.

    Raises:
        InputError: if there are numbers, and none of them decides.
    """
    undecided = ""
    for chunk in records:
        for record in chunk.to_dict("records"):
            column, given = _given(record)
            number = _number(given)
            if number is None:
                continue
            last = len(_options(record))
            if last and number in (0, last):
                return 0 if number == 0 else 1
            if 0 < number < last:
                undecided = undecided or column
    if undecided:
        raise InputError(
            f"{undecided} in raw_{name} is never 0 and never the number of the last option, so it does not say whether "
            f"options are counted from 0 or from 1; name the right options by letters in a column answer_idx of "
            f"corpora.{name}."
        )
    return None


def parse_choices(records: pd.DataFrame, first: int | None, name: str) -> pd.DataFrame:
    """Multiple-choice questions (MedQA, MedMCQA, MMLU): the options below the stem, the right one as answer.

    The question is the stem and a line ``A. text`` for each option that is not empty; the answer is the line of the
    right one, with the explanation below it where there is one. The right one is ``answer_idx``, else ``cop``, else
    ``answer``: a letter, or a number counted from ``first``. A record without a right one keeps its question.

    Raises:
        InputError: if options are counted from 0 in some records and from 1 in others.
    """
    rows = [_choice_row(record, first, name) for record in records.to_dict("records")]
    return pd.DataFrame(rows, index=records.index, columns=_CHOICE_COLUMNS, dtype="str")


def _choice_row(record: dict[Any, str], first: int | None, name: str) -> tuple[str, ...]:
    options = _options(record)
    shown = {letter: text for letter, text in options.items() if text}
    stem = record["question"].strip()
    if len(shown) < 2:
        return stem, "", "", "", "no_options"
    question = "\n".join([stem, *(f"{key}. {text}" for key, text in shown.items())]) if stem else ""
    letter = _right_letter(record, list(options), first, name)
    if letter is None:
        return question, "", "", "", "no_answer"
    if letter not in shown:
        return question, "", "", "", "answer_not_among_options"
    if _is_contradicted(record, letter, shown):
        return question, "", "", "", "conflicting_answers"
    answer = f"{letter}. {shown[letter]}"
    explanation = record["explanation"].strip()
    return question, f"{answer}\n\n{explanation}" if explanation else answer, letter, record["subject"], ""


def _is_contradicted(record: dict[Any, str], letter: str, shown: dict[str, str]) -> bool:
    """Whether ``answer``, beside the column that names the right option, is the text or letter of another one.

    MedQA repeats the text of the right option beside its letter.
    """
    if _given(record)[0] == "answer":
        return False
    stated = _line(record["answer"])
    named = {
        key
        for key, text in shown.items()
        if stated in (key, text) or _without_own_letters({key: stated}) == {key: text}
    }
    return bool(named) and letter not in named


def _given(record: dict[Any, str]) -> tuple[str, str]:
    """The column that names the right option, and what it holds; two empty strings where none does."""
    held = ((column, record.get(column, "").strip()) for column in _RIGHT_COLUMNS)
    return next(((column, text) for column, text in held if text), ("", ""))


def _right_letter(record: dict[Any, str], letters: list[str], first: int | None, name: str) -> str | None:
    """The letter of the right option, "" if what is given names none of the options, None if nothing is given."""
    column, given = _given(record)
    number = _number(given)
    if not given or number == -1:
        return None
    if given.upper() in letters:
        return given.upper()
    if number is None or first is None:
        return ""
    if (first, number) in {(0, len(letters)), (1, 0)}:
        raise InputError(
            f"{column} in raw_{name} counts options from 0 in some records and from 1 in others, such as row "
            f"{record['row']}; make a corpus of each."
        )
    return letters[number - first] if 0 <= number - first < len(letters) else ""


def _options(record: dict[Any, str]) -> dict[str, str]:
    """Letter and text of each option, in the order of the letters; {} if the record has none that can be read."""
    listed = record.get("options", "") or record.get("choices", "")
    if listed:
        return _without_own_letters(_listed_options(_from_json(listed)))
    for columns in _OPTION_COLUMNS:
        texts = [_line(record.get(column, "")) for column in columns]
        if any(texts):
            return _without_own_letters(dict(zip(_LETTERS, texts, strict=False)))
    return {}


def _without_own_letters(options: dict[str, str]) -> dict[str, str]:
    """The options without the letter that each text repeats, as in ``A. liver``.

    Only where all of them do: one such text alone may be a name, such as E. coli.
    """
    own = {letter: _OWN_LETTER.match(text) for letter, text in options.items() if text}
    if not all(match and match[1].upper() == letter for letter, match in own.items()):
        return options
    return {letter: _OWN_LETTER.sub("", text, count=1) for letter, text in options.items()}


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
