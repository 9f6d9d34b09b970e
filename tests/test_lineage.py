"""The lineage: nodes in the boxes of their steps, and what is previewed."""

from __future__ import annotations

import re
from typing import Any

import parse
import pytest
from kedro.pipeline import Pipeline, node

from med_lora import pipeline_registry
from med_lora.arms import ARMS
from med_lora.config_loader import ExperimentConfigLoader
from med_lora.pipelines.data_engineering.sources import DEFAULT_SOURCES
from med_lora.pipelines.evaluation.pipeline import DEFAULT_MEASURES, Measures
from med_lora.pipelines.grouping import group
from med_lora.pipelines.retrieval.pipeline import RetrievalPlan
from med_lora.pipelines.stages import DEFAULT_STAGES, Stages
from med_lora.pipelines.tracks import DEFAULT_TRACKS, Tracks
from tests.conftest import EXPERIMENTS, ROOT

EXAMS = DEFAULT_SOURCES._replace(benchmarks=("pubmedqa",))
FULL_TRACKS = Tracks(
    RetrievalPlan(probes=True),
    judge="base",
    sheets=True,
    ratings=True,
    benchmarks=True,
    latency=True,
    study=True,
    probes=True,
)
WITH_PROBES = DEFAULT_MEASURES._replace(probes=True)
PLANS: dict[str, dict[str, Any]] = {
    "default": {},
    "canaries, every track": {
        "sources": EXAMS,
        "stages": Stages(canaries=True),
        "measures": WITH_PROBES,
        "tracks": FULL_TRACKS,
    },
    "merged": {
        "sources": EXAMS,
        "stages": Stages(handover="merged", canaries=True),
        "measures": WITH_PROBES,
        "tracks": FULL_TRACKS,
    },
    "continued adapter": {
        "stages": Stages(handover="adapter"),
        "measures": Measures("openai", True, True, probes=True),
    },
    "full": {"stages": Stages("full"), "points": ("r_4", "r_8")},
    "written pairs": {"sources": EXAMS._replace(generator="local")},
}
STEPS = "data_engineering data_report training model_loading base tuned scoring arm_comparison figures reporting"


def register(monkeypatch: pytest.MonkeyPatch, **given: Any) -> dict[str, Pipeline]:
    plan = pipeline_registry._plan._replace(
        sources=DEFAULT_SOURCES, stages=DEFAULT_STAGES, measures=DEFAULT_MEASURES, tracks=DEFAULT_TRACKS, points=()
    )
    monkeypatch.setattr(pipeline_registry, "_plan", plan._replace(**given))
    return pipeline_registry.register_pipelines()


def echo(given: str) -> str:
    return given


def test_group_changes_no_name_of_a_dataset_or_parameter() -> None:
    made = Pipeline(
        [
            node(lambda a, b: a, inputs=["raw", "params:model"], outputs="inner", name="first"),
            node(echo, inputs="inner", outputs="outer", name="second"),
        ]
    )
    grouped = group(made, "step")
    assert grouped.datasets() == made.datasets()
    assert {each.name for each in grouped.nodes} == {"step.first", "step.second"}


def test_group_is_put_before_a_namespace() -> None:
    arm = Pipeline([node(echo, inputs="a", outputs="b", name="ask")], namespace="base", inputs="a", outputs="b")
    assert [(each.name, each.namespace) for each in group(arm, "exams").nodes] == [("exams.base.ask", "exams.base")]


