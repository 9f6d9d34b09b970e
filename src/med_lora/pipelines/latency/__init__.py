"""Latency: how long each arm takes for one answer on this machine."""

from __future__ import annotations

from med_lora.pipelines.latency.pipeline import create_pipeline

__all__ = ["create_pipeline"]
