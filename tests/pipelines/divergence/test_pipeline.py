"""What the pipeline needs and makes, with a judge, with people and with both."""

from __future__ import annotations

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner

from med_lora.pipelines.divergence import create_pipeline
from med_lora.pipelines.evaluation.comparison.arms import compare
from med_lora.pipelines.evaluation.comparison.contrasts import TUNING
from tests.pipelines.divergence.tracks import draw_tracks
from tests.recipes import evaluation

TEXTS = {"scores", "metrics", "comparison", "params:evaluation"}
JUDGE = {"judge_scores", "judge_metrics", "judge_comparison", "judge_summary"}
PEOPLE = {"rating_scores", "rating_metrics", "ratings_comparison"}
MADE = {"track_scores", "divergence", "disagreements", "divergence_figure", "divergence_verdict"}


@pytest.mark.parametrize(
    ("judge", "people", "needs", "makes"),
    [
        (True, False, TEXTS | JUDGE, MADE),
        (False, True, TEXTS | PEOPLE, MADE),
        (True, True, TEXTS | JUDGE | PEOPLE, MADE | {"judge_agreement"}),
    ],
)
def test_inputs_and_outputs(judge: bool, people: bool, needs: set[str], makes: set[str]) -> None:
    pipeline = create_pipeline(judge=judge, people=people)
    assert pipeline.inputs() == needs
    assert pipeline.all_outputs() == makes


def test_without_a_second_track_there_is_nothing_to_do() -> None:
    assert create_pipeline().nodes == Pipeline([]).nodes


def test_the_pipeline_runs_on_a_judge_alone() -> None:
    texts, judged = draw_tracks(12, 1)
    compared = compare(*texts, [TUNING], evaluation())
    given = {
        "scores": texts.scores,
        "metrics": texts.metrics,
        "comparison": compared.drop(columns=["reference", "arm"]).rename(
            columns={"reference_mean": "base", "arm_mean": "tuned"}
        ),
        "judge_scores": judged.scores,
        "judge_metrics": judged.metrics,
        "judge_comparison": compare(*judged, [TUNING], evaluation()),
        "judge_summary": {"verdict": "passes", "nothing_said": [], "floors_unclear": []},
        "params:evaluation": evaluation(),
    }
    catalog = DataCatalog({name: MemoryDataset(value) for name, value in given.items()})
    made = SequentialRunner().run(create_pipeline(judge=True), catalog)
    assert set(made) == {"disagreements", "divergence_figure", "divergence_verdict"}
    assert "n = 12 independent test pairs" in made["divergence_verdict"].load()
