from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med_lora.chunks import Chunks
from med_lora.parameters import CleaningParams, ScreeningParams
from med_lora.parameters.data import ArtefactParams
from med_lora.pipelines.data_engineering import cleaning as cleaning_module
from med_lora.pipelines.data_engineering.cleaning import CLEANED_COLUMNS, clean_corpus
from med_lora.pipelines.data_engineering.parsing import PAIR_COLUMNS
from med_lora.pipelines.data_engineering.screening import Screened

LONG = "the joint is red and hot because crystals of urate have set off a fierce inflammation in its lining"


def screening(**actions: str) -> ScreeningParams:
    """Screening that reports every class but the given ones."""
    classes = [name for name in ScreeningParams.model_fields if name != "presidio"]
    given: dict[str, Any] = {**dict.fromkeys(classes, "report"), "presidio": False, **actions}
    return ScreeningParams(**given)


def pairs(*rows: tuple[str, str], **columns: Sequence[str]) -> pd.DataFrame:
    table = pd.DataFrame("", index=range(len(rows)), columns=PAIR_COLUMNS, dtype="str")
    table["id"] = [f"c:{row}" for row in range(len(rows))]
    table["corpus"] = "c"
    table["question"] = [question for question, _ in rows]
    table["answer"] = [answer for _, answer in rows]
    return table.assign(**{name: list(values) for name, values in columns.items()}).astype("str")


def cleaned(
    table: pd.DataFrame,
    screen: ScreeningParams | None = None,
    artefacts: Sequence[ArtefactParams] = (),
    language: str | None = None,
) -> pd.DataFrame:
    cleaning = CleaningParams(min_answer_words=3, max_answer_words=40, language=language)
    return pd.concat(
        clean_corpus(Chunks(lambda: [table]), cleaning, screen or screening(), artefacts), ignore_index=True
    )


def test_each_fault_has_its_reason_and_keeps_no_text() -> None:
    rows = [("What is gout ?", LONG), ("<p></p>", LONG), ("q", " &nbsp; - "), ("q", "two words"), ("q", "many " * 41)]
    table = pairs(*rows, ("", ""), ("", ""), focus=["Gout &amp; more"] * 7, fault=[""] * 5 + ["not_utf8", "no_answer"])
    clean = cleaned(table)
    assert list(clean.columns) == CLEANED_COLUMNS
    assert clean["id"].tolist() == table["id"].tolist()
    assert clean["reason"].tolist() == [
        "",
        "empty_question",
        "empty_answer",
        "answer_too_short",
        "answer_too_long",
        "not_utf8",
        "no_answer",
    ]
    assert clean["stage"].tolist() == ["", "clean", "clean", "clean", "clean", "read", "parse"]
    assert clean.loc[0, ["question", "answer", "focus"]].tolist() == ["What is gout?", LONG, "Gout & more"]
    assert set(clean.loc[1:, ["question", "answer", "focus"]].to_numpy().ravel()) == {""}
    assert {str(dtype) for dtype in clean.dtypes} == {"str"}


def test_a_question_mark_stands_by_its_word_in_the_first_paragraph_too() -> None:
    clean = cleaned(pairs(("Is it gout ?\n\nContext: Toes hurt , often .", LONG)))
    assert clean["question"].iat[0] == "Is it gout?\n\nContext: Toes hurt , often ."


def test_masked_text_is_kept_and_its_classes_named() -> None:
    row = ("Write to a@example.org?", "Narrow airways. Call 1-800-555-0101 at once")
    clean = cleaned(pairs(row, (row[0], LONG), ("What is gout?", LONG)), screening(phones="mask", emails="mask"))
    assert clean["answer"].iat[0] == "Narrow airways. Call [PHONE] at once"
    assert clean["question"].iat[0] == "Write to [EMAIL]?"
    assert clean["screened"].tolist() == ["emails phones", "emails", ""]
    assert clean["reason"].tolist() == ["", "", ""]


def test_a_class_may_be_counted_or_reject_the_pair() -> None:
    row = ("Write to a@example.org?", "Narrow airways. Call 1-800-555-0101 at once")
    reported = cleaned(pairs(row))
    assert reported.loc[0, ["question", "answer"]].tolist() == list(row)
    assert reported["screened"].iat[0] == "emails phones"
    rejected = cleaned(pairs(row), screening(phones="reject", emails="reject"))
    assert rejected.loc[0, ["stage", "reason", "question", "answer"]].tolist() == ["clean", "screened_emails", "", ""]
    assert rejected["screened"].iat[0] == "emails phones"
    for_answer = cleaned(pairs(row), screening(phones="reject"))
    assert for_answer["reason"].tolist() == ["screened_phones"]


def test_an_exam_keeps_its_letters_and_may_answer_briefly() -> None:
    question = "Which drug?\nA. Aspirin\nB. Ask a@example.org\nC. Smith's remedy"
    table = pairs((question, "A. Aspirin"), ("q", "A. Aspirin"), choice=["A", ""])
    clean = cleaned(table, screening(names="mask", emails="mask", geography="mask"))
    lines = clean["question"].iat[0].split("\n")
    assert [line[:3] for line in lines[1:]] == ["A. ", "B. ", "C. "]
    assert lines[2] == "B. Ask [EMAIL]"
    assert clean["answer"].tolist() == ["A. Aspirin", ""]
    assert clean["reason"].tolist() == ["", "answer_too_short"]


