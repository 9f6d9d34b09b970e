"""Comparison across runs: what they left, side by side, with the statistics that a comparison of two arms has."""

from med_lora.pipelines.comparison.pipeline import create_pipeline

__all__ = ["create_pipeline"]
