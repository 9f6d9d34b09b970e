"""Scores of every pair, arm and metric, gathered in one table, and the lexical scores of the corpus."""

from __future__ import annotations

from typing import get_args

import pandas as pd

from med_lora.arms import ARMS, BARE_ARMS, RAG_ARMS
from med_lora.errors import InputError
from med_lora.metrics.corpus import LEXICAL_MEANS, score_arms
from med_lora.metrics.definition import SCORE_COLUMNS, Family, lengthen, read_metrics, tabulate_metrics
from med_lora.metrics.facts import flag_metrics, loss_metrics, read_entropies, read_flags
from med_lora.metrics.lexical import STATISTICS
from med_lora.metrics.parallel import cores, score_many
from med_lora.parameters import EvaluationParams, HardwareParams
from med_lora.pipelines.evaluation.splits import Split, read_pairs

KINDS = ("model", "control")  # gold answers equal their references: nothing to see
COMPLETE = ("loss", "overlap", "flag")  # families with a score for every pair


def read_facts(**tables: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the tables of the arms say without any comparison of texts.

    Args:
        tables: of every arm ``<arm>_answers`` and ``<arm>_losses``.

    Returns:
        scores: ``cross_entropy`` (nats an answer token), and the flags ``answer_cut`` (it reached the limit of tokens),
            ``answer_empty`` and ``prompt_truncated``, each 0 or 1.
        metrics: of the losses, which are ratios of sums over pairs, and the flags.
    """
    arms = [arm for arm in ARMS if f"{arm}_answers" in tables]
    parts = [read_flags(tables[f"{arm}_answers"], arm) for arm in arms]
    parts += [read_entropies(tables[f"{arm}_losses"], arm) for arm in arms]
    return pd.concat(parts, ignore_index=True), tabulate_metrics([*loss_metrics(), *flag_metrics()])


def score_overlap(
    arm_texts: pd.DataFrame, test: Split, evaluation: EvaluationParams, hardware: HardwareParams
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Lexical scores of the models' and the controls' answers against the references.

    ROUGE, BLEU of the sentence, chrF, METEOR, exact match and token F1, as
    :class:`med_lora.metrics.lexical.LexicalScorer` defines them. Empty answers score 0.

    Args:
        arm_texts: columns id, arm, kind, answer.
        test: the pairs with the references.
        evaluation: ``rouge_beta`` is the weight of recall in ROUGE-L.
        hardware: ``workers`` bounds the processes that share the work of thousands of pairs; 0 for all cores.

    Returns:
        scores: columns of ``SCORE_COLUMNS``.
        metrics: one row a metric.
        statistics: columns id, arm and the integers whose sums make BLEU and chrF of the corpus, named in
            ``med_lora.metrics.lexical.STATISTICS``; arm by arm as in ``arm_texts``.
    """
    texts = join_references(arm_texts, test)
    processes = hardware.workers or cores()
    pairs = list(zip(texts["answer"], texts["reference"], strict=True))
    found = score_many(pairs, evaluation.rouge_beta, processes)
    ids, arms = list(texts["id"]), list(texts["arm"])
    wide = pd.DataFrame(found.scores, columns=list(found.names)).assign(id=ids, arm=arms)
    parts = [lengthen(rows.drop(columns="arm"), str(arm)) for arm, rows in wide.groupby("arm", sort=False)]
    statistics = pd.DataFrame(found.statistics, columns=[name for names in STATISTICS.values() for name in names])
    statistics = pd.concat([pd.DataFrame({"id": ids, "arm": arms}), statistics], axis=1)
    return pd.concat(parts, ignore_index=True), tabulate_metrics(found.metrics), statistics


def score_corpus(overlap_statistics: pd.DataFrame, scores: pd.DataFrame, evaluation: EvaluationParams) -> pd.DataFrame:
    """Corpus scores of the models' and the controls' answers, on the pairs that ``evaluation.exclude`` keeps.

    BLEU and chrF are those of the summed statistics, ROUGE the mean over pairs. Intervals are percentiles of a cluster
    bootstrap over groups (Field and Welsh 2007) of these statistics, with the same resamples for every arm; NaN where
    fewer than two groups are left.

    Left out are the pairs with such an answer of ``base`` or ``tuned``, so that these two and the controls have the
    scores of a run without further arms; for arms that are given passages, also those with such an answer of one of
    them. Over all pairs every arm counts the same.

    Args:
        overlap_statistics: as :func:`score_overlap` returns them.
        scores: as :func:`collect_scores` returns them, for groups, flags and ROUGE.
        evaluation: what to exclude, and the bootstrap.

    Returns:
        Columns arm, metric, n, value, low, high, signature, and over all pairs n_all, value_all, low_all, high_all;
        arms in the order of ``overlap_statistics``.
    """
    flags = scores[scores["metric"].isin(evaluation.exclude) & (scores["score"] != 0)]
    groups = scores.groupby("id")["group"].first()
    means = scores[scores["metric"].isin(LEXICAL_MEANS)]
    given_passages = overlap_statistics["arm"].isin(RAG_ARMS)
    parts = []
    for statistics, flagged in (
        (overlap_statistics[~given_passages], BARE_ARMS),
        (overlap_statistics[given_passages], ARMS),
    ):
        if len(statistics):
            excluded = set(flags["id"][flags["arm"].isin(flagged)])
            scored = means[means["arm"].isin(set(statistics["arm"]))]
            wide = scored.pivot(index="id", columns=["arm", "metric"], values="score")
            parts.append(score_arms(statistics, wide, groups, excluded, evaluation))
    order = {arm: place for place, arm in enumerate(dict.fromkeys(overlap_statistics["arm"]))}
    return pd.concat(parts).sort_values("arm", key=lambda arms: arms.map(order), kind="stable", ignore_index=True)


def collect_scores(test: Split, *tables: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All scores in one table, and all metrics in another; nothing is left out here.

    Args:
        test: the pairs.
        tables: of each scoring in turn its scores and its metrics.

    Returns:
        scores: columns id, group (of the pair in ``test``), arm, metric, score, sorted by id, arm and metric.
        metrics: by family from losses to flags, within one in the order given.

    Raises:
        InputError: if a reference is empty, or a table is not about the test pairs.
    """
    pairs = read_pairs(test, "test")
    check_references(pairs)
    described = [metric for table in tables[1::2] for metric in read_metrics(table)]
    families = get_args(Family)
    described.sort(key=lambda metric: families.index(metric.family))
    filled = [table[SCORE_COLUMNS] for table in tables[::2] if len(table)]
    scores = pd.concat(filled).sort_values(["id", "arm", "metric"], ignore_index=True)
    partial = {metric.name for metric in described if metric.family not in COMPLETE}
    for (arm, metric), rows in scores.groupby(["arm", "metric"]):
        ids = pairs["id"][pairs["id"].isin(rows["id"])] if metric in partial else pairs["id"]
        check_ids(rows, ids, f"{metric} of {arm}")
    groups = scores["id"].map(dict(zip(pairs["id"], pairs["group"], strict=True)))
    scores.insert(1, "group", groups.astype("int64"))
    return scores, tabulate_metrics(described)


def check_ids(table: pd.DataFrame, ids: pd.Series, name: str) -> None:
    """Raise an InputError unless ``table`` holds exactly ``ids``, each once."""
    if sorted(table["id"]) != sorted(ids):
        raise InputError(
            f"{name} is not about the {len(ids)} pairs of this test split ({len(table)} rows, "
            f"{len(set(ids) - set(table['id']))} pairs missing); run the evaluation again from its beginning."
        )


def check_references(pairs: pd.DataFrame) -> None:
    """Raise an InputError for a pair without a reference answer: every score against it would be of nothing."""
    blank = pairs["id"][pairs["answer"].str.strip() == ""]
    if len(blank):
        raise InputError(f"Test pair {blank.iloc[0]} has no reference answer; leave the pair out of its corpus.")


def join_references(arm_texts: pd.DataFrame, test: Split) -> pd.DataFrame:
    """The scored rows of ``arm_texts`` with a column ``reference``."""
    pairs = read_pairs(test, "test")
    texts = arm_texts[arm_texts["kind"].isin(KINDS)]
    for arm, rows in texts.groupby("arm"):
        check_ids(rows, pairs["id"], f"arm_texts of {arm}")
    return texts.merge(pairs[["id", "answer"]].rename(columns={"answer": "reference"}), on="id", how="left")
