"""What the test pairs are like, so that scores can be read for each kind of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from med_lora.pipelines.data_engineering.duplicates import Hashes, word_grams, word_hashes
from med_lora.pipelines.data_engineering.leakage import find_overlap
from med_lora.pipelines.evaluation.splits import Split, read_pairs

UNKNOWN = "none"
RARE_PAIRS = 9  # training pairs that name the focus of a rare one at most
DIMENSIONS = ("source", "question_type", "answer_length", "focus", "overlap")
# From the closest to none; a pair is of the first that holds.
OVERLAP = {
    "exact": ("exact_question", "exact_answer"),
    "near": ("near_pair", "near_question", "near_answer", "contained_answer"),
    "same_focus": ("same_focus", "same_concept", "same_document"),
}
CLEAN = "clean"
_ORDER = {  # first words of the levels
    "answer_length": ("short", "medium", "long"),
    "focus": ("in", "rare", "common", UNKNOWN),
    "overlap": (*OVERLAP, CLEAN),
}
_COLUMNS = ["corpus", "source", "document", "focus", "concepts", "question_type", "question", "answer", "choice"]


def describe_pairs(test: Split, train: Split) -> pd.DataFrame:
    """The level of every test pair in each dimension.

    - ``source``: its corpus, with the publisher within it where the corpus names one.
    - ``question_type``: "none" where the corpus gives none.
    - ``answer_length``: the third of the references, by words between white space, that its own is in; the bounds
      stand in the names of the levels.
    - ``focus``: how many training pairs are about its focus or name it in question or answer, in any case and
      punctuation: none of them, up to 9 (rare), more (common); "none" where the focus is unknown. Those that only name
      it count because a split by group puts no pair about the focus itself into training.
    - ``overlap``: what of it stands in the training part, by the measures of
      :func:`~med_lora.pipelines.data_engineering.leakage.find_overlap`: ``exact`` question or answer; else ``near``
      question, answer or both, or an answer mostly contained in a longer one; else ``same_focus``, concepts or
      document; else ``clean``. What questions have in common as a template is told by these two splits, and for the
      leakage table by all three, so a near question may be one there and none here.

    Returns:
        Columns id, dimension, level, in the order of ``DIMENSIONS`` and then of ids.
    """
    pairs, training = (_complete(read_pairs(split, name)) for split, name in ((test, "test"), (train, "train")))
    levels = pd.DataFrame(
        {
            "id": pairs["id"],
            "source": pairs["corpus"] + np.where(pairs["source"] == "", "", "/" + pairs["source"]),
            "question_type": pairs["question_type"],
            "answer_length": _length_levels(pairs["answer"]),
            "focus": _focus_levels(pairs["focus"], training),
            "overlap": _overlap_levels(pairs, training),
        }
    ).sort_values("id")
    traits = levels.melt(id_vars="id", value_vars=list(DIMENSIONS), var_name="dimension", value_name="level")
    return traits.replace({"level": {"": UNKNOWN}})


def _complete(pairs: pd.DataFrame) -> pd.DataFrame:
    """The columns compared here, as strings; a column that the split lacks is empty."""
    return pairs.reindex(columns=["id", *_COLUMNS]).fillna("").astype("str")


def _length_levels(answers: pd.Series) -> list[str]:
    words = [len(answer.split()) for answer in answers]
    short, medium = (int(bound) for bound in np.quantile(words, [1 / 3, 2 / 3], method="inverted_cdf"))
    names = (f"short (to {short} words)", f"medium (to {medium} words)", f"long (over {medium} words)")
    return [names[int(length > short) + int(length > medium)] for length in words]


def _focus_levels(focuses: pd.Series, training: pd.DataFrame) -> list[str]:
    hashes = list(word_hashes(focuses))
    named = _count_naming(hashes, training)
    return [_name_focus(count) if len(words) else UNKNOWN for words, count in zip(hashes, named, strict=True)]


def _name_focus(count: int) -> str:
    if count == 0:
        return "in no training pair"
    return f"rare (in 1 to {RARE_PAIRS})" if count <= RARE_PAIRS else f"common (in over {RARE_PAIRS})"


def _count_naming(focuses: Sequence[Hashes], training: pd.DataFrame) -> list[int]:
    """For each focus the training pairs whose focus, question or answer holds its words in a row."""
    texts = [text for column in ("focus", "question", "answer") for text in word_hashes(training[column])]
    words, text_of = np.concatenate(texts), np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    counts = [0] * len(focuses)
    for width in sorted({len(focus) for focus in focuses} - {0}):
        places = [place for place, focus in enumerate(focuses) if len(focus) == width]
        wanted = np.concatenate([word_grams(focuses[place], width) for place in places])
        grams = word_grams(words, width)
        first, last = text_of[: len(grams)], text_of[width - 1 :]
        naming = (first == last) & np.isin(grams, wanted)
        found = pd.DataFrame({"gram": grams[naming], "pair": first[naming] % len(training)})
        pairs = found.drop_duplicates()["gram"].value_counts()
        for place, gram in zip(places, wanted, strict=True):
            counts[place] = int(pairs.get(gram, 0))
    return counts


def _overlap_levels(pairs: pd.DataFrame, training: pd.DataFrame) -> list[str]:
    flags = find_overlap(training, {"test": pairs})["test"]
    conditions = [flags[list(kinds)].any(axis=1) for kinds in OVERLAP.values()]
    return np.select(conditions, list(OVERLAP), default=CLEAN).tolist()  # type: ignore[no-any-return]


def sort_levels(dimension: str, levels: Iterable[str]) -> list[str]:
    """Levels of a dimension in the order of their meaning, or by name with the unknown last."""
    order = _ORDER.get(dimension)
    if order is None:
        return sorted(levels, key=lambda level: (level == UNKNOWN, level))
    return sorted(levels, key=lambda level: order.index(level.split()[0]))
