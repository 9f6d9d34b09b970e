"""The pipeline run in memory."""

from __future__ import annotations

from typing import Any

from med_lora.pipelines.data_report import create_pipeline


def make_outputs(inputs: dict[str, Any]) -> dict[str, Any]:
    """``inputs`` and what the pipeline makes of them, by catalog name."""
    data = dict(inputs)
    for node in create_pipeline(has_passages="passages" in inputs).nodes:
        data |= node.run({name: data[name] for name in node.inputs})
    return data
