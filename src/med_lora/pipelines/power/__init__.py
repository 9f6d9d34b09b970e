"""Power: what a comparison could find, before anything is run."""

from __future__ import annotations

from med_lora.pipelines.power.pipeline import create_pipeline

__all__ = ["create_pipeline"]
