"""Units of the metrics, and what the statistics of a results table mean."""

from __future__ import annotations

from med_lora.report_page.wording import PERCENT_SCALED, RATED_FAMILIES

UNITS = {
    "1": "no unit: a share, a probability, or a score from 0 to 1 (rank_biserial and embedding_similarity from -1)",
    "points": "score from 0 to 100",
    "perplexity": "exp(nats a token): 1 for a model that is always sure and right",
    "nats/token": "natural logarithm of a probability, a token",
    "bits/byte": "binary logarithm of a probability, a byte of UTF-8",
    "rating": "1 (worst) to 5 (best)",
    "words": "words",
    "pairs": "question-answer pairs",
    "s": "seconds",
    "tokens": "tokens",
    "steps": "steps of the optimiser",
    "epochs": "passes over the training pairs",
    "bits": "exposure: binary logarithm of candidates over rank",
    "p": "a p-value",
}
STATISTICS = {
    "estimate": "the metric of one arm, as its signature defines it, over the pairs kept",
    "estimate_all": "the same over all pairs, those excluded from the text metrics too",
    "reference": "the metric of the reference answers",
    "best_control": "the metric of the best null control, which the arm column names",
    "difference": "estimate of the arm less that of the reference, paired; p-values are of the signed-rank test on "
    "groups (McNemar's for benchmarks)",
    "difference_all": "the same over all pairs",
    "relative_difference": "difference / reference, the ratio of the means less 1",
    "rank_biserial": "effect size of the signed-rank test, -1 to 1",
    "detectable": "difference that so many pairs would have shown with the chance evaluation.power",
    "pairs_needed": "pairs that would show the difference found, with the chance evaluation.power",
    "mann_whitney_p": "p-value of a test that takes the arms for unrelated; unsound, for comparison with studies",
    "mean_of_ratios": "mean of (arm / reference - 1) over pairs; unsound, for comparison with studies",
    "excluded": "pairs left out",
    "chance": "accuracy of guessing",
    "majority": "accuracy of always giving the most frequent answer",
    "only_right": "items that this arm alone got right",
    "macro_f1": "mean over choices of the F1 of each",
    "mean_exposure": "mean over inserted secrets",
    "max_exposure": "largest of the inserted secrets",
    "most_exposure": "largest that the number of controls allows",
    "audit_p": "one-sided p-value that inserted secrets have no smaller losses than controls",
    "as_published": "computed by a practice that the table column names; unsound, for comparison with studies",
    "published": "as the study prints it",
    "ours": "of this run, beside the study's figure",
}
_OF_METRIC = {
    "perplexity": "perplexity",
    "cross_entropy": "nats/token",
    "bits_per_byte": "bits/byte",
    "copied_words": "words",
}
_OF_STATISTIC = dict.fromkeys(("relative_difference", "rank_biserial", "mean_of_ratios"), "1") | {
    "mann_whitney_p": "p",
    "pairs_needed": "pairs",
    "excluded": "pairs",
}


# part of the name of a quantity that studies print -> its unit
_OF_QUANTITY = {"_seconds": "s", "_tokens": "tokens", "_steps": "steps", "epoch": "epochs", "_loss": "nats/token"}


def name_unit(metric: str, family: str, statistic: str = "estimate") -> str:
    """Unit of a statistic of a metric, or of a quantity that a study prints; a key of ``UNITS``."""
    if statistic in _OF_STATISTIC:
        return _OF_STATISTIC[statistic]
    name = metric.partition("@")[0].removesuffix("_max").removesuffix("_difference")
    if name.endswith("_gain"):
        return "1"
    if family in RATED_FAMILIES or name.split("_")[0] in RATED_FAMILIES:
        return "1" if name.endswith("_preference") else "rating"
    found = [unit for part, unit in _OF_QUANTITY.items() if part in name]
    return found[0] if found else "points" if name in PERCENT_SCALED else _OF_METRIC.get(name, "1")
