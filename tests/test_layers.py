"""The layers of the catalog: data flows from 01 to 08 in every plan, without which kedro-viz shows no layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kedro.pipeline import Pipeline

from med_lora.config_loader import ExperimentConfigLoader
from tests.conftest import ROOT
from tests.test_lineage import PLANS, register


def read_layers() -> dict[str, str]:
    """Layer of each entry of the catalog that has one."""
    entries = ExperimentConfigLoader(ROOT / "conf", "cpu", {}, base_env="base", default_run_env="cpu")["catalog"]
    metadata = {name: entry.get("metadata") or {} for name, entry in entries.items()}
    return {name: given["kedro-viz"]["layer"] for name, given in metadata.items() if "kedro-viz" in given}


def find_layer(name: str, layers: dict[str, str]) -> str | None:
    import parse

    return layers.get(name) or next(
        (layer for pattern, layer in layers.items() if "{" in pattern and parse.parse(pattern, name)), None
    )


def follow(pipeline: Pipeline, name: str, layers: dict[str, str], seen: set[str]) -> Iterator[str]:
    """The next datasets with a layer that come of ``name``, through those without one."""
    for node in pipeline.nodes:
        if name not in node.inputs:
            continue
        for output in {*node.outputs} - seen:
            seen.add(output)
            if find_layer(output, layers):
                yield output
            else:
                yield from follow(pipeline, output, layers, seen)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_no_dataset_lies_in_a_layer_before_what_it_is_made_of(
    plan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = read_layers()
    backwards = {
        f"{name} ({layer}) -> {made} ({find_layer(made, layers)})"
        for pipeline in register(monkeypatch, **plan).values()
        for name in pipeline.datasets()
        if (layer := find_layer(name, layers)) and not name.startswith("params:")
        for made in follow(pipeline, name, layers, set())
        if (find_layer(made, layers) or "") < layer
    }
    assert not backwards
