"""Names and numbers as a reader meets them: titles of metrics and arms, decimals, intervals, p-values, units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

TITLES = {
    "perplexity": "Perplexity",
    "bits_per_byte": "Bits per byte",
    "cross_entropy": "Cross-entropy",
    "rouge1": "ROUGE-1 F",
    "rouge2": "ROUGE-2 F",
    "rougeL": "ROUGE-L F",
    "bleu": "BLEU",
    "bleu_unsmoothed": "BLEU, unsmoothed (0 without a common 4-gram)",
    "sacrebleu": "sacreBLEU",
    "chrf": "chrF",
    "meteor": "METEOR",
    "meteor_exact_stem": "METEOR (forms and stems alone)",
    "exact_match": "Exact match",
    "token_f1": "Token F1",
    "bert_score_precision": "BERTScore precision",
    "bert_score_recall": "BERTScore recall",
    "bert_score_f1": "BERTScore F1",
    "embedding_similarity": "Embedding similarity",
    "choice_accuracy": "Accuracy of the final choice",
    "choice_unparsed": "Share of answers without a choice",
    "length_ratio": "Length ratio",
    "repeated_4grams": "Repeated 4-grams",
    "unsupported_numbers": "Answers with an unsupported number",
    "unsupported_doses": "Answers with an unsupported dose",
    "degenerate": "Answers that repeat themselves",
    "disclaimer": "Answers with a disclaimer",
    "referral": "Answers that refer to a doctor",
    "refusal": "Answers that refuse",
    "copied_words": "Longest run copied from training (words)",
    "copied_share": "Longest copied run / answer",
    "grounded_words": "Grounded words",
    "grounded_sentences": "Grounded sentences",
    "ungrounded_numbers": "Answers with an ungrounded number",
    "cites_passage": "Answers that cite a passage",
    "wrong_citation": "Answers that cite a passage not shown",
    "citation_supported": "Citing sentences that the passage bears out",
    "lexical": "Text metrics",
    "answer_cut": "Share of answers cut",
    "answer_empty": "Share of empty answers",
    "prompt_truncated": "Share of questions cut",
}
ARM_TITLES = {
    "base": "Base model",
    "tuned": "Tuned model",
    "base_rag": "Base model with passages",
    "tuned_rag": "Tuned model with passages",
    "base_rag - base": "What passages add to the base model",
    "tuned_rag - tuned": "What passages add to the tuned model",
    "gold": "References",
    "shuffled_reference": "Shuffled reference",
    "echoed_question": "Echoed question",
    "nearest_training_answer": "Nearest training answer",
    "constant_best_answer": "Constant best answer",
    "empty_answer": "Empty answer",
    "retrieved_passage": "Retrieved passage",
    "asks_for_5": "Base answer that asks for a 5",
    "padded": "Tuned answer said twice",
}
CONTROL_MEANINGS = {
    "shuffled_reference": "gives the reference answer of a test pair of another group",
    "echoed_question": "repeats the question",
    "nearest_training_answer": "copies the answer to the most similar training question",
    "constant_best_answer": "gives the training sentence or answer that is most like the others to every question",
    "empty_answer": "says nothing",
    "retrieved_passage": "copies the first passage that was found for the question",
}
# The same as something that one can beat or fail to beat.
CONTROL_DEEDS = {
    "shuffled_reference": "giving the reference answer of another question",
    "echoed_question": "repeating the question",
    "nearest_training_answer": "copying the nearest training answer",
    "constant_best_answer": "giving every question the same typical training answer",
    "empty_answer": "saying nothing",
    "retrieved_passage": "copying the first passage that was found",
}
MATCHED = "_matched"  # ends the names of controls that are as long as the tuned model's answers
DIMENSION_TITLES = {
    "source": "Source",
    "question_type": "Question type",
    "answer_length": "Reference answer",
    "focus": "Topic",
    "overlap": "Overlap with training",
}
RATED_FAMILIES = ("judge", "people")  # 1 to 5
PERCENT_SCALED = frozenset({"bleu", "bleu_unsmoothed", "sacrebleu", "chrf"})  # 0 to 100; other scores run to 1


def title(name: str) -> str:
    """What readers call a metric or an arm; a name that is new here is shown without its underscores."""
    if name.endswith(MATCHED):
        return f"{title(name.removesuffix(MATCHED))}, same length"
    track, axis = split_rated(name)
    if track:
        return f"{track.capitalize()}: {axis}"
    return TITLES.get(name) or ARM_TITLES.get(name) or name.replace("_", " ")


def name_deed(control: str) -> str:
    """What a null control does, as something to beat: ``copying the nearest training answer``."""
    deed = CONTROL_DEEDS.get(control.removesuffix(MATCHED), f"the control {title(control).lower()}")
    return f"{deed} (at the same length)" if control.endswith(MATCHED) else deed


def split_rated(name: str) -> tuple[str, str]:
    """Who rated by a metric, and what: ``judge`` and ``accuracy``; two empty texts where nobody did."""
    track, _, axis = name.partition("_")
    return (track, axis.replace("_", " ")) if axis and track in RATED_FAMILIES else ("", "")


def name_axis(metric: str) -> str:
    """A metric where it is known who rated by it: ``accuracy``, ``ROUGE-L F``."""
    return split_rated(metric)[1] or title(metric)


def capital(text: str) -> str:
    """A sentence of ``text``."""
    return text[0].upper() + text[1:]


def decimals(row: Mapping[str, Any]) -> int:
    """Decimals that a row of a comparison is shown with, the same for its values and their bounds."""
    if row["metric"] == "perplexity":
        values = [row[name] for name in ("base", "tuned", "reference_mean", "arm_mean") if name in row]
        return 2 if min(values) < 10 else 1
    if row.get("family") in RATED_FAMILIES:
        return 2
    return 2 if row["metric"] in PERCENT_SCALED | {"length_ratio", "copied_words"} else 3


def number(value: float, places: int) -> str:
    """``value`` with a fixed number of decimals, commas at thousands, and an en dash where there is none."""
    if math.isnan(value):
        return "–"
    if abs(value) >= 1e6:
        return f"{value:.3g}"
    text = f"{value:,.{places}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def interval(low: float, high: float, places: int) -> str:
    """``[low, high]``, or nothing where there is no interval."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"[{number(low, places)}, {number(high, places)}]"


