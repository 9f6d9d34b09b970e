"""What several tests do with a model."""

from __future__ import annotations

from typing import Any

import torch

IDS = torch.tensor([[9, 12, 30, 31, 8, 40, 41, 7, 55, 23, 24, 25]])


def cpu_precisions() -> list[str]:
    """Precisions that an environment may name on this CPU; the best comes last."""
    return ["fp32", "bf16"] if torch.cpu._is_avx512_bf16_supported() else ["fp32"]


def take_step(model: Any, learning_rate: float = 1e-2, dtype: torch.dtype | None = None) -> float:
    """One AdamW step on one row by the weights that ask for a gradient; the loss before it."""
    model.train()
    trained = [value for value in model.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=0.0)
    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        loss = model(input_ids=IDS, labels=IDS, use_cache=False).loss
    loss.backward()
    optimiser.step()
    model.eval()
    return float(loss.detach())


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = model.eval()(input_ids=IDS, use_cache=False).logits
    return result


def distance(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).abs().max())