@pytest.mark.filterwarnings("error::UserWarning")  # Kedro's, for a box that another one lies both behind and before
@pytest.mark.parametrize("plan", PLANS)
def test_every_node_lies_in_the_box_of_a_step(plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, pipeline in register(monkeypatch, **PLANS[plan]).items():
        assert [each.name for each in pipeline.nodes if not each.namespace] == [], name
        assert not [dataset for dataset in pipeline.datasets() if "." in dataset and not dataset.startswith("params:")]


@pytest.mark.parametrize("plan", PLANS)
def test_folded_steps_form_no_circle(plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = register(monkeypatch, **PLANS[plan])["__default__"]
    step = {each: str(each.namespace).split(".")[0] for each in pipeline.nodes}
    before: dict[str, set[str]] = {name: set() for name in step.values()}
    for each, parents in pipeline.node_dependencies.items():
        before[step[each]] |= {step[parent] for parent in parents} - {step[each]}
    while free := {name for name, needed in before.items() if not needed}:
        before = {name: needed - free for name, needed in before.items() if name not in free}
    assert before == {}


def test_default_overview_has_ten_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = register(monkeypatch)["__default__"]
    assert {str(each.namespace) for each in pipeline.nodes} == set(STEPS.split())
    figures = pipeline.only_nodes_with_namespaces(["figures"])
    assert "score_bars_figure" in figures.all_outputs() & pipeline.only_nodes_with_namespaces(["reporting"]).inputs()


def test_pipelines_that_share_nodes_can_be_run_together(monkeypatch: pytest.MonkeyPatch) -> None:
    made = register(monkeypatch, sources=EXAMS, stages=Stages(handover="merged", canaries=True))
    names = "evaluation latency benchmarks canaries continued_pretraining search sweep merging training"
    together = sum((made[name] for name in names.split()), Pipeline([]))
    assert [each.name for each in together.nodes if each.name.endswith("check_adapter")] == [
        "model_loading.check_adapter"
    ]


def test_only_names_of_their_kind_fall_on_an_entry_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another name that happens to end alike would be saved, and shown, as what it is not."""
    loader = ExperimentConfigLoader(ROOT / "conf", "cpu", {}, base_env="base", default_run_env="cpu")
    many = {parse.compile(name) for name in loader["catalog"] if "{" in name}
    made = register(monkeypatch, **PLANS["canaries, every track"], points=("r_4",))
    names = {name for pipeline in made.values() for name in pipeline.datasets()} - loader["catalog"].keys()
    values: dict[str, set[str]] = {}
    for name in names:
        for pattern in many:
            for kind, value in (found.named if (found := pattern.parse(name)) else {}).items():
                values.setdefault(kind, set()).add(value)
    kinds = re.compile("_batch$|_general$|_probe$")
    assert {kinds.sub("", value) for value in values["arm"]} == set(ARMS)
    assert values["corpus"] <= {*loader["parameters"]["corpora"], *EXAMS.benchmarks, "generated"}
    assert values["point"] == {"r_4"}


# What may hold text or ids of records, or names of raters, although it lies beside tables and figures.
PRIVATE_REPORTS = {
    "benchmark_overlap",
    "data_report",
    "disagreements",
    "error_examples",
    "judge_scores",
    "pair_traits",
    "rating_scores",
    "rating_sheets",
    "ratings_report",
    "report_examples",
    "scores",
    "token_lengths",
}
PREVIEWED = {"pandas.CSVDataset", "plotly.JSONDataset", "med_lora.datasets.ReportDataset"}
NEVER = {"text.TextDataset", "MemoryDataset"}  # kedro-viz has no preview of theirs


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_dataset_has_a_layer_and_only_tables_and_figures_a_preview(experiment: str) -> None:
    loader = ExperimentConfigLoader(
        ROOT / "conf", "cpu", {"experiment": experiment}, base_env="base", default_run_env="cpu"
    )
    catalog = {name: entry for name, entry in loader["catalog"].items() if not name.startswith("_")}
    for name, entry in catalog.items():
        shown = entry["metadata"]["kedro-viz"]
        if shown["layer"] != "08_reporting" or name in PRIVATE_REPORTS:
            assert shown.get("preview") is False, name
        elif entry["type"] in PREVIEWED:
            assert shown.get("preview", True), name
        else:
            assert entry["type"] in {"json.JSONDataset", *NEVER} or shown.get("preview") is False, name
    assert catalog.keys() >= PRIVATE_REPORTS
