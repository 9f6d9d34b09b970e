"""The nodes that score and collect: what is counted, what is refused."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.metrics import parallel
from med_lora.metrics.definition import Metric, read_metrics, tabulate_metrics
from med_lora.metrics.lexical import score_pair
from med_lora.pipelines.evaluation.scores.scoring import collect_scores, read_facts, score_corpus, score_overlap
from tests import recipes

from .conftest import Table

HARDWARE = recipes.hardware(threads=1)


@pytest.fixture(autouse=True)
def _no_wordnet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine holds."""
    monkeypatch.setattr(parallel, "find_wordnet", lambda: nullcontext(None))


def make_answers(ids: pd.Series, texts: list[str], **columns: Any) -> pd.DataFrame:
    given = {"finish_reason": "eos", "prompt_truncated": False, "empty": [not text for text in texts]}
    return pd.DataFrame({"id": list(ids), "answer": texts} | given | columns)


@pytest.fixture
def arm_texts(test_split: Table) -> pd.DataFrame:
    pairs = test_split.frame
    answers = {
        ("base", "model"): [" ".join(answer.split()[-2:]) for answer in pairs["answer"]],
        ("tuned", "model"): ["", *(" ".join(["Well,", *answer.split()[1:]]) for answer in pairs["answer"][1:])],
        ("echoed_question", "control"): list(pairs["question"]),
        ("gold", "gold"): list(pairs["answer"]),
    }
    rows = [
        pd.DataFrame({"id": list(pairs["id"]), "arm": arm, "kind": kind, "answer": texts})
        for (arm, kind), texts in answers.items()
    ]
    return pd.concat(rows, ignore_index=True)


