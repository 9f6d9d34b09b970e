"""Losses of a model on rows, computed only where a label is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from med_lora.engine.rows import Row, collate
from med_lora.prompts import IGNORED_LABEL

LARGEST = 2**26  # logits held at once, 256 MiB in fp32; more are computed in parts, and again in the backward pass
ALIKE = 0.01  # largest difference of two ways to the same logits, in their standard deviations


@dataclass(frozen=True)
class Measure:
    """A model's cross-entropy on rows.

    Attributes:
        nll: negative log-likelihood in nats, summed over the label tokens.
        tokens: label tokens.
        correct: label tokens that were the most likely ones.
    """

    nll: float
    tokens: int
    correct: int

    @property
    def loss(self) -> float:
        """Nats a label token."""
        return self.nll / self.tokens

    @property
    def accuracy(self) -> float:
        """Part of the label tokens that were the most likely ones."""
        return self.correct / self.tokens

    @property
    def perplexity(self) -> float:
        """The loss's exponential; infinite beyond the range of floats."""
        return math.exp(self.loss) if self.loss < math.log(1e308) else math.inf


class LabelLoss:
    """Cross-entropy where a label is, and nowhere else.

    The output layer sees only the hidden states from which a label is predicted: with short answers to long prompts,
    or a large vocabulary, that is a good part of a step. It is reached by a hook in the model's own forward pass, so
    soft capping, scaling, adapters and quantised heads apply, whatever wraps the model.

    Args:
        model: as it is before accelerate wraps it, on its device.
    """

    def __init__(self, model: Any) -> None:
        self.head = model.get_output_embeddings()
        self.finish = _find_finish(model, self.head)
        self.part = max(1, LARGEST // model.config.get_text_config().vocab_size)

    def __call__(self, model: Any, inputs: dict[str, Any]) -> tuple[Any, Any, int]:
        """Sums over the label tokens of a batch.

        Args:
            model: the model, or what wraps it now.
            inputs: ``input_ids`` and ``labels`` [rows, tokens], and maybe ``position_ids``.

        Returns:
            The negative log-likelihood in nats (fp64, can be differentiated), the correct label tokens (0 where
            gradients are wanted, since nobody asks then), and the label tokens.
        """
        import torch

        labels = inputs["labels"][:, 1:]
        counted = labels != IGNORED_LABEL
        targets = labels[counted]
        places = torch.nn.functional.pad(counted, (0, 1)).flatten().nonzero().squeeze(1)
        in_parts = self.finish is not None and len(targets) > self.part
        sums: list[tuple[Any, Any]] = []

        def select(head: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
            hidden = args[0].flatten(0, -2)[places]
            if in_parts:
                parts = zip(hidden.split(self.part), targets.split(self.part), strict=True)
                sums.extend(self._sum_part(head, *part) for part in parts)
                hidden = hidden[:0]  # the model's output stays part of the graph, as FSDP needs
            return (hidden.unsqueeze(0), *args[1:])

        hook = self.head.register_forward_pre_hook(select)
        try:
            passed = {name: tensor for name, tensor in inputs.items() if name != "labels"}
            logits = model(**passed, use_cache=False).logits.squeeze(0)
        finally:
            hook.remove()
        sums.append(_sum(logits, targets[: len(logits)]))
        return sum(nll for nll, _ in sums), sum(correct for _, correct in sums), len(targets)

    def _sum_part(self, head: Any, hidden: Any, targets: Any) -> tuple[Any, Any]:
        import torch
        from torch.utils.checkpoint import checkpoint

        def of(hidden: Any) -> tuple[Any, Any]:
            assert self.finish is not None
            return _sum(self.finish(head.forward(hidden.unsqueeze(0))).squeeze(0), targets)  # past the hook

        return checkpoint(of, hidden, use_reentrant=False) if torch.is_grad_enabled() else of(hidden)


def _sum(logits: Any, targets: Any) -> tuple[Any, Any]:
    import torch

    nll = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none").double().sum()
    correct = nll.new_zeros(()) if torch.is_grad_enabled() else (logits.argmax(-1) == targets).double().sum()
    return nll, correct


def _find_finish(model: Any, head: Any) -> Callable[[Any], Any] | None:
    """What the model does to the output layer's logits, by its configuration; None where that is not all it does."""
    import torch

    config = model.config.get_text_config()
    cap = getattr(config, "final_logit_softcapping", None)
    scale = next(
        (value for name in ("logit_scale", "lm_head_multiplier") if (value := getattr(config, name, None))), 1.0
    ) / (getattr(config, "logits_scaling", None) or 1.0)

    def finish(logits: Any) -> Any:
        logits = logits * scale if scale != 1.0 else logits
        return torch.tanh(logits / cap) * cap if cap else logits

    seen: list[Any] = []
    hook = head.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[2, 3, 4]], device=model.device), use_cache=False).logits
    finally:
        hook.remove()
        model.train(was_training)
    with torch.no_grad():
        difference = (finish(head(seen[0])).float() - logits.float()).abs().max()
    return finish if bool(difference <= ALIKE * logits.float().std()) else None


def mean_loss(model: Any, rows: Sequence[Row], pad_id: int, batch_size: int) -> float:
    """Cross-entropy in nats a label token: the sum over all rows divided by the number of their label tokens."""
    return measure(model, rows, pad_id, batch_size).loss


def measure(
    model: Any, rows: Sequence[Row], pad_id: int, batch_size: int, loss: LabelLoss | None = None, shared: bool = False
) -> Measure:
    """The model's loss and token accuracy on ``rows``; its mode and the random state stay as they are.

    Args:
        loss: one that was made for this model, where there is one.
        shared: the ranks of the process group divide the rows among them, and all return the whole.
    """
    import torch

    rank, ranks = 0, 1
    if shared and torch.distributed.is_initialized():
        rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    loss = loss or LabelLoss(model)
    was_training = model.training
    model.eval()
    sums = torch.zeros(3, dtype=torch.float64, device=model.device)
    ordered = sorted(rows, key=lambda row: len(row["input_ids"]))
    batches = [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]
    with torch.no_grad():
        for first in range(0, len(batches), ranks):
            # a sharded model needs all ranks in every forward pass, so one without a batch passes an empty one
            batch = batches[first + rank] if first + rank < len(batches) else []
            inputs = {name: tensor.to(model.device) for name, tensor in collate(batch, pad_id).items()}
            nll, correct, tokens = loss(model, inputs)
            sums += torch.stack([nll, correct, nll.new_tensor(tokens)])
    model.train(was_training)
    if ranks > 1:
        torch.distributed.all_reduce(sums)
    total, right, count = sums.tolist()
    return Measure(total, round(count), round(right))
