from med_lora.pipelines.reporting.pipeline import create_pipeline as create_pipeline
