"""All parsed corpora to one table of clean, distinct question-answer pairs, with a reason for each one left out."""

from __future__ import annotations

import logging
import re

import pandas as pd

from med_lora.errors import InputError
from med_lora.parameters import CleaningParams
from med_lora.pipelines.data_engineering.duplicates import progress, repeats, shingle_sets
from med_lora.pipelines.data_engineering.masking import mask_contacts
from med_lora.pipelines.data_engineering.text import clean_text, comparison_key, has_words

logger = logging.getLogger(__name__)

REPORT_COLUMNS = ["corpus", "rows_read", "stage", "outcome", "rows"]
_SPACE_BEFORE_MARK = re.compile(r"\s+(?=[?!]+$)")


def merge_and_clean(cleaning: CleaningParams, *parsed: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Clean the pairs of all corpora, and keep each question-answer pair once.

    Corpora keep their order, and pairs are ordered by id within each; of equal or similar pairs the first one stays.
    Rows read = kept + rejected, in total and for each corpus.

    Args:
        cleaning: bounds in words, and the similarity of near duplicates.
        parsed: tables of pairs, one a corpus, as :func:`parse_corpus` returns them.

    Returns:
        The kept pairs; the rejected ones (id, corpus, stage, reason; no text); the report: a corpus, its rows_read,
        and a row for each outcome: kept, each reason, and of the kept ones those with a masked_phone or masked_email.

    Raises:
        InputError: if a corpus comes twice, or no pair is kept.
    """
    pairs = pd.concat([table.sort_values("id", kind="stable") for table in parsed], ignore_index=True)
    if not pairs["id"].is_unique:
        raise InputError("A corpus is named twice in data_engineering.corpora; name each once.")
    clean, phones, emails = _clean_columns(pairs)
    reasons = _with_duplicates(clean, _unusable(clean, cleaning), cleaning.near_duplicate_jaccard)
    is_kept = reasons == ""
    report = _report(pairs["corpus"], reasons, {"masked_phone": phones & is_kept, "masked_email": emails & is_kept})
    _log(report)
    if not is_kept.any():
        raise InputError(
            f"None of the {len(pairs)} pairs read was kept; compare data_engineering.cleaning with the corpora."
        )
    rejected = pd.DataFrame(
        {
            "id": pairs["id"],
            "corpus": pairs["corpus"],
            "stage": reasons.map(_stage),
            "reason": reasons,
        },
        dtype="str",
    )
    return clean[is_kept].reset_index(drop=True), rejected[~is_kept].reset_index(drop=True), report


def _clean_columns(pairs: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Pairs with clean text, and which of them held a telephone number or an e-mail address."""
    questions: list[str] = []
    answers: list[str] = []
    phones: list[bool] = []
    emails: list[bool] = []
    texts = list(zip(pairs["question"], pairs["answer"], strict=True))
    for raw_question, raw_answer in progress(texts, "clean"):
        question, *in_question = mask_contacts(clean_text(raw_question))
        answer, *in_answer = mask_contacts(clean_text(raw_answer))
        questions.append(_SPACE_BEFORE_MARK.sub("", question))
        answers.append(answer)
        phones.append(bool(in_question[0] + in_answer[0]))
        emails.append(bool(in_question[1] + in_answer[1]))
    clean = pairs.assign(question=questions, answer=answers).astype("str")
    return clean, pd.Series(phones, index=pairs.index), pd.Series(emails, index=pairs.index)


def _unusable(clean: pd.DataFrame, cleaning: CleaningParams) -> pd.Series:
    """For each pair why it is unusable by itself, or ""; a text without a letter or digit is empty."""
    reasons: list[str] = []
    for question, answer in zip(clean["question"], clean["answer"], strict=True):
        length = len(answer.split())
        if not has_words(question):
            reasons.append("empty_question")
        elif not has_words(answer):
            reasons.append("empty_answer")
        elif length < cleaning.min_answer_words:
            reasons.append("answer_too_short")
        elif length > cleaning.max_answer_words:
            reasons.append("answer_too_long")
        else:
            reasons.append("")
    return pd.Series(reasons, index=clean.index, dtype="str")


def _with_duplicates(clean: pd.DataFrame, reasons: pd.Series, threshold: float) -> pd.Series:
    """The reasons, completed for usable pairs that repeat an earlier usable one."""
    usable = clean[reasons == ""]
    keys = usable["question"].map(comparison_key) + "\n" + usable["answer"].map(comparison_key)
    exact = keys.duplicated()
    distinct = usable[~exact]
    near = repeats(shingle_sets((distinct["question"] + "\n" + distinct["answer"]).tolist()), threshold)
    completed = reasons.copy()
    completed[usable.index[exact]] = "exact_duplicate"
    completed[distinct.index[near]] = "near_duplicate"
    return completed


def _report(corpora: pd.Series, reasons: pd.Series, masked: dict[str, pd.Series]) -> pd.DataFrame:
    rows: list[tuple[str, int, str, str, int]] = []
    for corpus in corpora.unique():
        of_corpus = corpora == corpus
        counts = reasons[of_corpus].value_counts()
        read = int(of_corpus.sum())
        rows.append((corpus, read, "deduplicate", "kept", int(counts.pop("") if "" in counts else 0)))
        rows.extend((corpus, read, _stage(reason), reason, int(counts[reason])) for reason in sorted(counts.index))
        rows.extend((corpus, read, "mask", outcome, int(flags[of_corpus].sum())) for outcome, flags in masked.items())
    return pd.DataFrame(rows, columns=REPORT_COLUMNS)


def _stage(reason: str) -> str:
    return "deduplicate" if reason.endswith("_duplicate") else "clean"


def _log(report: pd.DataFrame) -> None:
    for corpus, rows in report.groupby("corpus", sort=False):
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in zip(rows["outcome"], rows["rows"], strict=True))
        logger.info("%s: %d rows read; %s.", corpus, rows["rows_read"].iat[0], outcomes)
