"""Scores of every pair, arm and metric."""

from __future__ import annotations

import pandas as pd

from med_lora.errors import InputError
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.controls import control_answers
from med_lora.pipelines.evaluation.metrics import ANSWER_FLAGS, TextScorer
from med_lora.pipelines.evaluation.splits import Split, read_pairs


def score_answers(
    test: Split,
    train: Split,
    base_answers: pd.DataFrame,
    tuned_answers: pd.DataFrame,
    base_losses: pd.DataFrame,
    tuned_losses: pd.DataFrame,
    evaluation: EvaluationParams,
) -> pd.DataFrame:
    """Scores of both arms and of the null controls on every test pair; nothing is left out here.

    Besides the text metrics, each arm has ``cross_entropy`` (nats an answer token) and the flags ``answer_cut`` (it
    reached the length limit) and ``answer_empty``, each 0 or 1.

    Returns:
        Columns id, group (of the pair in ``test``), arm, metric, score, sorted by id, arm and metric.

    Raises:
        InputError: if a table is not about exactly the test pairs, there is but one of them, or a reference is empty.
    """
    pairs, training = read_pairs(test, "test"), read_pairs(train, "train")
    _check_references(pairs)
    arms = {"base": (base_answers, base_losses), "tuned": (tuned_answers, tuned_losses)}
    for arm, tables in arms.items():
        for name, table in zip(("answers", "losses"), tables, strict=True):
            check_ids(table, pairs["id"], f"{arm}_{name}")
    texts = {
        arm: list(answers.set_index("id")["answer"].reindex(pairs["id"])) for arm, (answers, _) in arms.items()
    } | control_answers(pairs, training, evaluation.seed)
    parts = [_score_texts(pairs, arm, answers) for arm, answers in texts.items()]
    parts += [_read_facts(arm, answers, losses) for arm, (answers, losses) in arms.items()]
    scores = pd.concat(parts).sort_values(["id", "arm", "metric"], ignore_index=True)
    groups = scores["id"].map(dict(zip(pairs["id"], pairs["group"], strict=True)))
    scores.insert(1, "group", groups.astype("int64"))
    return scores


def check_ids(table: pd.DataFrame, ids: pd.Series, name: str) -> None:
    """Raise an InputError unless ``table`` holds exactly ``ids``, each once."""
    if sorted(table["id"]) != sorted(ids):
        raise InputError(
            f"{name} is not about the {len(ids)} pairs of this test split ({len(table)} rows, "
            f"{len(set(ids) - set(table['id']))} pairs missing); run the evaluation again from its beginning."
        )


def _check_references(pairs: pd.DataFrame) -> None:
    blank = pairs["id"][pairs["answer"].str.strip() == ""]
    if len(blank):
        raise InputError(f"Test pair {blank.iloc[0]} has no reference answer; leave the pair out of its corpus.")


def _score_texts(pairs: pd.DataFrame, arm: str, answers: list[str]) -> pd.DataFrame:
    from tqdm import tqdm

    scorer, scores = TextScorer(), []
    rows = zip(answers, pairs["answer"], strict=True)
    for answer, reference in tqdm(rows, total=len(pairs), desc=f"scores of {arm}", unit="pair", disable=None):
        scores.append(scorer.score(answer, reference))
    return _lengthen(pd.DataFrame(scores).assign(id=list(pairs["id"])), arm)


def _read_facts(arm: str, answers: pd.DataFrame, losses: pd.DataFrame) -> pd.DataFrame:
    cut, empty = ANSWER_FLAGS
    flags = pd.DataFrame(
        {
            "id": answers["id"],
            cut: (answers["finish_reason"] == "length").astype(float),
            empty: answers["empty"].astype(float),
        }
    )
    entropies = pd.DataFrame({"id": losses["id"], "cross_entropy": losses["nll"] / losses["tokens"]})
    return pd.concat([_lengthen(flags, arm), _lengthen(entropies, arm)])


def _lengthen(wide: pd.DataFrame, arm: str) -> pd.DataFrame:
    long = wide.melt(id_vars="id", var_name="metric", value_name="score").assign(arm=arm)
    return long[["id", "arm", "metric", "score"]]
