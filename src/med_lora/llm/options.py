"""Which of a few given answers a causal model finds likeliest: a choice that asks for no skill in writing JSON."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from med_lora.errors import InputError
from med_lora.generation.batches import pad


def score_options(model: Any, prompt: Sequence[int], options: Sequence[Sequence[int]]) -> list[float]:
    """Log-probability, in nats, of each option after the prompt, in total over its tokens.

    What all options begin with is read with the prompt and left out of the totals: it adds the same to each. The rest
    of the options is one batch. No token of an end is asked for, so no option may begin with another whole one.

    Args:
        model: a causal language model of transformers.
        prompt: token ids, at least one.
        options: token ids of two answers or more, none of them empty.

    Raises:
        InputError: if a logit is not a number, or no option is possible.
    """
    import torch
    from transformers import DynamicCache

    shared = _shared_length(options)
    tails = [list(option[shared:]) for option in options]
    cache = DynamicCache(config=model.config.get_text_config(decoder=True))
    last = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    with torch.inference_mode():
        given = torch.tensor([[*prompt, *options[0][:shared]]], device=model.device)
        output = model(input_ids=given, past_key_values=cache, use_cache=True, **last)
        logits = output.logits[:, -1:].expand(len(tails), -1, -1)
        if max(map(len, tails)) > 1:
            cache.batch_repeat_interleave(len(tails))
            # padding stands behind what is read of a row, where no causal model looks
            rows = pad([tail[:-1] for tail in tails], 0, "right").to(model.device)
            output = model(input_ids=rows, past_key_values=cache, use_cache=True)
            logits = torch.cat([logits, output.logits], dim=1)
        likelihoods = logits.float().log_softmax(dim=-1)
        totals = [
            float(sum(likelihoods[row, place, token] for place, token in enumerate(tail)))
            for row, tail in enumerate(tails)
        ]
    if any(map(math.isnan, totals)) or not math.isfinite(max(totals)):
        raise InputError("The local model's logits are not finite; check its weights, or name another model.")
    return totals


def choose_option(scores: Sequence[float], temperature: float, draw: float) -> int:
    """Index of the likeliest option, the first of equals; above temperature 0, one sampled by ``draw``.

    The probabilities are those of the options alone: exp(score / temperature), divided by their sum.

    Args:
        scores: log-probabilities.
        temperature: 0 or more.
        draw: from 0 to below 1; not looked at where the temperature is 0.
    """
    best = max(scores)
    if temperature == 0:
        return list(scores).index(best)
    weights = [math.exp((score - best) / temperature) for score in scores]
    reached = [total / sum(weights) for total in accumulate(weights)]
    return next((place for place, total in enumerate(reached) if draw < total), len(scores) - 1)


def _shared_length(options: Sequence[Sequence[int]]) -> int:
    """Tokens that all options begin with; each keeps one at least."""
    shortest = min(map(len, options)) - 1
    return next((place for place in range(shortest) if len({option[place] for option in options}) > 1), shortest)
