"""Retrieval: passages indexed, found for every test question, put in front of it, and measured by themselves."""

from __future__ import annotations

from med_lora.pipelines.retrieval.pipeline import create_pipeline

__all__ = ["create_pipeline"]
