"""Fixed questions enter evaluation, retrieval and report of an experiment that names some, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .test_tracks import register

PROBES = [{"name": "rest", "question": "When should a sprained ankle be rested?"}]
OF_PROBES = {"probe_questions", "probe_answers", "grounded_probes", "base_probe_answers", "tuned_rag_probe_answers"}


@pytest.mark.parametrize("probes", [[], PROBES], ids=["without", "with"])
def test_probes_are_asked_where_there_are_some(
    probes: list[dict[str, str]], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: Any = {"probes": probes, "retrieval": {"enabled": True}, "study": "kim2024_msk"}
    tracks, pipelines = register(root, monkeypatch, **given)
    assert tracks.probes is bool(probes)
    assert OF_PROBES & pipelines["__default__"].datasets() == (OF_PROBES if probes else set())
    takers = {node.name for node in pipelines["reporting"].nodes if "probe_answers" in node.inputs}
    expected = {"write_report", "describe_run", "compare_with_published", "tabulate_study"}
    assert takers == ({f"reporting.{name}" for name in expected} if probes else set())
    assert {"probe_questions"} & pipelines["retrieval"].datasets() == ({"probe_questions"} if probes else set())


def test_questions_are_asked_before_any_arm_in_a_box_of_their_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, pipelines = register(root, monkeypatch, **{"probes": PROBES})  # type: ignore[arg-type]
    nodes = {node.name for node in pipelines["evaluation"].nodes if "probe" in node.name}
    steps = {"generate_probe_answers", "discard_probe_journal"}
    arms = {f"{arm}.{step}" for arm in ("base", "tuned") for step in steps}
    assert nodes == {"probe_questions.list_probes", "scoring.collect_probes"} | arms
