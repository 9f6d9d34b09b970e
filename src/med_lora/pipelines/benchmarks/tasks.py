"""Questions of exams as prompts with a few choices, one of which is right."""

from __future__ import annotations

import logging
from collections import Counter

import pandas as pd

from med_lora.chunks import Chunks
from med_lora.errors import InputError
from med_lora.metrics.choices import DECISIONS, read_options
from med_lora.pipelines.benchmarks.harness import check_installed

logger = logging.getLogger(__name__)

PROMPTS = 1  # the version of the wordings below; a change of one is another number, for scores then differ
_EXAM = "Question: {question}\nAnswer:"
_PUBMEDQA = "Abstract: {context}\n\nQuestion: {question}\nAnswer with yes, no or maybe.\nAnswer:"
_PARSED = ("corpus", "id", "question", "choice", "fault")


def collect_questions(*benchmarks: Chunks) -> pd.DataFrame:
    """Every item of the benchmarks, as data engineering parsed them, in their order.

    A multiple-choice question stands above its lettered options, and the choices are the letters, as in MMLU
    (Hendrycks et al. 2021, arXiv:2009.03300). PubMedQA's question stands below its abstract, and the choices are yes,
    no and maybe (Jin et al. 2019, arXiv:1909.06146). No system message, chat template or example is added, and both
    arms are asked in these words: neither was trained on them.

    Args:
        benchmarks: ``parsed_<name>`` of each benchmark; columns corpus, id, question, choice, fault.

    Returns:
        Columns benchmark, id, prompt, choices (separated by spaces), gold, fault ("" for an item that can be asked,
        else data engineering's, or no_choice, no_question, no_abstract, answer_not_among_options). A benchmark without
        an item that can be asked is left out.

    Raises:
        InputError: if lm-evaluation-harness is not installed, or no benchmark is left.
    """
    check_installed()
    tables = [_read(pairs) for pairs in benchmarks]
    for table in tables:
        faults = Counter(table["fault"][table["fault"] != ""])
        if faults:
            reasons = ", ".join(f"{count} {fault}" for fault, count in sorted(faults.items()))
            name = table["benchmark"].iat[0]
            logger.warning("%s: %d of %d items cannot be asked (%s).", name, faults.total(), len(table), reasons)
    usable = [table for table in tables if (table["fault"] == "").any()]
    if not usable:
        names = ", ".join(str(table["benchmark"].iat[0]) for table in tables)
        raise InputError(
            f"None of the benchmarks in data_engineering.benchmarks ({names}) has questions with a right choice; name "
            "one of layout choices or pubmedqa."
        )
    return pd.concat(usable, ignore_index=True)


def _read(pairs: Chunks) -> pd.DataFrame:
    rows = [
        (name, identifier, *_item(question, choice, fault))
        for chunk in pairs
        for name, identifier, question, choice, fault in zip(*(chunk[column] for column in _PARSED), strict=True)
    ]
    columns = ["benchmark", "id", "prompt", "choices", "gold", "fault"]
    return pd.DataFrame(rows, columns=columns, dtype="str")


def _item(question: str, choice: str, fault: str) -> tuple[str, str, str, str]:
    """Prompt, choices, gold and fault of one parsed item."""
    asked, _, context = question.partition("\n\nContext: ")
    is_study = choice in DECISIONS
    options = DECISIONS if is_study else tuple(read_options(question))
    fault = fault or ("no_choice" if not choice else "no_question" if not asked.strip() else "")
    fault = fault or ("no_abstract" if is_study and not context else "")
    fault = fault or ("answer_not_among_options" if choice not in options else "")
    if fault:
        return "", "", "", fault
    prompt = _PUBMEDQA.format(context=context, question=asked) if is_study else _EXAM.format(question=question)
    return prompt, " ".join(options), choice, ""
