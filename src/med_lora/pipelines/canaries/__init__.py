"""Canary audit: secrets inserted into the training pairs, and how far they stand out afterwards."""

from __future__ import annotations

from med_lora.pipelines.canaries.pipeline import create_insertion, create_pipeline

__all__ = ["create_insertion", "create_pipeline"]
