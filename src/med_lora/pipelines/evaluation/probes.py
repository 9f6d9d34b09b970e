"""Fixed questions without a reference: asked of every arm, and their answers put side by side."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from med_lora.arms import ARMS, RAG_ARMS
from med_lora.metrics.conduct import own_conduct
from med_lora.metrics.grounding import Basis, read_claims, score_claims
from med_lora.parameters import ProbeParams
from med_lora.pipelines.evaluation.answers.citations import cite_passages
from med_lora.pipelines.evaluation.scores.grounding import read_bases
from med_lora.pipelines.evaluation.splits import Split, read_pairs

COLUMNS = {
    **{"probe": "str", "number": "int64", "arm": "str", "question": "str", "answer": "str"},
    **{"words": "int64", "new_tokens": "int64", "finish_reason": "str", "prompt_truncated": "bool"},
    **{"refusal": "float64", "passages": "int64", "sources": "str", "cites_passage": "float64"},
}


def list_probes(probes: list[Any]) -> Any:
    """The parameter ``probes`` as a split, so that whatever asks test questions can ask them.

    Args:
        probes: values as :class:`ProbeParams` or as plain mappings, at least one.

    Returns:
        A ``datasets.Dataset`` with the columns id (name of the probe), question and answer (empty: there is
        no reference), in the order of the parameter.
    """
    from datasets import Dataset

    given = [ProbeParams.model_validate(probe) for probe in probes]
    columns = {"id": [probe.name for probe in given], "question": [probe.question for probe in given]}
    return Dataset.from_dict({**columns, "answer": [""] * len(given)})


def collect_probes(probes: Split, probe_contexts: pd.DataFrame | None = None, **answers: pd.DataFrame) -> pd.DataFrame:
    """What every arm answers to the probes, with what can be said of an answer that has no reference.

    Args:
        probes: as :func:`list_probes` returns them.
        probe_contexts: passages shown to the arms that are given some: id, place, citation, text.
        answers: id, answer, new_tokens, finish_reason and prompt_truncated of each arm, by its name.

    Returns:
        One row a probe and arm: probe (name), number (from 1, in the order of the parameter), arm, question, answer,
        words (split at white space), new_tokens, finish_reason, prompt_truncated, refusal (1 or 0), passages (shown),
        sources (their citations; "" without passages), cites_passage (1 or 0; NaN without passages).
    """
    pairs = read_pairs(probes, "probes")
    bases = {} if probe_contexts is None else read_bases(probe_contexts, pairs)
    of_arms = {arm: answers[arm].set_index("id") for arm in ARMS if arm in answers}
    rows = []
    for number, (probe, question) in enumerate(pairs[["id", "question"]].itertuples(index=False), start=1):
        for arm, table in of_arms.items():
            told = {"probe": probe, "number": number, "arm": arm, "question": question}
            given = arm in RAG_ARMS and probe in bases and bool(bases[probe].words)
            sources = cite_passages(probe, probe_contexts) if given else ""
            rows.append(told | _describe(table.loc[probe], bases[probe] if given else None) | {"sources": sources})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _describe(row: pd.Series, basis: Basis | None) -> dict[str, Any]:
    """The facts of one answer, given the passages that its question came with."""
    answer = str(row["answer"])
    copied = {name: row[name] for name in ("answer", "new_tokens", "finish_reason", "prompt_truncated")}
    cites = math.nan if basis is None else score_claims(read_claims(answer), basis)["cites_passage"]
    return copied | {
        "words": len(answer.split()),
        "refusal": own_conduct(answer)["refusal"],
        "passages": 0 if basis is None else len(basis.words),
        "cites_passage": cites,
    }
