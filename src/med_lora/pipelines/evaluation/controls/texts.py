"""Null controls: answers that need no understanding. An arm that does not beat them has shown nothing by its scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice

import numpy as np
import pandas as pd

from med_lora.errors import InputError
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.controls.constants import rank_constants
from med_lora.pipelines.evaluation.controls.nearest import copy_nearest
from med_lora.pipelines.evaluation.scores.scoring import check_ids, check_references
from med_lora.pipelines.evaluation.splits import Split, read_pairs

SUPPLY = 4  # texts of one control, one after the other, from which a longer answer is cut


def collect_texts(
    test: Split,
    train: Split,
    evaluation: EvaluationParams,
    contexts: pd.DataFrame | None = None,
    **answers: pd.DataFrame,
) -> pd.DataFrame:
    """One text a test pair and arm; the length-matched controls are as long as the tuned arm's answers.

    Args:
        test: the pairs.
        train: pairs for the controls to copy from.
        evaluation: ``seed`` is read.
        contexts: columns id, place, text: the passages that were shown with each question; None where none were.
        answers: columns id, answer, by arm; ``tuned`` is among them.

    Returns:
        Columns id, arm, kind ("model" for the arms of ``answers``, "control" for those of :func:`control_answers`,
        "gold" for the references as an arm ``gold``) and answer, arm by arm in this order and sorted by id within each.

    Raises:
        InputError: if answers are not about exactly the test pairs, passages are about others, or a reference is empty.
    """
    pairs, training = read_pairs(test, "test").sort_values("id"), read_pairs(train, "train")
    check_references(pairs)
    models: dict[str, list[str]] = {}
    for arm, table in answers.items():
        check_ids(table, pairs["id"], f"{arm}_answers")
        models[arm] = list(table.set_index("id")["answer"].reindex(pairs["id"]))
    lengths = {pair: len(answer.split()) for pair, answer in zip(pairs["id"], models["tuned"], strict=True)}
    shown = None if contexts is None else _list_shown(contexts, pairs["id"])
    controls = control_answers(pairs, training, lengths, evaluation.seed, shown)
    kinds = {"model": models, "control": controls, "gold": {"gold": list(pairs["answer"])}}
    parts = [
        pd.DataFrame({"id": list(pairs["id"]), "arm": arm, "kind": kind, "answer": texts})
        for kind, arms in kinds.items()
        for arm, texts in arms.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _list_shown(contexts: pd.DataFrame, ids: pd.Series) -> list[list[str]]:
    """The first ``SUPPLY`` passages shown with each question, in the order of ``ids``; none is an empty text."""
    others = sorted(set(contexts["id"]) - set(ids))
    if others:
        raise InputError(
            f"contexts holds passages for {others[0]}, which is not of this test split; run the retrieval again."
        )
    ordered = contexts.sort_values(["id", "place"])
    texts = {str(pair): list(rows.head(SUPPLY)) for pair, rows in ordered.groupby("id")["text"]}
    return [texts.get(pair, [""]) for pair in ids]


def control_answers(
    test: pd.DataFrame,
    train: pd.DataFrame,
    lengths: Mapping[str, int],
    seed: int,
    shown: list[list[str]] | None = None,
) -> dict[str, list[str]]:
    """Answers of every control to the questions of ``test``, in its order; the order of the rows changes none.

    - ``shuffled_reference``: the reference of a test pair of another group, drawn by ``seed``: right in style, wrong
      in matter. Left out where there is but one test pair.
    - ``echoed_question``: the question itself.
    - ``nearest_training_answer``: the answer to the most similar training question: what copying achieves.
    - ``constant_best_answer``: one and the same text to every question, the sentence or whole answer of the training
      part that is most like the other training answers.
    - ``retrieved_passage``: the first passage that was shown with the question, as it was shown; empty where none was.
      An arm that was given passages and does not beat it has added nothing to them. Only with ``shown``.
    - ``empty_answer``: nothing.
    - ``<control>_matched``, of all but ``empty_answer``: the same with as many words (split at white space) as
      ``lengths`` gives for the pair. Overlap with the reference grows with the length of an answer up to that of the
      reference, so a control that is shorter or longer than the arm it is compared with proves less. A longer text is
      cut; a shorter one goes on with what the control would give next (the next pair's reference, the question again,
      the answer to the next similar training question, the next best constant that says something else, the next
      passage), and begins again after ``SUPPLY`` texts.

    Args:
        test: pairs with id, question, answer and group.
        train: pairs to copy from.
        lengths: words of the arm's answer to each pair, by id.
        seed: of the shuffle, and of the samples that the constant is chosen on.
        shown: texts of the passages shown with each question, the first first; None where no arm was given any.
    """
    shuffled = {"shuffled_reference": shuffle_references(test, seed)} if len(test) > 1 else {}
    supplies = (
        shuffled
        | {
            "echoed_question": [[question] for question in test["question"]],
            "nearest_training_answer": copy_nearest(list(test["question"]), train, SUPPLY),
            "constant_best_answer": [rank_constants(train, SUPPLY, seed)] * len(test),
        }
        | ({"retrieved_passage": shown} if shown is not None else {})
    )
    words = [lengths[pair] for pair in test["id"]]
    answers = {name: [texts[0] for texts in supply] for name, supply in supplies.items()}
    matched = {
        f"{name}_matched": [match_length(texts, count) for texts, count in zip(supply, words, strict=True)]
        for name, supply in supplies.items()
    }
    return answers | {"empty_answer": [""] * len(test)} | matched


def match_length(texts: Sequence[str], words: int) -> str:
    """The first ``words`` words of the texts one after the other, and of them again where they are too few."""
    supply = [word for text in texts for word in text.split()]
    return " ".join(islice(cycle(supply), words))


def shuffle_references(test: pd.DataFrame, seed: int) -> list[list[str]]:
    """Each pair gets the answers of the next ``SUPPLY`` pairs of other groups, on one random cycle through all pairs.

    With one group a pair the first ones are a derangement; where there is but one group, the next pairs serve.
    """
    ids = sorted(test["id"])
    drawn = np.random.Generator(np.random.PCG64(seed)).permutation(len(ids))
    answers = dict(zip(test["id"], test["answer"], strict=True))
    groups = dict(zip(test["id"], test["group"], strict=True))
    alone = len(set(groups.values())) == 1
    order = [ids[place] for place in drawn]
    places = {pair: place for place, pair in enumerate(order)}

    def follow(own: str) -> Iterator[str]:
        for step in range(1, len(order)):
            pair = order[(places[own] + step) % len(order)]
            if alone or groups[pair] != groups[own]:
                yield answers[pair]

    return [list(islice(follow(own), SUPPLY)) for own in test["id"]]
