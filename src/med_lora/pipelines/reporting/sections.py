"""What the report says beside the scores: examples of answers, where the pairs come from, and every setting."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sized
from typing import Any

import pandas as pd

from med_lora.parameters import (
    CleaningParams,
    CorpusParams,
    DeduplicationParams,
    EvaluationParams,
    HardwareParams,
    ModelParams,
    Parameters,
    PromptParams,
    ReportingParams,
    ScreeningParams,
    SplitParams,
    TrainingParams,
)
from med_lora.report_page.wording import shown_place


def choose_examples(
    test: Any,
    reporting: ReportingParams,
    evaluation: EvaluationParams,
    contexts: pd.DataFrame | None = None,
    **answers: pd.DataFrame,
) -> pd.DataFrame:
    """Some test questions with the answers of all arms, chosen by chance and not by how well they turned out.

    The choice is by a hash of ``evaluation.seed`` and the id, so it depends neither on the order of the rows nor on the
    answers.

    Args:
        test: ``datasets.Dataset`` (or any table with ``to_pandas``) with id, question and answer.
        reporting: how many.
        evaluation: the seed.
        contexts: id, place and citation of the passages that were shown with a question, if any were.
        answers: id, answer and finish_reason of each arm, by its name.

    Returns:
        Columns id, question, reference, sources (citations of the passages shown; "" for none), and of each arm its
        answer (under its name) and finish_reason (``<arm>_finish``).
    """
    pairs: pd.DataFrame = test.to_pandas()[["id", "question", "answer"]].rename(columns={"answer": "reference"})
    chosen = sorted(pairs["id"], key=lambda pair: _draw(evaluation.seed, pair))[: reporting.examples]
    examples: pd.DataFrame = pairs.set_index("id", drop=False).loc[chosen].reset_index(drop=True)
    examples = examples.assign(sources=[_cite(pair, contexts) for pair in chosen])
    for arm, table in answers.items():
        of_arm = table.set_index("id").loc[chosen]
        examples = examples.assign(**{arm: list(of_arm["answer"]), f"{arm}_finish": list(of_arm["finish_reason"])})
    return examples


def _cite(pair: str, contexts: pd.DataFrame | None) -> str:
    if contexts is None:
        return ""
    shown = contexts[contexts["id"] == pair].sort_values("place")
    return "; ".join(f"[{place}] {citation}" for place, citation in zip(shown["place"], shown["citation"], strict=True))


def _draw(seed: int, pair: str) -> str:
    return hashlib.sha256(f"{seed}:{pair}".encode()).hexdigest()


def describe_data(
    row_outcomes: pd.DataFrame, train: Sized, validation: Sized, test: Sized, corpora: dict[str, Any]
) -> dict[str, Any]:
    """Where the pairs come from, what became of them, and how many each split holds.

    Args:
        row_outcomes: columns corpus, rows_read, stage, outcome, rows, as ``count_outcomes`` makes them.
        train: training pairs; only their number is taken, as from the next two.
        validation: validation pairs.
        test: test pairs.
        corpora: the parameter ``corpora``, values as :class:`CorpusParams` or as plain mappings.

    Returns:
        corpora: one mapping a corpus: title, licence, read, kept, rejected and screened (lists of (reason, pairs),
        zeros left out); splits: name to number of pairs.
    """
    described = []
    for name, rows in row_outcomes.query("corpus != 'all'").groupby("corpus", sort=False):
        title, licence = _title_and_licence(str(name), corpora)
        counted = rows[rows["rows"] > 0]
        described.append(
            {
                "title": title,
                "licence": licence,
                "read": rows["rows_read"].tolist()[0],
                "kept": sum(rows.loc[rows["stage"] == "keep", "rows"].tolist()),
                "rejected": _outcomes(counted[~counted["stage"].isin(["keep", "screen"])]),
                "screened": _outcomes(counted[counted["stage"] == "screen"]),
            }
        )
    return {
        "corpora": described,
        "splits": {"train": len(train), "validation": len(validation), "test": len(test)},
    }


def _title_and_licence(name: str, corpora: Mapping[str, Any]) -> tuple[str, str]:
    if name not in corpora:  # made by a language model, from passages of the corpora
        return "Pairs written by a language model", "as the passages"
    corpus = CorpusParams.model_validate(corpora[name])
    return corpus.title, corpus.licence


def _outcomes(rows: pd.DataFrame) -> list[tuple[str, int]]:
    return [(str(outcome), int(count)) for outcome, count in zip(rows["outcome"], rows["rows"], strict=True)]


def describe_settings(
    description: str,
    model: ModelParams,
    prompt: PromptParams,
    cleaning: CleaningParams,
    screening: ScreeningParams,
    deduplication: DeduplicationParams,
    split: SplitParams,
    training: TrainingParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
) -> dict[str, Any]:
    """The settings that shape training and comparison, with their meaning; the data report lists those of the corpora.

    Returns:
        description: what the experiment asks; rows: (key as on the command line, value, meaning).
    """
    parts: dict[str, Parameters] = {
        "model": model,
        "prompt": prompt,
        "data_engineering.cleaning": cleaning,
        "data_engineering.screening": screening,
        "data_engineering.deduplication": deduplication,
        "data_engineering.split": split,
        "training": training,
        "evaluation": evaluation,
        "hardware": hardware,
    }
    return {"description": description, "rows": list(flatten_settings(parts))}


def flatten_settings(parts: Mapping[str, Parameters]) -> Iterator[tuple[str, str, str]]:
    """(key, value, meaning) of every field of some parameter models, nested ones included."""
    for prefix, part in parts.items():
        for name, field in type(part).model_fields.items():
            value = getattr(part, name)
            if isinstance(value, Parameters):
                yield from flatten_settings({f"{prefix}.{name}": value})
            else:
                shown = shown_place(value) if name == "id" else _show(value)  # of a model, which may be a folder
                yield f"{prefix}.{name}", shown, field.description or ""


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    if value is None:
        return "null"
    return "–" if value == "" else str(value)
