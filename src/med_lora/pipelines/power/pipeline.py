"""Power: parameters alone to a table and its text."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.power.nodes import describe_power, tabulate_power


def create_pipeline() -> Pipeline:
    """``power_table`` and ``power_summary`` from parameters; neither data nor a model is needed."""
    return Pipeline(
        [
            node(
                tabulate_power,
                inputs=["params:power", "params:evaluation", "params:data_engineering.split"],
                outputs="power_table",
                name="tabulate_power",
            ),
            node(
                describe_power,
                inputs=["power_table", "params:power", "params:evaluation"],
                outputs="power_summary",
                name="describe_power",
            ),
        ]
    )
