"""Black-box optimisation of an experiment's settings on its validation pairs."""

from __future__ import annotations

from med_lora.pipelines.search.pipeline import create_pipeline

__all__ = ["create_pipeline"]
