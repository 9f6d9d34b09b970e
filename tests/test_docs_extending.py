"""The recipes of docs/extending.md, carried out in a copied project as a reader would."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.projects import SMALL, copy_project, kedro, newest, run_environment

PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
PIPELINE = "src/med_lora/pipelines/evaluation/pipeline.py"
# The page's own test, and whether what the new scorer leaves comes to the node that all of the evaluation reads.
COLLECT = """
import pandas as pd
import test_asking
from med_lora.pipeline_registry import register_pipelines
test_asking.test_an_answer_with_a_question_mark_asks_back()
nodes = {node.name.split(".")[-1]: node for node in register_pipelines()["evaluation"].nodes}
scorer, collect = nodes["score_asking"], nodes["collect_scores"]
assert set(scorer.outputs) <= set(collect.inputs), collect.inputs
texts = pd.DataFrame({"id": ["a", "b"], "arm": "base", "kind": "model", "answer": ["Since when?", "Rest it."]})
tables = dict(zip(scorer.outputs, scorer.func(**{"arm_texts": texts}), strict=True))
print(sorted(scorer.inputs), sorted(tables))
"""


def block(language: str, after: str = "") -> str:
    """The only fenced block with this info string behind a heading."""
    (found,) = re.findall(rf"^```{re.escape(language)}\n(.*?)^```", PAGE[PAGE.index(after) :], re.DOTALL | re.MULTILINE)
    return str(found)


def apply_diff(text: str, diff: str) -> str:
    """The text with the hunks of a diff, whose lines of context stand in it once."""
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line.startswith(" "))
        assert text.count(before) == 1, before
        text = text.replace(before, "".join(line[1:] for line in lines))
    return text


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copied project with the metric and the machine of the page."""
    project = copy_project(tmp_path_factory.mktemp("extended"))
    (project / "src/med_lora/pipelines/evaluation/scores/asking.py").write_text(block("python scores/asking.py"))
    pipeline = project / PIPELINE
    pipeline.write_text(apply_diff(pipeline.read_text(encoding="utf-8"), block("diff")), encoding="utf-8")
    (project / "test_asking.py").write_text(block("python evaluation/test_asking.py"))
    (project / "conf/l40s").mkdir()
    (project / "conf/l40s/globals.yml").write_text(block("yaml globals"))
    return project


def test_the_check_of_a_model_prints_what_the_page_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    exec(block("python"), {})
    assert capsys.readouterr().out == block("text")


def test_the_metric_passes_its_test_and_comes_to_the_table_of_all_scores(extended: Path) -> None:
    environment = run_environment(extended)
    command = [sys.executable, "-c", COLLECT]
    result = subprocess.run(command, cwd=extended, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.splitlines()[-1] == "['arm_texts'] ['asking_metrics', 'asking_scores']"


@pytest.mark.slow
def test_the_metric_is_in_comparison_and_report_of_a_run(extended: Path) -> None:
    import pandas as pd

    result = kedro(extended, "run", f"--params={SMALL}")
    assert result.returncode == 0, result.stderr[-3000:]
    table = pd.read_csv(newest(extended, "08_reporting/embedded/comparison.csv") / "comparison.csv")
    row = table.set_index("metric").loc["asks_back"]
    assert 0 <= row["base"] <= 1
    assert row["gold"] >= 0
    assert row["family"] == "conduct"
    report = newest(extended, "08_reporting/embedded/report.html") / "report.html"
    assert "asks back" in report.read_text(encoding="utf-8")


def test_the_machine_is_taken_by_its_name(extended: Path) -> None:
    """That it ends in one sentence without the card is seen with the other commands of the pages."""
    from med_lora.config_loader import ExperimentConfigLoader
    from med_lora.parameters import parse_parameters

    loader = ExperimentConfigLoader(extended / "conf", "l40s", {}, base_env="base", default_run_env="cpu")
    hardware = parse_parameters(loader["parameters"]).hardware
    assert hardware.gpu == "L40S"
    assert yaml.safe_load(block("yaml globals"))["hardware"].items() <= hardware.model_dump().items()
