"""The pipeline from parsed benchmarks to the comparison and its figure."""

from __future__ import annotations

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from med_lora.chunks import Chunks
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.models.session import ModelSession
from med_lora.pipelines.benchmarks import create_pipeline
from med_lora.pipelines.benchmarks.figures import draw_benchmarks
from med_lora.pipelines.stages import Stages
from tests import recipes

pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed (extra bench)")

ANSWERED = ["base.answer_benchmarks", "tuned.answer_benchmarks"]


def test_there_is_no_pipeline_without_a_benchmark() -> None:
    assert not create_pipeline().nodes


def test_every_benchmark_is_read_as_data_engineering_parsed_it() -> None:
    pipeline = create_pipeline(("exam", "studies"))
    (collect,) = pipeline.filter(node_names=["collect_questions"]).nodes
    assert collect.inputs == ["parsed_exam", "parsed_studies"]
    assert {"benchmark_comparison", "benchmark_bars_figure"} <= pipeline.outputs() | pipeline.datasets()


@pytest.mark.parametrize(
    ("stages", "tuned"),
    [
        (Stages(), {"base_session", "checked_adapter"}),
        (Stages(handover="merged"), {"tuned_session", "checked_adapter"}),
        (Stages(method="full"), {"tuned_session"}),
    ],
)
def test_arms_ask_the_models_of_the_stages(stages: Stages, tuned: set[str]) -> None:
    pipeline = create_pipeline(("exam",), stages)
    of = {node.name: set(node.inputs) for node in pipeline.filter(node_names=ANSWERED).nodes}
    assert of["base.answer_benchmarks"] == {"base_session", "benchmark_questions"}
    assert of["tuned.answer_benchmarks"] == tuned | {"benchmark_questions"}
    assert tuned <= pipeline.all_outputs()


def test_it_runs_from_parsed_items_to_the_figure(
    exam: Chunks, studies: Chunks, session: ModelSession, adapter: PretrainedFolder
) -> None:
    evaluation = recipes.evaluation()
    catalog = DataCatalog(
        {
            "parsed_exam": MemoryDataset(exam, copy_mode="assign"),
            "parsed_studies": MemoryDataset(studies, copy_mode="assign"),
            "base_session": MemoryDataset(session, copy_mode="assign"),
            "checked_adapter": MemoryDataset(adapter, copy_mode="assign"),
            "params:evaluation": MemoryDataset(evaluation, copy_mode="assign"),
        }
    )
    names = ["collect_questions", *ANSWERED, "compare_benchmarks", "draw_benchmarks"]
    pipeline = create_pipeline(("exam", "studies")).filter(node_names=names)
    outputs = SequentialRunner().run(pipeline, catalog)
    figure = outputs["benchmark_bars_figure"].load()
    assert [trace.name for trace in figure.data] == ["Base model", "Tuned model", "Chance", "Most frequent choice"]
    assert list(figure.data[0].y) == ["exam<br>n = 5", "studies<br>n = 7"]
    assert list(figure.data[3].x) == pytest.approx([3 / 5, 4 / 7])


def test_the_figure_holds_the_numbers_of_the_table() -> None:
    row = {"benchmark": "studies", "n": 1273, "chance": 0.25, "majority": 0.28, "difference": 0.06, "p_holm": 0.01}
    row |= {"base": 0.3, "base_low": 0.27, "base_high": 0.33, "tuned": 0.36, "tuned_low": 0.34, "tuned_high": 0.39}
    figure = draw_benchmarks(pd.DataFrame([row]), recipes.evaluation())
    tuned = figure.data[1]
    assert list(tuned.y) == ["studies<br>n = 1,273"]
    assert (tuned.x[0], tuned.error_x.array[0], tuned.error_x.arrayminus[0]) == pytest.approx((0.36, 0.03, 0.02))
    subtitle = figure.layout.title.subtitle.text.replace("<br>", " ")
    assert subtitle == "n beside each name; whiskers are 95 % intervals; higher is better"
    assert figure.layout.meta["caption"] == (
        "studies: base 0.300, tuned 0.360 (difference +0.060, Holm's p 0.01), chance 0.250, most frequent choice "
        "0.280. The tuned model is above the most frequent choice in 1 of 1."
    )
