"""Corpus scores against sacrebleu and torchmetrics, and their intervals against resampled texts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from med_lora.metrics.corpus import corpus_metrics, score_arms, torchmetrics_bleu
from med_lora.metrics.lexical import STATISTICS, LexicalScorer
from med_lora.metrics.ngrams import BLEU_WIDTH
from med_lora.statistics.resampling import resample
from tests import recipes

from .pairs import SCORED

ANSWERS = [pair.answer for pair in SCORED]
REFERENCES = [pair.reference for pair in SCORED]
PAIRS = list(zip(ANSWERS, REFERENCES, strict=True))
IDS = [f"pair:{place}" for place in range(len(SCORED))]
GROUPS = pd.Series([0, 0, 1, 2, 3, 4, 5, 5, 6, 7], index=IDS)
# sacrebleu 2.6.0 (BLEU() and CHRF()) and torchmetrics 1.9.0 (functional.text.bleu_score) called on all texts
EXPECTED = {"bleu_unsmoothed": 16.380427777767181, "sacrebleu": 18.529076870196487, "chrf": 46.249587856862}


def tabulate(answers: list[str], arm: str = "tuned") -> pd.DataFrame:
    """Statistics of ten pairs."""
    counted = count(list(zip(answers, REFERENCES, strict=True)))
    counted.insert(0, "id", IDS)
    counted.insert(1, "arm", arm)
    return counted


def count(pairs: list[tuple[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(
        LexicalScorer(1.0).score(pairs)[1], columns=[name for names in STATISTICS.values() for name in names]
    )


def score(statistics: pd.DataFrame, excluded: set[str] = frozenset(), groups: pd.Series = GROUPS) -> pd.DataFrame:
    means = pd.DataFrame(
        {(arm, "rouge1"): np.linspace(0, 1, 10) for arm in dict.fromkeys(statistics["arm"])}, index=IDS
    )
    return score_arms(statistics, means, groups, excluded, recipes.evaluation()).set_index(["arm", "metric"])


def test_scores_equal_the_reference_implementations() -> None:
    found = score(tabulate(ANSWERS)).loc["tuned"]
    for metric, value in EXPECTED.items():
        assert found.loc[metric, "value"] == pytest.approx(value, abs=1e-5 if metric == "bleu_unsmoothed" else 1e-9)
    assert found.loc["rouge1", "value"] == pytest.approx(0.5)
    assert "torchmetrics 1." in found.loc["bleu_unsmoothed", "signature"]
    assert "eff:no|tok:13a|smooth:exp|version:2." in found.loc["sacrebleu", "signature"]
    assert (found["n"] == 10).all()
    assert ((found["low"] < found["value"]) & (found["value"] < found["high"])).all()


def test_torchmetrics_and_sacrebleu_agree_where_words_are_cut_alike() -> None:
    from torchmetrics.functional.text import sacre_bleu_score

    of_13a = count(PAIRS)[list(STATISTICS["sacrebleu"])].sum().to_numpy()
    library = float(sacre_bleu_score(ANSWERS, [[reference] for reference in REFERENCES]))
    assert torchmetrics_bleu(of_13a) == pytest.approx(100 * library, abs=1e-4)
    assert torchmetrics_bleu(of_13a) == pytest.approx(EXPECTED["sacrebleu"], abs=1e-5)
    assert torchmetrics_bleu(np.zeros(BLEU_WIDTH)) == 0


def test_every_draw_is_the_score_of_resampled_texts() -> None:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    counted = count(PAIRS).to_numpy()
    # a column of powers says which pairs a draw took, and how often
    marks = 16.0 ** np.arange(10)
    columns = pd.MultiIndex.from_tuples([("tuned", str(place)) for place in range(counted.shape[1] + 1)])
    items = pd.DataFrame(np.column_stack([counted, marks]), index=IDS, columns=columns)
    draws = resample(items, pd.Series(range(10), index=IDS), 15, seed=3).draws
    _, sacrebleu, chrf = corpus_metrics()
    for draw in draws:
        times = [int(draw[-1]) >> 4 * place & 15 for place in range(10)]
        assert sum(times) == 10
        taken = [place for place, count in enumerate(times) for _ in range(count)]
        answers, references = [ANSWERS[place] for place in taken], [[REFERENCES[place] for place in taken]]
        words, characters = draw[BLEU_WIDTH : 2 * BLEU_WIDTH], draw[2 * BLEU_WIDTH : -1]
        assert sacrebleu.of_draws(words) == pytest.approx(BLEU().corpus_score(answers, references).score, abs=1e-9)
        assert chrf.of_draws(characters) == pytest.approx(CHRF().corpus_score(answers, references).score, abs=1e-9)


def test_excluded_pairs_count_in_the_scores_over_all_alone() -> None:
    texts = pd.concat([tabulate(ANSWERS), tabulate(REFERENCES, "shuffled_reference")], ignore_index=True)
    found = score(texts, excluded={"pair:4", "pair:9"})
    assert (found["n"] == 8).all()
    assert (found["n_all"] == 10).all()
    assert found.loc[("tuned", "sacrebleu"), "value_all"] == pytest.approx(EXPECTED["sacrebleu"])
    assert found.loc[("tuned", "sacrebleu"), "value"] > EXPECTED["sacrebleu"] + 1  # they had no words to match
    perfect = found.loc["shuffled_reference"].loc[
        ["bleu_unsmoothed", "sacrebleu", "chrf"], ["value", "low", "high", "low_all"]
    ]
    assert perfect.to_numpy() == pytest.approx(100)
    assert list(found.loc["tuned"].index) == ["bleu_unsmoothed", "sacrebleu", "chrf", "rouge1"]


@pytest.mark.filterwarnings("error")
def test_intervals_need_two_groups_and_scores_a_pair() -> None:
    one_group = score(tabulate(ANSWERS), groups=pd.Series(0, index=IDS))
    assert one_group["value"].notna().all()
    assert one_group[["low", "high", "low_all"]].isna().all(axis=None)
    none_left = score(tabulate(ANSWERS), excluded=set(IDS))
    assert (none_left["n"] == 0).all()
    assert none_left[["value", "low", "high"]].isna().all(axis=None)
    assert none_left[["value_all", "low_all"]].notna().all(axis=None)


@pytest.mark.filterwarnings("error")
def test_an_arm_of_empty_answers_scores_zero() -> None:
    found = score(tabulate([""] * 10)).drop(index=("tuned", "rouge1"))
    assert (found[["value", "low", "high"]] == 0).all(axis=None)


def test_draws_of_counts_are_whole_whatever_the_threads_of_the_sum() -> None:
    counted = count(PAIRS).set_axis(IDS)
    items = pd.concat({"tuned": counted, "base": counted * 10**9 + 1}, axis=1)
    draws = resample(items, GROUPS, 50, seed=5)
    assert (draws.draws == np.floor(draws.draws)).all()
    first = len(counted.columns)
    assert np.array_equal(draws.draws[:, first:], draws.draws[:, :first] * 10**9 + draws.sizes[:, None])


def test_the_order_of_rows_changes_nothing() -> None:
    texts = pd.concat([tabulate(ANSWERS), tabulate(REFERENCES[::-1], "base")], ignore_index=True)
    turned = score(texts.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(turned.loc[score(texts).index], score(texts), check_exact=True)
