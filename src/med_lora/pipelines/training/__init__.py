from med_lora.pipelines.training.pipeline import create_pipeline as create_pipeline
