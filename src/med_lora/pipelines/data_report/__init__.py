from med_lora.pipelines.data_report.pipeline import create_pipeline as create_pipeline
