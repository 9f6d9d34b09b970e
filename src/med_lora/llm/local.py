"""A causal language model of this machine, asked like a server."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import Any

from med_lora.datasets.base_model import BaseModel
from med_lora.hardware import prepare_device
from med_lora.llm.answers import Completion, Failure, Request
from med_lora.llm.options import choose_option, score_options
from med_lora.models.loading import weights_dtype
from med_lora.parameters.llm import SamplingParams
from med_lora.parameters.model import HardwareParams
from med_lora.prompts import context_length, end_tokens, tokenise_messages


class LocalModel:
    """An ``Answerer`` in this process, one answer at a time; the model is loaded at the first question.

    Messages go through the tokenizer's chat template where it has one, else they are set one below the other. An
    answer depends on the messages, the seed and the repeat alone, not on what was asked before. Nothing holds the
    model to a schema: what a small one writes is often no JSON, and is then rejected by the caller. Where a request
    states all its options, the model writes nothing and :func:`choose_option` takes one, so that any model can answer.
    """

    def __init__(self, base_model: BaseModel, sampling: SamplingParams, hardware: HardwareParams):
        """Name the model; ``base_model`` is any causal language model with safetensors."""
        self.model = base_model.sha256 or f"{base_model.source}@{base_model.revision}"
        precision = "fp32" if hardware.device == "cpu" else hardware.precision
        self.settings: dict[str, float | int | str] = {**sampling.model_dump(), "precision": precision}
        self.origin = base_model.source
        self.concurrency = 1
        self._base_model = base_model
        self._sampling = sampling
        self._hardware = hardware
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    def answer(self, request: Request) -> Completion | Failure:
        """Ask once; a prompt is never cut to fit the context.

        Raises:
            InputError: if the model cannot be loaded, or the machine lacks the device.
        """
        with self._lock:
            model, tokenizer = self._load()
            messages = [{"role": message["role"], "content": message["content"]} for message in request.messages]
            prompt = tokenise_messages(messages, tokenizer)
            options = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in request.options]
            room = max(map(len, options)) if options else self._sampling.max_tokens
            context = context_length(model)
            if context is not None and len(prompt) + room > context:
                return Failure("prompt_too_long")
            if options:
                return self._choose(model, prompt, options, request)
            return self._complete(model, tokenizer, prompt, request)

    def close(self) -> None:
        """Nothing runs between two answers."""

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            device = prepare_device(self._hardware)
            model: Any = self._base_model.model(weights_dtype(self._hardware, "inference"))
            tokenizer: Any = self._base_model.tokenizer()
            self._set_generation(model, tokenizer)
            self._loaded = (model.to(device).eval(), tokenizer)
        return self._loaded

    def _choose(self, model: Any, prompt: list[int], options: list[list[int]], request: Request) -> Completion:
        scores = score_options(model, prompt, options)
        draw = _seed(request, self._sampling.seed) / 2**63
        chosen = choose_option(scores, self._sampling.temperature, draw)
        return Completion(
            content=request.options[chosen],
            model=self.model,
            finish_reason="stop",
            prompt_tokens=len(prompt),
            completion_tokens=len(options[chosen]),
        )

    def _complete(self, model: Any, tokenizer: Any, prompt: list[int], request: Request) -> Completion:
        import torch

        ends = set(model.generation_config.eos_token_id or [])
        ids = torch.tensor([prompt], device=model.device)
        with torch.inference_mode(), torch.random.fork_rng(devices=[model.device] if ids.is_cuda else []):
            torch.manual_seed(_seed(request, self._sampling.seed))
            output = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids))
        new = output[0, len(prompt) :].tolist()
        length = next((place for place, token in enumerate(new) if token in ends), None)
        return Completion(
            content=tokenizer.decode(new[:length], skip_special_tokens=True),
            model=self.model,
            finish_reason="length" if length is None else "stop",
            prompt_tokens=len(prompt),
            completion_tokens=len(new),
        )

    def _set_generation(self, model: Any, tokenizer: Any) -> None:
        """Replace the model's settings as a whole: they would fill whatever a call leaves open."""
        from transformers import GenerationConfig

        sampled = self._sampling.temperature > 0
        draw = {"temperature": self._sampling.temperature, "top_k": 0, "top_p": 1.0} if sampled else {}
        model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=sampled,
            num_beams=1,
            max_new_tokens=self._sampling.max_tokens,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=sorted(end_tokens(model, tokenizer)) or None,
            **draw,
        )


def _seed(request: Request, seed: int) -> int:
    content = json.dumps([list(request.messages), seed + request.repeat])
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8]) >> 1
