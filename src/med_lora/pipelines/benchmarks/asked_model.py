"""A model of this process as lm-evaluation-harness asks it. Importing this module imports the harness and torch."""

from __future__ import annotations

import sys
from inspect import signature
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM

from med_lora.prompts.tokens import opening_tokens


class _Handle:
    """What the harness reads of a model.

    Given a module, it would tie its weights anew, which fails where an adapter holds one of two tied layers.
    """

    def __init__(self, model: Any) -> None:
        self.config, self.device = model.config, model.device


class AskedModel(HFLM):
    """Log-likelihoods by a loaded model, with logits of no more places than the choices need."""

    def __init__(self, model: Any, tokenizer: Any, context: int | None, batch_size: int) -> None:
        """Wrap the model, which stays as it is.

        Args:
            model: causal language model, on its device and in evaluation mode.
            tokenizer: with a padding token.
            context: longest input in tokens; a longer one loses its beginning. None takes the harness's guess.
            batch_size: inputs at a time.
        """
        super().__init__(
            pretrained=_Handle(model),
            backend="causal",
            tokenizer=tokenizer,
            max_length=context,
            batch_size=batch_size,
            softmax_dtype="float32",  # log-probabilities in 16 bits tie
        )
        self._asked = model
        self._can_keep = "logits_to_keep" in signature(model.forward).parameters
        self._longest = 0
        self._opening = opening_tokens(tokenizer)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **options: Any) -> list[int]:
        """Tokens of a text behind BOS, where the tokenizer adds it.

        EOS is never added, which some tokenizers put behind every text, and the words of an item are no special token.
        """
        text = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
        ids: list[int] = self.tokenizer(string, **text)["input_ids"]
        return self._opening + ids

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """As the harness does it; progress bars, which would fill a log file, are shown on a terminal alone."""
        found: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm or not sys.stderr.isatty())
        return found

    def _loglikelihood_tokens(self, requests: list[Any], *given: Any, **options: Any) -> list[tuple[float, bool]]:
        self._longest = max(len(choice) for _, _, choice in requests)
        found: list[tuple[float, bool]] = super()._loglikelihood_tokens(requests, *given, **options)
        return found

    def _model_call(self, inps: torch.Tensor, attn_mask: Any = None, labels: Any = None) -> torch.Tensor:
        """Logits [batch, places, vocabulary] of the last places of ``inps`` [batch, length], which is padded with 0.

        The harness counts places from the end. All logits of 64 abstracts in a vocabulary of 128,000 would be 20 GB.
        """
        options = {}
        if self._can_keep:
            # a prompt that ends with the token 0 is taken for a shorter one, which keeps a place too many
            padding = (inps.flip(1) != 0).int().argmax(1).max()
            options["logits_to_keep"] = int(padding) + self._longest
        with torch.inference_mode():
            logits: torch.Tensor = self._asked(input_ids=inps, use_cache=False, **options).logits
        return logits
