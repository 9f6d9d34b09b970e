"""How much of each answer stands word for word in a training answer."""

from __future__ import annotations

import pandas as pd

from med_lora.metrics.copying import longest_runs, normalised_words
from med_lora.metrics.definition import Metric, lengthen, tabulate_metrics
from med_lora.pipelines.evaluation.splits import Split, read_pairs

WORDS = "case folded, words of letters and digits"


def score_copying(arm_texts: pd.DataFrame, train: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The longest run of words that each answer shares with any single training answer.

    References are scored too, as arm ``gold``: texts of one field share phrases without any having been copied, and
    what the references share with training answers is the floor.

    Args:
        arm_texts: columns id, arm, kind, answer.
        train: the training pairs, without canaries.

    Returns:
        scores: id, arm, metric, score of ``copied_words``, the length of the run, and of ``copied_share``, the run by
            the words of the answer (0 for an answer without words).
        metrics: the two as :func:`~med_lora.metrics.definition.tabulate_metrics` gives them.
    """
    training = sorted(set(read_pairs(train, "train")["answer"]))
    numbers, answers = pd.factorize(arm_texts["answer"])  # many controls repeat one another
    runs = pd.Series(longest_runs(map(normalised_words, answers), map(normalised_words, training)), dtype="float64")
    # found once more, since the words of all arms and controls at once would fill the memory
    lengths = pd.Series([len(normalised_words(answer)) for answer in answers], dtype="float64")
    scores = pd.DataFrame({"copied_words": runs, "copied_share": runs / lengths.clip(lower=1)}).iloc[numbers]
    wide = scores.set_axis(arm_texts.index).assign(id=arm_texts["id"])
    parts = [lengthen(wide[arm_texts["arm"] == arm], str(arm)) for arm in arm_texts["arm"].unique()]
    return pd.concat(parts, ignore_index=True), tabulate_metrics(_metrics())


def _metrics() -> list[Metric]:
    run = "longest run of words shared with one training answer"
    return [
        Metric("copied_words", "copying", "neither", False, f"{run}|{WORDS}"),
        Metric("copied_share", "copying", "neither", False, f"{run} / words of the answer|{WORDS}"),
    ]
