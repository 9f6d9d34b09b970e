from med_lora.pipelines.pretraining.pipeline import create_pipeline as create_pipeline
