"""What an experiment has left behind, and what to do where it has not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kedro.io import DataCatalog

from med_lora.errors import InputError
from med_lora.project import Project


@pytest.mark.parametrize(
    ("experiment", "rehearsed", "command"),
    [
        ("mine", None, "`kedro run --params=experiment=mine` first, with the same --env and other --params"),
        ("mine_rehearsal", "mine", "`make rehearse STUDY=mine` first"),
    ],
)
def test_what_is_missing_comes_with_the_command_that_makes_it(
    experiment: str, rehearsed: str | None, command: str
) -> None:
    parameters: Any = SimpleNamespace(experiment=experiment, rehearsal_of=rehearsed)
    with pytest.raises(InputError) as caught:
        Project(parameters, DataCatalog()).load_saved("headline")
    assert str(caught.value) == f"The experiment {experiment} has no headline yet; run {command}."
