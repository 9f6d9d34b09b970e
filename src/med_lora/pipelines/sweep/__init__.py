"""Sweep: the points of a grid, each trained and measured in a namespace of its own, and what came of them."""

from __future__ import annotations

from med_lora.pipelines.sweep.pipeline import create_pipeline

__all__ = ["create_pipeline"]
