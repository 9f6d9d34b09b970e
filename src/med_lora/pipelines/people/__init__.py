"""People who rate answers: blind sheets, their import, how far raters agree, and what they find."""

from __future__ import annotations

from med_lora.pipelines.people.pipeline import create_ratings_pipeline, create_sheets_pipeline

__all__ = ["create_ratings_pipeline", "create_sheets_pipeline"]
