"""Evaluation: the base and the tuned model on the same test pairs, compared with intervals, tests and controls."""

from __future__ import annotations

from med_lora.pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
