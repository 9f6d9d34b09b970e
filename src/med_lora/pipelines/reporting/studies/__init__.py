"""A published study beside the run that repeats it: its figures, its table, and what is wrong with some of them."""

from med_lora.pipelines.reporting.studies.pipeline import create_study_pipeline

__all__ = ["create_study_pipeline"]
