"""The pipeline as a run meets it: what it needs, what it makes, and a whole run by a judge that fails now and then."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from med_lora.datasets.call_cache import CallCacheDataset
from med_lora.errors import InputError
from med_lora.pipelines.judge import create_pipeline
from tests import recipes
from tests.llm.server import ChatServer, Handler, endpoint, hang_up, in_turn, say
from tests.pipelines.evaluation.conftest import ANSWERS, QUESTIONS
from tests.pipelines.judge.conftest import make_test, make_texts
from tests.pipelines.judge.test_asking import rate

KEY = "sk-judge-0123456789abcdef"
INPUTS = {"test", "arm_texts", "params:judge", "params:evaluation", "judge_calls"}
OUTPUTS = {
    "judge_plan",
    "judge_forecast",
    "judge_answers",
    "judge_usage",
    "judge_scores",
    "judge_metrics",
    "judge_comparison",
    "judge_checks",
    "judge_summary",
    "judge_figure",
}


@pytest.mark.parametrize(
    ("kind", "added"),
    [
        ("remote", set()),
        ("local", {"judge_model", "params:hardware"}),
        ("base", {"base_model", "params:hardware"}),
    ],
)
def test_what_the_pipeline_needs_and_makes(kind: Any, added: set[str]) -> None:
    pipeline = create_pipeline(kind)
    assert pipeline.inputs() == INPUTS | added
    assert pipeline.all_outputs() == OUTPUTS
    assert create_pipeline(kind, people=True).inputs() == INPUTS | added | {"judge_agreement"}
    for node in pipeline.nodes:
        assert get_type_hints(node.func)["return"]


def test_nothing_is_asked_before_the_plan_and_its_forecast() -> None:
    (ask,) = (node for node in create_pipeline("remote").nodes if node.name == "ask_judge")
    assert {"judge_plan", "judge_forecast"} <= set(ask.inputs)


class Kept(MemoryDataset):
    """What a runner does not drop once every node has read it."""

    def _release(self) -> None:
        pass


def run(folder: Path, *script: Handler) -> dict[str, Any]:
    """Every dataset that the pipeline made, by a judge behind a server."""
    with ChatServer(*script) as server:
        asked = endpoint(server.base_url, retries=0, api_key_variable="JUDGE_KEY")
        given = {
            "test": make_test(),
            "arm_texts": make_texts(),
            "params:judge": recipes.judge(endpoint=asked, items=7),
            "params:evaluation": recipes.evaluation(),
        }
        datasets = {name: MemoryDataset(value, copy_mode="assign") for name, value in given.items()}
        made = {name: Kept(copy_mode="assign") for name in OUTPUTS}
        calls = CallCacheDataset(filepath=str(folder / "judge_calls.jsonl"))
        catalog = DataCatalog({**datasets, **made, "judge_calls": calls})
        SequentialRunner().run(create_pipeline("remote"), catalog)
        return {name: catalog.load(name) for name in OUTPUTS}


def test_a_run_ends_with_scores_beside_a_count_of_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    made = run(tmp_path, in_turn(rate, say(b"", 503), rate, hang_up, rate))
    assert made["judge_usage"]["failed"] == {"hang_up": 1, "server_error": 1}
    assert int(made["judge_answers"]["value"].isna().sum()) == 2
    scores = made["judge_scores"].query("metric == 'judge_accuracy'").groupby("arm")["score"].mean()
    assert (scores["base"], scores["tuned"]) == (2.0, 3.0)
    frames = [made[name].to_csv() for name in sorted(OUTPUTS) if hasattr(made[name], "to_csv")]
    others = [json.dumps(made[name]) for name in ("judge_forecast", "judge_usage", "judge_summary")]
    told = "\n".join([caplog.text, *frames, *others, made["judge_figure"].to_json()])
    for text in (KEY, *ANSWERS, *(question for question in QUESTIONS if len(question) > 5)):
        assert text not in told
    assert KEY not in (tmp_path / "judge_calls.jsonl").read_text()
    power = next(n for n, record in enumerate(caplog.records) if "find differences of" in record.getMessage())
    first = next(n for n, record in enumerate(caplog.records) if "calls from the cache" in record.getMessage())
    assert power < first


def test_a_run_without_one_usable_answer_ends_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with pytest.raises(InputError, match=r"^None of the 126 questions to the judge .* \(server_error: 126\)") as caught:
        run(tmp_path, say(b"", 500))
    assert KEY not in str(caught.value)
