"""Merging: the tuned adapter and its base model as one model that other tools load."""

from __future__ import annotations

from med_lora.pipelines.merging.pipeline import create_pipeline as create_pipeline
