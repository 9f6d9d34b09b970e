"""An axis that judge and people have in common is the same axis."""

from __future__ import annotations

from typing import Any

import pytest

from med_lora.errors import InputError
from med_lora.parameters import ProjectParams, parse_parameters

from .test_configuration import load

QUESTION = "Is it right?"
ANCHORS = {1: "no", 5: "yes"}


def parameters(
    judged: dict[str, Any], rated: dict[str, Any], raters: tuple[str, ...] = ("anna",), enabled: bool = True
) -> ProjectParams:
    values = load(experiment="embedded")["parameters"]
    given = {"name": "accuracy", "question": QUESTION, "anchors": ANCHORS}
    values["judge"] |= {"enabled": enabled, "axes": [given | judged]}
    values["people"] |= {"raters": list(raters), "axes": [given | rated]}
    return parse_parameters(values)


@pytest.mark.parametrize("change", [{"question": "Is it correct?"}, {"anchors": {1: "no", 3: "partly", 5: "yes"}}])
def test_another_question_or_other_anchors_are_refused(change: dict[str, Any]) -> None:
    for judged, rated in ((change, {}), ({}, change)):
        with pytest.raises(InputError, match=r"judge\.axes and people\.axes describe 'accuracy' differently.*rename"):
            parameters(judged, rated)
        assert parameters(judged, rated, raters=()).judge.enabled
        assert parameters(judged, rated, enabled=False).people.raters == ["anna"]
        assert parameters(judged, rated | {"name": "safety"}).people.axes[0].name == "safety"


def test_the_axes_of_the_project_agree() -> None:
    values = load(experiment="embedded")["parameters"]
    values["judge"]["enabled"] = True
    values["people"]["raters"] = ["anna"]
    given = parse_parameters(values)
    assert len(given.people.axes) > len(given.judge.axes) > 1
