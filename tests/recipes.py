"""Parameters of training that tests start from; each test states what it changes."""

from __future__ import annotations

from typing import Any

from med_lora.parameters import (
    CanariesParams,
    EvaluationParams,
    HardwareParams,
    JudgeParams,
    LoraParams,
    ModelParams,
    OptimisationParams,
    PeopleParams,
    RetrievalParams,
    TrainingParams,
)
from med_lora.parameters.evaluation import DecodingParams


def hardware(**changes: Any) -> HardwareParams:
    """A CPU in fp32, one process."""
    given = {
        "device": "cpu",
        "gpu": "",
        "precision": "fp32",
        "micro_batch_size": 4,
        "inference_batch_size": 4,
        "threads": 0,
        "workers": 1,
        "quantisation": ["none", "int8", "nf4", "gptq"],
        "attention": "sdpa",
        "packing": False,
        "gradient_checkpointing": False,
        "processes": 1,
        "machines": 1,
        "rendezvous": None,
        "sharding": "ddp",
    }
    return HardwareParams(**(given | changes))


def model_params(**changes: Any) -> ModelParams:
    return ModelParams(**({"id": "data/06_models/embedded-base", "revision": None, "quantisation": "none"} | changes))


def lora(**changes: Any) -> LoraParams:
    given = {
        "r": 4,
        "alpha": 8,
        "dropout": 0.0,
        "target_modules": "all-linear",
        "use_rslora": False,
        "use_dora": False,
        "initialisation": "default",
    }
    return LoraParams(**(given | changes))


def optimisation(**changes: Any) -> OptimisationParams:
    given = {
        "epochs": 2,
        "learning_rate": 5e-3,
        "effective_batch_size": 4,
        "warmup_ratio": 0.1,
        "schedule": "cosine",
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "evaluations": 4,
        "checkpoints": 0,
        "batches": "grouped",
        "keep": "last",
        "patience": None,
        "lora_plus_ratio": None,
        "neftune_alpha": None,
        "seed": 3,
    }
    return OptimisationParams(**(given | changes))


def training(**changes: Any) -> TrainingParams:
    """LoRA on at most 48 tokens; ``lora`` and ``optimisation`` are whole models where they are given."""
    given: dict[str, Any] = {
        "method": "lora",
        "loss_on": "answer",
        "max_length": 48,
        "overlong": "truncate",
        "epoch_answers": 0,
        "lora": lora(),
        "optimisation": optimisation(),
    }
    return TrainingParams(**(given | changes))


def decoding(**changes: Any) -> DecodingParams:
    """Greedy answers of at most 24 tokens."""
    given = {
        "max_new_tokens": 24,
        "temperature": 0.0,
        "top_k": None,
        "top_p": 1.0,
        "repetition_penalty": 1.0,
        "seed": 5,
    }
    return DecodingParams(**(given | changes))


def evaluation(**changes: Any) -> EvaluationParams:
    """Greedy answers of this process, 200 resamples; ``decoding`` is a whole model where it is given."""
    given: dict[str, Any] = {
        "engine": "transformers",
        "endpoints": {},
        "decoding": decoding(),
        "confidence": 0.95,
        "exclude": ["answer_empty"],
        "rouge_beta": 1.0,
        "bert_score": None,
        "embedding": None,
        "benchmarks": False,
        "bootstrap_samples": 200,
        "power": 0.8,
        "seed": 7,
    }
    return EvaluationParams(**(given | changes))


def canaries(**changes: Any) -> CanariesParams:
    """No audit; ``enabled`` switches one on."""
    return CanariesParams(**({"enabled": False, "secrets": 2, "repetitions": 2, "controls": 10, "seed": 4} | changes))


def retrieval(**changes: Any) -> RetrievalParams:
    """BM25 over training answers; ``encoder`` is a mapping or a whole model where it is given."""
    given: dict[str, Any] = {
        "enabled": True,
        "sources": ["training_answers"],
        "hold_out_answers": True,
        "method": "bm25",
        "store": "exact",
        "encoder": {
            "id": "no-encoder",
            "revision": None,
            "sha256": None,
            "query_prompt": "",
            "passage_prompt": "",
            "pool_prompt": True,
        },
        "candidates": 5,
        "passages": 2,
        "context_tokens": 64,
        "instruction": "Passages:\n{passages}\n\n{question}",
        "relevance": 0.5,
    }
    return RetrievalParams(**(given | changes))


def axis(name: str = "accuracy") -> dict[str, Any]:
    return {"name": name, "question": f"How good is its {name}?", "anchors": {1: "bad", 5: "good"}}


def judge(**changes: Any) -> JudgeParams:
    """Two axes and the preference, asked once of a local model on at most six pairs."""
    given: dict[str, Any] = {
        "enabled": True,
        "endpoint": None,
        "local": None,
        "sampling": {"temperature": 0.0, "seed": 1, "max_tokens": 32},
        "items": 6,
        "repeats": 1,
        "preference": True,
        "axes": [axis("accuracy"), axis("relevance")],
        "criteria": [],
        "item_criteria": {},
        "price": None,
        "max_cost": None,
        "seed": 2,
    }
    return JudgeParams(**(given | changes))


def people(**changes: Any) -> PeopleParams:
    """Two raters, two axes and the preference on at most six pairs."""
    given: dict[str, Any] = {
        "raters": ["anna", "ben"],
        "rated": False,
        "items": 6,
        "preference": True,
        "axes": [axis("accuracy"), axis("safety")],
        "seed": 2,
    }
    return PeopleParams(**(given | changes))