@pytest.fixture
def facts(test_split: Table, arm_texts: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    ids = test_split.frame["id"]
    tokens = np.arange(5, 12)
    losses = pd.DataFrame({"id": list(ids), "tokens": tokens, "nll": tokens * np.linspace(2, 5, 7), "answer_bytes": 40})
    by_arm = arm_texts.groupby("arm")["answer"]
    base = make_answers(ids, list(by_arm.get_group("base")), finish_reason=["length", *["eos"] * 6])
    tuned = make_answers(ids, list(by_arm.get_group("tuned")), prompt_truncated=[*[False] * 6, True])
    return read_facts(
        base_answers=base, tuned_answers=tuned, base_losses=losses, tuned_losses=losses.assign(nll=losses["nll"] / 2)
    )


def test_facts_are_flags_and_nats_a_token(facts: tuple[pd.DataFrame, pd.DataFrame], test_split: Table) -> None:
    scores, metrics = facts
    wide = scores.pivot(index="id", columns=["arm", "metric"], values="score").loc[list(test_split.frame["id"])]
    assert list(wide["base", "answer_cut"]) == [1, 0, 0, 0, 0, 0, 0]
    assert list(wide["tuned", "answer_empty"]) == [1, 0, 0, 0, 0, 0, 0]
    assert list(wide["tuned", "prompt_truncated"]) == [0, 0, 0, 0, 0, 0, 1]
    assert wide["base", "prompt_truncated"].sum() == wide["tuned", "answer_cut"].sum() == 0
    assert list(wide["base", "cross_entropy"]) == pytest.approx(list(np.linspace(2, 5, 7)))
    assert list(wide["tuned", "cross_entropy"]) == pytest.approx(list(np.linspace(1, 2.5, 7)))
    assert [(metric.name, metric.family) for metric in read_metrics(metrics)] == [
        ("perplexity", "loss"),
        ("cross_entropy", "loss"),
        ("bits_per_byte", "loss"),
        ("answer_cut", "flag"),
        ("answer_empty", "flag"),
        ("prompt_truncated", "flag"),
    ]
    assert metrics["signature"].str.len().min() > 10


def test_facts_are_of_every_arm_that_has_tables(test_split: Table) -> None:
    ids = test_split.frame["id"]
    losses = pd.DataFrame({"id": list(ids), "tokens": 4, "nll": 2.0, "answer_bytes": 9})
    tables = {f"{arm}_losses": losses for arm in ("tuned_rag", "base_rag", "base", "tuned")}
    tables |= {f"{arm}_answers": make_answers(ids, [arm] * 7) for arm in ("tuned_rag", "base_rag", "base", "tuned")}
    scores, metrics = read_facts(**tables)
    assert list(scores["arm"].unique()) == ["base", "tuned", "base_rag", "tuned_rag"]
    assert len(scores) == 7 * 4 * 4
    two = {name: table for name, table in tables.items() if "rag" not in name}
    pd.testing.assert_frame_equal(read_facts(**two)[1], metrics)
    assert list(read_facts(**two)[0]["arm"].unique()) == ["base", "tuned"]


def test_models_and_controls_are_scored_on_every_pair(arm_texts: pd.DataFrame, test_split: Table) -> None:
    scores, metrics, statistics = score_overlap(arm_texts, test_split, recipes.evaluation(rouge_beta=1.2), HARDWARE)
    assert list(statistics["id"]) == list(arm_texts["id"][arm_texts["kind"] != "gold"])
    assert list(dict.fromkeys(statistics["arm"])) == ["base", "tuned", "echoed_question"]
    assert set(statistics.dtypes.iloc[2:].astype(str)) == {"int64"}
    echoed = statistics[statistics["arm"] == "echoed_question"].set_index("id")
    assert echoed.loc[test_split.frame["id"][0], "bleu_answer"] == 3
    assert echoed.loc[test_split.frame["id"][0], "sacrebleu_answer"] == 4  # the question mark too
    assert list(scores.columns) == ["id", "arm", "metric", "score"]
    assert set(scores["arm"]) == {"base", "tuned", "echoed_question"}
    assert not scores.duplicated(["id", "arm", "metric"]).any()
    assert set(scores["metric"]) == set(metrics["name"])
    assert len(scores) == 7 * 3 * 8
    wide = scores.pivot(index="id", columns=["arm", "metric"], values="score")
    for row in test_split.frame.itertuples():
        expected = score_pair(row.question, row.answer, rouge_beta=1.2)
        assert wide.loc[row.id, "echoed_question"][list(expected)].to_dict() == expected
    assert (wide.loc[test_split.frame["id"][0], "tuned"] == 0).all()  # an empty answer


def test_collected_scores_carry_their_group_and_are_sorted(
    arm_texts: pd.DataFrame, test_split: Table, facts: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    test = Table(test_split.frame.assign(group=[5, 5, 5, 2, 2, 9, 1]))
    *overlap, _ = score_overlap(arm_texts, test, recipes.evaluation(), HARDWARE)
    scores, metrics = collect_scores(test, *facts, *overlap)
    assert list(scores.columns) == ["id", "group", "arm", "metric", "score"]
    assert scores["group"].dtype == "int64"
    assert (scores["group"] == scores["id"].map(dict(zip(test.frame["id"], [5, 5, 5, 2, 2, 9, 1], strict=True)))).all()
    assert len(scores) == len(facts[0]) + len(overlap[0])
    pd.testing.assert_frame_equal(scores, scores.sort_values(["id", "arm", "metric"], ignore_index=True))
    names = list(metrics["name"])
    assert names[:4] == ["perplexity", "cross_entropy", "bits_per_byte", "rouge1"]
    assert names[-3:] == ["answer_cut", "answer_empty", "prompt_truncated"]


def test_a_metric_may_be_of_some_pairs_or_of_none(test_split: Table, facts: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    ids = list(test_split.frame["id"])
    some = pd.DataFrame({"id": ids[:2], "arm": "base", "metric": "choice", "score": [0.0, 1.0]})
    choice = tabulate_metrics([Metric("choice", "choice", "higher", True, "letters")])
    none = tabulate_metrics([Metric("bert_f1", "meaning", "higher", True, "", missing="no encoder")])
    scores, metrics = collect_scores(test_split, *facts, some, choice, some.iloc[:0], none)
    assert (scores["metric"] == "choice").sum() == 2
    assert scores["score"].dtype == "float64"
    assert {metric.name: metric.missing for metric in read_metrics(metrics)}["bert_f1"] == "no encoder"
    with pytest.raises(InputError, match="choice of base is not about"):
        collect_scores(test_split, *facts, pd.concat([some, some]), choice)
    with pytest.raises(InputError, match="choice of base is not about"):
        collect_scores(test_split, *facts, some.assign(id="elsewhere:1"), choice)


def test_tables_of_other_pairs_are_refused(
    arm_texts: pd.DataFrame, test_split: Table, facts: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    scores, metrics = facts
    first = scores["id"] == scores["id"].iloc[0]
    for wrong in (scores[~first], pd.concat([scores, scores[first]]), scores.assign(id=scores["id"] + "x")):
        with pytest.raises(InputError, match=r"\w+ of base is not about the 7 pairs"):
            collect_scores(test_split, wrong, metrics)
    for wrong in (arm_texts.iloc[1:], pd.concat([arm_texts, arm_texts.head(1)])):
        with pytest.raises(InputError, match="arm_texts of base is not about the 7 pairs"):
            score_overlap(wrong, test_split, recipes.evaluation(), HARDWARE)


def test_a_reference_without_words_is_refused(test_split: Table, facts: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    blank = test_split.frame.assign(answer=[*test_split.frame["answer"][:6], " \n"])
    with pytest.raises(InputError, match=f"{blank['id'][6]} has no reference answer"):
        collect_scores(Table(blank), *facts)


def test_corpus_scores_leave_out_what_the_evaluation_excludes(
    arm_texts: pd.DataFrame, test_split: Table, facts: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    evaluation = recipes.evaluation(exclude=["answer_empty", "prompt_truncated"])
    *overlap, statistics = score_overlap(arm_texts, test_split, evaluation, HARDWARE)
    scores, _ = collect_scores(test_split, *facts, *overlap)
    table = score_corpus(statistics, scores, evaluation)
    assert list(table.columns) == [
        *("arm", "metric", "n", "value", "low", "high", "signature", "n_all", "value_all", "low_all", "high_all")
    ]
    assert list(dict.fromkeys(table["arm"])) == ["base", "tuned", "echoed_question"]
    assert list(table["metric"][:6]) == ["bleu_unsmoothed", "sacrebleu", "chrf", "rouge1", "rouge2", "rougeL"]
    assert (table["n"] == 5).all()
    found = table.set_index(["arm", "metric"])
    kept = scores[~scores["id"].isin(test_split.frame["id"].iloc[[0, 6]])]
    for rows, column in ((kept, "value"), (scores, "value_all")):
        expected = rows.groupby(["arm", "metric"])["score"].mean()
        assert found.loc[("tuned", "rougeL"), column] == pytest.approx(expected["tuned", "rougeL"])
    everything = score_corpus(statistics, scores, recipes.evaluation(exclude=[]))
    assert list(everything["value"]) == list(table["value_all"])
    by_row = statistics.sort_values("id", ascending=False, kind="stable")
    turned = score_corpus(by_row, scores.sample(frac=1, random_state=1), evaluation)
    pd.testing.assert_frame_equal(turned, table, check_exact=True)


def test_corpus_scores_of_the_models_are_the_same_beside_arms_with_passages(
    arm_texts: pd.DataFrame, test_split: Table
) -> None:
    evaluation = recipes.evaluation(exclude=["answer_cut"])
    ids = test_split.frame["id"]
    whole, cut = make_answers(ids, ["a"] * 7), make_answers(ids, ["a"] * 7, finish_reason=["length", *["eos"] * 6])
    losses = pd.DataFrame({"id": list(ids), "tokens": 4, "nll": 2.0, "answer_bytes": 9})
    flags = read_facts(base_answers=cut, tuned_answers=whole, base_losses=losses, tuned_losses=losses)
    *overlap, statistics = score_overlap(arm_texts, test_split, evaluation, HARDWARE)
    expected = score_corpus(statistics, collect_scores(test_split, *flags, *overlap)[0], evaluation)

    later = make_answers(ids, ["a"] * 7, finish_reason=[*["eos"] * 6, "length"])
    rag = {"base_rag_answers": later, "tuned_rag_answers": whole, "base_rag_losses": losses, "tuned_rag_losses": losses}
    all_flags = read_facts(base_answers=cut, tuned_answers=whole, base_losses=losses, tuned_losses=losses, **rag)
    models = arm_texts[arm_texts["kind"] == "model"]
    both = pd.concat([models, models.assign(arm=models["arm"] + "_rag"), arm_texts[arm_texts["kind"] != "model"]])
    *overlap, statistics = score_overlap(both, test_split, evaluation, HARDWARE)
    table = score_corpus(statistics, collect_scores(test_split, *all_flags, *overlap)[0], evaluation)
    assert list(table["arm"].unique()) == ["base", "tuned", "base_rag", "tuned_rag", "echoed_question"]
    assert dict(zip(table["arm"], table["n"], strict=True)) == {
        "base": 6, "tuned": 6, "base_rag": 5, "tuned_rag": 5, "echoed_question": 6
    }  # fmt: skip
    assert (table["n_all"] == 7).all()
    rest = table[table["arm"].isin(expected["arm"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, expected, check_exact=True)
    found = table.set_index(["arm", "metric"])
    assert found.loc[("base_rag", "chrf"), "value_all"] == found.loc[("base", "chrf"), "value_all"]
