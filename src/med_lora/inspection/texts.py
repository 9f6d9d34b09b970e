"""Texts of single pairs, for a reader who may see them: nothing here is called where a notebook's switch is off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from med_lora.errors import InputError
from med_lora.metrics.quantities import stated_numbers
from med_lora.pipelines.evaluation.splits import Split


def show_answers(ids: Sequence[str], test: Split, answers: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Question, reference and the answers to some test pairs.

    Args:
        ids: of the pairs, in the order in which they are shown.
        test: pairs with id, question and answer.
        answers: id and answer of each arm, by its name.

    Returns:
        Columns id, question, reference, one of each arm, and unsupported: numbers in the tuned model's answer that
        neither question nor reference states, as text.

    Raises:
        InputError: if a pair is not among the test pairs or the answers, as after a run that was cut off.
    """
    tables = {"test": test.to_pandas(), **answers}
    for name, table in tables.items():
        if not {*ids} <= {*table["id"]}:
            raise InputError(f"The saved scores are of other pairs than {name}; run `kedro run` to its end.")
    pairs = tables["test"].set_index("id").loc[list(ids)]
    shown = pd.DataFrame({"id": list(ids), "question": list(pairs["question"]), "reference": list(pairs["answer"])})
    for arm, table in answers.items():
        shown = shown.assign(**{arm: list(table.set_index("id").loc[list(ids), "answer"])})
    rows = shown[["question", "reference", "tuned"]].itertuples(index=False)
    return shown.assign(unsupported=[_list_unsupported(*row) for row in rows])


def _list_unsupported(question: str, reference: str, answer: str) -> str:
    new = stated_numbers(answer) - stated_numbers(question) - stated_numbers(reference)
    return ", ".join(f"{number:f}" for number in sorted(new))


def show_pairs(splits: Mapping[str, Split], each: int) -> pd.DataFrame:
    """The first ``each`` pairs by id of every corpus in every split: columns split, corpus, id, question, answer."""
    tables = []
    for name, split in splits.items():
        ordered = split.to_pandas().sort_values("id").groupby("corpus").head(each)
        tables.append(ordered[["corpus", "id", "question", "answer"]].assign(split=name))
    shown: pd.DataFrame = pd.concat(tables, ignore_index=True)
    return shown[["split", "corpus", "id", "question", "answer"]]
