"""From a judge's answers to the verdict on all tracks: what a judge that is not shown to be one may claim."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from med_lora.pipelines import divergence, judge
from med_lora.pipelines.divergence.findings import find, read_doubts
from med_lora.pipelines.evaluation.comparison.arms import compare
from med_lora.pipelines.evaluation.comparison.contrasts import TUNING
from tests.pipelines.divergence.tracks import draw_tracks
from tests.pipelines.judge import simulated
from tests.pipelines.judge.simulated import USAGE, judge_all
from tests.recipes import evaluation

PAIRS = 30
MADE = ("judge_summary", "judge_comparison", "divergence_verdict", "divergence_figure", "disagreements")
FORECAST: dict[str, Any] = {"items": PAIRS, "groups": PAIRS, "detectable_sd": 0.54}
BLIND = [5.0, 1.0] * 3 + [5.0, 5.0, 1.0, 5.0]  # what it gives a reference, and turned over, what it gives no answer


class Kept(MemoryDataset):
    """What a runner does not drop once every node has read it."""

    def _release(self) -> None:
        pass


def run(answers: pd.DataFrame, arm_texts: pd.DataFrame) -> dict[str, Any]:
    """The nodes of both pipelines that come after the judge was asked."""
    texts, _ = draw_tracks(PAIRS, 1, lexical_gain=2.0)
    compared = compare(*texts, [TUNING], evaluation()).drop(columns=["reference", "arm"])
    given = {
        **{"judge_answers": answers, "arm_texts": arm_texts, "judge_usage": USAGE, "judge_forecast": FORECAST},
        **{"scores": texts.scores, "metrics": texts.metrics, "params:evaluation": evaluation()},
        "comparison": compared.rename(columns={"reference_mean": "base", "arm_mean": "tuned"}),
    }
    names = ("score_judged", "compare_judged", "check_judge", "summarise_judge")
    pipeline = judge.create_pipeline("base").only_nodes(*names) + divergence.create_pipeline(judge=True)
    made = {name: Kept() for name in MADE}
    catalog = DataCatalog({**{name: MemoryDataset(value) for name, value in given.items()}, **made})
    SequentialRunner().run(pipeline, catalog)
    return {name: catalog.load(name) for name in MADE}


def judged_for_tuning() -> tuple[pd.DataFrame, pd.DataFrame]:
    """A judge that tells references from nothing, and gives the tuned arm a 5 and the base a 1 or 2 everywhere."""
    answers, texts = judge_all(simulated.perfect(), items=PAIRS, repeats=1)
    for table in (answers, texts):
        table["id"] = table["id"].str.replace("pair:", "test:")
    for arms, values in ((("tuned", "padded"), [5.0]), (("base", "asks_for_5"), [1.0, 1.0, 1.0, 1.0, 2.0, 2.0])):
        of_arms = (answers["task"] == "axis") & answers["arm"].isin(arms)
        answers.loc[of_arms, "value"] = (values * 4 * PAIRS)[: 4 * PAIRS]
    duel = (answers["task"] == "preference") & answers["arm"].isin(TUNING)
    answers.loc[duel, "value"] = np.where(answers.loc[duel, "arm"] == "base", 2.0, 1.0)
    return answers, texts


def blind(answers: pd.DataFrame) -> pd.DataFrame:
    """The answers with the reference hardly better than nothing, and preferred to another's in 7 of 10 calls."""
    changed = answers.copy()
    for arm, values in (("gold", BLIND), ("empty_answer", [6 - value for value in BLIND])):
        of_arm = (changed["task"] == "axis") & (changed["arm"] == arm)
        changed.loc[of_arm, "value"] = np.repeat(values * (PAIRS // len(values)), 2)  # alike on both axes
    known = (changed["task"] == "preference") & changed["arm"].isin(["gold", "shuffled_reference"])
    changed.loc[known, "value"] = ([1.0, 2.0] * 3 + [1.0, 1.0, 2.0, 1.0]) * (2 * PAIRS // 10)
    return changed


def test_a_judge_whose_floors_are_unclear_claims_nothing_anywhere() -> None:
    answers, texts = judged_for_tuning()
    sound = run(answers, texts)
    assert {result["verdict"] for result in sound["judge_summary"]["results"]} == {"improved"}
    assert "By the text metrics and by the judge alike, tuning helped." in sound["divergence_verdict"]
    doubtful = run(blind(answers), texts)
    summary, said = doubtful["judge_summary"], doubtful["divergence_verdict"]
    assert summary["verdict"] == "unclear"
    assert summary["nothing_said"] == []
    assert {result["verdict"] for result in summary["results"]} == {"floors unclear"}
    told = [sentence for sentence in summary["sentences"] if sentence.startswith("Tuned model against base model")]
    assert len(told) == 3
    for sentence in told:
        assert "no conclusion, because " in sentence
        assert not sentence.endswith(("higher.", "lower."))
    assert len(doubtful["disagreements"]) == PAIRS  # a list to be read, which claims nothing
    caption = doubtful["divergence_figure"].layout.meta["caption"]
    assert caption == "Scores of the judge on accuracy, relevance, preference are not believed and not counted."
    assert "alike" not in said
    assert "contradict" not in said
    assert "By the judge" not in said
    assert "The judge (n = 30 test pairs in 30 groups): for want of floors that passed" in said
    # the numbers stay as they were
    for one, two in zip(sound["judge_summary"]["results"], summary["results"], strict=True):
        assert {**one, "verdict": ""} == {**two, "verdict": ""}


@pytest.mark.parametrize("change", [lambda answers: answers, blind, lambda answers: answers.assign(value=3.0)])
def test_summary_and_verdict_say_the_same_of_every_metric(change: Any) -> None:
    answers, texts = judged_for_tuning()
    made = run(change(answers), texts)
    finding = find("judge", made["judge_comparison"], read_doubts(made["judge_summary"]), evaluation())
    assert finding.verdicts == {row["metric"]: row["verdict"] for row in made["judge_summary"]["results"]}
    void = set(made["judge_summary"]["nothing_said"])
    assert made["disagreements"].empty == (void >= set(finding.verdicts))
