"""What is refused before the first node of a run."""

from __future__ import annotations

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

from med_lora.datasets import BaseModelDataset
from med_lora.errors import InputError
from med_lora.hooks import check_base_model, check_inputs


def _copy(value: object) -> object:
    return value


WHOLE = Pipeline(
    [
        node(_copy, inputs="kept", outputs="handed_over", name="make"),
        node(_copy, inputs="handed_over", outputs="result", name="read"),
    ]
)


def test_a_part_that_is_handed_nothing_is_refused() -> None:
    catalog = DataCatalog({"kept": MemoryDataset(1), "handed_over": MemoryDataset()})
    check_inputs(WHOLE, catalog)
    with pytest.raises(InputError, match=r"^read reads handed_over, which is handed over in memory and not kept"):
        check_inputs(WHOLE.only_nodes("read"), catalog)


def test_a_part_that_reads_what_the_catalog_does_not_know_is_refused() -> None:
    with pytest.raises(InputError, match=r"^read reads handed_over"):
        check_inputs(WHOLE.only_nodes("read"), DataCatalog({"kept": MemoryDataset(1)}))


def test_a_hub_model_that_cannot_be_had_stops_the_run_before_its_first_node() -> None:
    catalog = DataCatalog({"base_model": BaseModelDataset(id="nobody/nothing", revision="0" * 40)})
    reader = Pipeline([node(_copy, inputs="base_model", outputs="copied", name="read")])
    with pytest.raises(InputError, match=r"'nobody/nothing' .*, or name a local folder, with revision null\."):
        check_base_model(reader, catalog)
    check_base_model(Pipeline([]), catalog)
