"""One step of generation: the next token of each row of a batch, computed from what earlier steps left in memory."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from med_lora.errors import InputError
from med_lora.generation.batches import pad
from med_lora.generation.decoding import TokenChooser
from med_lora.parameters.evaluation import DecodingParams

if TYPE_CHECKING:
    import torch

NOT_FINITE = -1  # in place of a token


class TokenSteps:
    """The continuations of a batch of prompts, a token of each row at a time.

    Call it under ``torch.inference_mode``. Keys and values of earlier tokens are kept; prompts are padded on the left,
    behind the attention mask.
    """

    def __init__(self, model: Any, prompts: Sequence[list[int]], pad_token: int, decoding: DecodingParams) -> None:
        """Take prompts as token ids, none of them empty; nothing is computed yet."""
        from transformers import DynamicCache

        self._model = model
        self._choose = TokenChooser(decoding, prompts)
        self._cache = DynamicCache(config=model.config.get_text_config(decoder=True))
        self._input_ids = pad(prompts, pad_token, "left").to(model.device)
        self._mask = pad([[1] * len(prompt) for prompt in prompts], 0, "left").to(model.device)
        self._padded = len({len(prompt) for prompt in prompts}) > 1
        self._positions = (self._mask.cumsum(dim=-1) - 1).clamp(min=0)
        self._answers = self._input_ids[:, :0]
        accepted = inspect.signature(model.forward).parameters
        self._takes_positions = "position_ids" in accepted
        self._options = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}

    def advance(self) -> list[int]:
        """The next token of each row, or ``NOT_FINITE``; it becomes the input of the next step."""
        import torch

        options: dict[str, Any] = {"position_ids": self._positions} if self._takes_positions else {}
        output = self._model(
            input_ids=self._input_ids,
            attention_mask=self._mask if self._padded else None,
            past_key_values=self._cache,
            use_cache=True,
            **options,
            **self._options,
        )
        logits: torch.Tensor = output.logits[:, -1].float()
        chosen = self._choose(logits, self._answers)
        # the largest logit is NaN where any is; a single one of minus infinity rules out its token and no more
        tokens = torch.where(logits.max(dim=-1).values.isfinite(), chosen, NOT_FINITE)
        self._input_ids = tokens[:, None]
        self._answers = torch.cat([self._answers, self._input_ids], dim=1)
        self._mask = torch.cat([self._mask, torch.ones_like(self._mask[:, :1])], dim=1)
        self._positions = self._positions[:, -1:] + 1
        return [int(token) for token in tokens.tolist()]

    def keep(self, places: list[int]) -> None:
        """Go on with the rows at ``places`` alone."""
        import torch

        index = torch.tensor(places, device=self._mask.device)
        self._cache.batch_select_indices(index)
        self._choose.keep(places)
        self._input_ids, self._answers = self._input_ids[index], self._answers[index]
        self._mask, self._positions = self._mask[index], self._positions[index]


def not_finite(name: str) -> InputError:
    """The error for logits that are no numbers; ``name`` is what they were computed for."""
    return InputError(
        f"The model's logits for {name} are not finite; check its weights, train again with a lower "
        "training.optimisation.learning_rate, or take an environment of another precision."
    )
