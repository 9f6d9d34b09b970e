"""Divergence: whether lexical metrics, a judge and people say the same of the arms, overall and item by item."""

from __future__ import annotations

from med_lora.pipelines.divergence.pipeline import create_pipeline

__all__ = ["create_pipeline"]