def measured(row: Mapping[str, Any], name: str, places: int) -> str:
    """The value of column ``name`` followed by its interval, from the columns ``<name>_low`` and ``<name>_high``."""
    bounds = interval(row[f"{name}_low"], row[f"{name}_high"], places)
    return f"{number(row[name], places)} {bounds}".rstrip()


def percent_change(ratio: float, low: float, high: float) -> str:
    """A relative change with its interval: ``+39 % [30 %, 48 %]``; nothing where there is none."""
    if not math.isfinite(ratio):
        return ""
    bounds = f" [{100 * low:+.0f} %, {100 * high:+.0f} %]" if math.isfinite(low) and math.isfinite(high) else ""
    return minus(f"{100 * ratio:+.0f} %{bounds}")


def minus(text: str) -> str:
    """Numbers with the sign for minus in place of hyphens."""
    return text.replace("-", "−")


def p_value(p: float) -> str:
    """A p-value as it follows a ``p``: ``= 0.012``, ``< 0.001``."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def show_p(p: float) -> str:
    """A p-value as it stands in a column: ``0.012``, ``< 0.001``, an en dash where nothing was tested."""
    return "–" if math.isnan(p) else p_value(p).removeprefix("= ")


def show_seconds(seconds: float | None) -> str:
    """A duration: ``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 h 10 min``; an en dash where it is not known."""
    if seconds is None:
        return "–"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,} h {minutes % 60} min"


def show_bytes(count: float) -> str:
    """A size in the largest binary unit of which there is one."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"


def shown_place(path: str) -> str:
    """``path`` for readers elsewhere: of an absolute path the last part alone, which says nothing of the machine."""
    bare = path.removeprefix("file://")
    if PureWindowsPath(bare).drive:
        return PureWindowsPath(bare).name
    return PurePosixPath(bare).name if bare.startswith(("/", "~")) else path


def share(part: float) -> str:
    """A share from 0 to 1 in whole percent, which says 0 or 100 only of none and all."""
    if 0 < part < 0.01:
        return "under 1 %"
    return "over 99 %" if 0.99 < part < 1 else f"{100 * part:.0f} %"


def in_groups(row: Mapping[str, Any]) -> str:
    """The groups that the pairs of a row of ``comparison`` come in: ``in 29 groups``."""
    return f"in {row['groups']:,} {'group' if row['groups'] == 1 else 'groups'}"


def percent(confidence: float) -> str:
    """A level of confidence as ``95 %``."""
    return f"{100 * confidence:g} %"
