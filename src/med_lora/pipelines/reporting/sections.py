"""What the report says beside the scores: examples of answers, where the pairs come from, and every setting."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sized
from typing import Any

import pandas as pd

from med_lora.parameters import (
    ContinuedPretrainingParams,
    CorpusParams,
    DataEngineeringParams,
    EndpointParams,
    EvaluationParams,
    HardwareParams,
    JudgeParams,
    LatencyParams,
    ModelParams,
    Parameters,
    PromptParams,
    ReportingParams,
    RetrievalParams,
    TrainingParams,
)
from med_lora.pipelines.evaluation.answers.citations import cite_passages
from med_lora.pipelines.reporting.exports.training_facts import describe_recall
from med_lora.report_page.wording import shown_place

# What is left of the recipe for pairs where nothing is trained on pairs: the length also bounds what losses are
# measured on.
WITHOUT_PAIRS = ("training.method", "training.max_length")
SECOND_STAGE = "continued_pretraining.handover"
# What pairs are for where nothing is trained on them.
UNTRAINED = {
    "data_engineering.split.train": "pairs of which null controls, overlap and copied runs are computed, and which "
    "nothing is trained on; null takes all that remain",
    "data_engineering.split.validation": "pairs set aside; the validation loss is of held-out passages",
}


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
    examples = examples.assign(sources=[cite_passages(pair, contexts) for pair in chosen])
    for arm, table in answers.items():
        of_arm = table.set_index("id").loc[chosen]
        examples = examples.assign(**{arm: list(of_arm["answer"]), f"{arm}_finish": list(of_arm["finish_reason"])})
    return examples


def _draw(seed: int, pair: str) -> str:
    return hashlib.sha256(f"{seed}:{pair}".encode()).hexdigest()


def describe_data(
    row_outcomes: pd.DataFrame,
    train: Sized,
    validation: Sized,
    test: Sized,
    corpora: dict[str, Any],
    data_summary: dict[str, Any],
    training: TrainingParams,
    continued_pretraining: ContinuedPretrainingParams,
) -> dict[str, Any]:
    """Where the pairs come from, what became of them, and how many each split holds.

    Args:
        row_outcomes: columns corpus, rows_read, stage, outcome, rows, as ``count_outcomes`` makes them.
        train: training pairs; only their number is taken, as from the next two.
        validation: validation pairs.
        test: test pairs.
        corpora: the parameter ``corpora``, values as :class:`CorpusParams` or as plain mappings.
        data_summary: as ``summarise_data`` returns it.
        training: whether anything was trained on pairs.
        continued_pretraining: whether anything was trained on passages.

    Returns:
        corpora: one mapping a corpus: title, licence, read, kept, rejected and screened (lists of (reason, pairs),
        zeros left out); splits: name to number of pairs; on_pairs: whether anything was trained on pairs; passages:
        how many continued pre-training had, 0 without it; recall: as :func:`describe_recall` returns it.
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
        "on_pairs": training.method != "none",
        "passages": sum(book["passages"] for book in data_summary["passages"]) * continued_pretraining.enabled,
        "recall": describe_recall(data_summary, training, continued_pretraining),
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
    data_engineering: dict[str, Any],
    training: TrainingParams,
    continued_pretraining: ContinuedPretrainingParams,
    evaluation: EvaluationParams,
    retrieval: RetrievalParams,
    judge: JudgeParams,
    latency: LatencyParams,
    hardware: HardwareParams,
) -> dict[str, Any]:
    """The settings that shape training and comparison, with their meaning; the data report lists those of the corpora.

    What an experiment may leave out is listed where it takes place, the recipe for pairs where anything is trained on
    pairs, and how text is cut into passages where anything takes passages.

    Args:
        description: what the experiment asks.
        model: the model; like all that follow, a part of the parameters.
        prompt: the prompt.
        data_engineering: untyped, since Kedro cannot type a parameter and a part of it at once.
        training: on pairs.
        continued_pretraining: on passages.
        evaluation: the comparison.
        retrieval: passages for questions.
        judge: a language model as judge.
        latency: seconds of an answer.
        hardware: the machine.

    Returns:
        description: what the experiment asks; rows: (key as on the command line, value, meaning).
    """
    data, first = DataEngineeringParams.model_validate(data_engineering), continued_pretraining
    searched = retrieval.enabled and "passages" in retrieval.sources
    has_passages = first.enabled or searched or data.question_generation is not None
    parts: dict[str, Parameters | None] = {
        "model": model,
        "prompt": prompt,
        "data_engineering.cleaning": data.cleaning,
        "data_engineering.screening": data.screening,
        "data_engineering.deduplication": data.deduplication,
        "data_engineering.passages": data.passages if has_passages else None,
        "data_engineering.question_generation": data.question_generation,
        "data_engineering.split": data.split,
        "continued_pretraining": first if first.enabled else None,
        "training": training,
        "evaluation": evaluation,
        "retrieval": retrieval if retrieval.enabled else None,
        "judge": judge if judge.enabled else None,
        "latency": latency if latency.enabled else None,
        "hardware": hardware,
    }
    rows = list(flatten_settings({name: part for name, part in parts.items() if part is not None}))
    return {"description": description, "rows": rows if training.method != "none" else _without_pairs(rows)}


def _without_pairs(rows: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """The rows that say something where nothing is trained on pairs, with what they mean there."""
    kept = [
        row
        for row in rows
        if row[0] != SECOND_STAGE and (not row[0].startswith("training.") or row[0] in WITHOUT_PAIRS)
    ]
    return [(key, value, UNTRAINED.get(key, meaning)) for key, value, meaning in kept]


def flatten_settings(parts: Mapping[str, Parameters]) -> Iterator[tuple[str, str, str]]:
    """(key, value, meaning) of every field of some parameter models, nested ones included; of a server the model."""
    for prefix, part in parts.items():
        for name, field in type(part).model_fields.items():
            if isinstance(part, EndpointParams) and name != "model":  # an address is its owner's, and shapes nothing
                continue
            value = getattr(part, name)
            if isinstance(value, Parameters):
                yield from flatten_settings({f"{prefix}.{name}": value})
            elif value and isinstance(value, dict) and all(isinstance(part, Parameters) for part in value.values()):
                yield from flatten_settings({f"{prefix}.{name}.{key}": part for key, part in value.items()})
            else:
                shown = shown_place(value) if name == "id" else _show(value)  # of a model, which may be a folder
                yield f"{prefix}.{name}", shown, field.description or ""


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | dict):  # of axes and criteria their names and texts, of a mapping its keys
        return ", ".join(str(getattr(item, "name", getattr(item, "text", item))) for item in value) or "–"
    if value is None:
        return "null"
    return "–" if value == "" else str(value)
