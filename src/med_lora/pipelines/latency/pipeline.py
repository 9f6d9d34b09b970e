"""Latency: both arms on the first test questions, one at a time, to a table of this machine's seconds."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from med_lora.pipelines.evaluation.pipeline import create_check, create_sessions, tuned_adapter, tuned_session
from med_lora.pipelines.latency.figures import draw_latency
from med_lora.pipelines.latency.nodes import measure_latency
from med_lora.pipelines.stages import DEFAULT_STAGES, Stages


def create_pipeline(stages: Stages = DEFAULT_STAGES) -> Pipeline:
    """What training saved, ``base_model``, ``train`` and ``test`` to the table ``latency`` and its figure.

    The node reads the clock, so its table is the machine's of that day; no score depends on it.
    """
    inputs = {
        "base_session": "base_session",
        "tuned_session": tuned_session(stages),
        "test": "test",
        "prompt": "params:prompt",
        "latency": "params:latency",
    }
    adapter = tuned_adapter(stages)
    if adapter:
        inputs["adapter"] = adapter
    probe = node(measure_latency, inputs=inputs, outputs="latency", name="measure_latency", tags="device")
    drawing = node(draw_latency, inputs="latency", outputs="latency_figure", name="draw_latency")
    return create_check(stages) + create_sessions(stages) + Pipeline([probe, drawing])