def test_an_answer_that_a_model_was_asked_to_keep_short_has_no_lower_bound() -> None:
    rows = [("Which muscle?", "Serratus anterior")] * 3
    table = pairs(*rows, question_type=["short", "long", "short"], corpus=["generated", "generated", "c"])
    assert cleaned(table)["reason"].tolist() == ["", "answer_too_short", "answer_too_short"]
    empty = pairs(("Which muscle?", "-"), question_type=["short"], corpus=["generated"])
    assert cleaned(empty)["reason"].tolist() == ["empty_answer"]


def test_an_option_is_screened_apart_from_its_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    class Initials:
        """Masks every initial with its name."""

        def __init__(self, params: ScreeningParams) -> None:
            pass

        def screen(self, text: str) -> Screened:
            masked = re.sub(r"\b[A-Z]\. \w+", "[NAME]", text)
            return Screened(masked, ("names",) if masked != text else (), ())

    monkeypatch.setattr(cleaning_module, "Screener", Initials)
    rows = [("Who?\nA. J. Smith\nB. Jones", "A. Said J. Smith"), ("Who?\nA. Smith", "So said A. Smith")]
    clean = cleaned(pairs(*rows, choice=["A", ""]))
    assert clean["question"].tolist() == ["Who?\nA. [NAME]\nB. Jones", "Who?\n[NAME]"]
    assert clean["answer"].tolist() == ["A. Said [NAME]", "So said [NAME]"]
    assert clean["screened"].tolist() == ["names", "names"]


def test_artefacts_are_mended_or_reject_the_pair() -> None:
    artefacts = [
        ArtefactParams(pattern=r"\bChatDoctor\b", replacement="the doctor"),
        ArtefactParams(pattern=r"(\w+) \(edit\)", replacement=r"\1"),
        ArtefactParams(pattern="lorem ipsum", replacement=None),
    ]
    rows = [("What says ChatDoctor (edit) ?", LONG + " ChatDoctor"), ("q", LONG + " lorem ipsum"), ("lorem", LONG)]
    clean = cleaned(pairs(*rows), artefacts=artefacts)
    assert clean["question"].tolist() == ["What says the doctor?", "", "lorem"]
    assert clean["answer"].iat[0] == LONG + " the doctor"
    assert clean["reason"].tolist() == ["", "artefact", ""]


def test_an_artefact_that_leaves_nothing_leaves_an_empty_answer() -> None:
    clean = cleaned(pairs(("q", "No answer found.")), artefacts=[ArtefactParams(pattern="No .*", replacement="")])
    assert clean["reason"].tolist() == ["empty_answer"]


def test_a_usable_pair_in_another_language_is_rejected() -> None:
    asked = "Pourquoi la peau est-elle rouge et chaude autour du genou depuis hier soir ?"
    told = "La peau est enflammée."
    english = ("Why is the skin red?", "The skin is red and warm since the joint below it is inflamed.")
    rows = [(asked, told), english, (asked, ""), (english[0], told + " Il faut voir un médecin si la fièvre monte.")]
    clean = cleaned(pairs(*rows), language="en")
    assert clean["reason"].tolist() == ["other_language", "", "empty_answer", "other_language"]
    assert clean["answer"].tolist() == ["", english[1], "", ""]
    assert set(cleaned(pairs(*rows))["reason"]) == {"", "empty_answer"}


def test_chunks_stay_chunks_and_are_made_anew() -> None:
    table = pairs(("What is gout?", LONG), ("q", ""))
    cleaning = CleaningParams(min_answer_words=3, max_answer_words=40, language=None)
    chunks = clean_corpus(Chunks(lambda: [table, table[1:], table[:0]]), cleaning, screening(), [])
    for _ in range(2):
        assert [chunk["reason"].tolist() for chunk in chunks] == [["", "empty_answer"], ["empty_answer"], []]
    assert table["answer"].tolist() == [LONG, ""]


TEXTS = st.sampled_from(["", "<br>", LONG, "A. b c d", "x " * 50, "Call 555-0101 or a@example.org"]) | st.text(
    max_size=30
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8))
def test_every_pair_is_kept_or_has_a_reason_and_cleaning_again_changes_nothing(rows: list[tuple[str, str]]) -> None:
    screen = screening(phones="mask", emails="mask")
    clean = cleaned(pairs(*rows), screen)
    assert len(clean) == len(rows)
    is_kept = clean["reason"] == ""
    assert ((clean["stage"] == "") == is_kept).all()
    assert ((clean["answer"] != "") == is_kept).all()
    kept = clean[is_kept].assign(fault="")
    again = cleaned(kept[PAIR_COLUMNS], screen) if len(kept) else kept
    assert again["question"].tolist() == kept["question"].tolist()
    assert again["answer"].tolist() == kept["answer"].tolist()
    assert set(again["reason"]) <= {""}
